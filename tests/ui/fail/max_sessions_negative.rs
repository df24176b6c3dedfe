use actix_web::{Responder, get};
use session_expire::session_policy;

#[session_policy(max_sessions = -1)]
#[get("/vault")]
async fn vault() -> impl Responder {
    "gold"
}

fn main() {
    let _ = vault;
}
