use actix_web::{Responder, get};
use session_expire::session_policy;

#[session_policy(require_login = "true")]
#[get("/vault")]
async fn vault() -> impl Responder {
    "gold"
}

fn main() {
    let _ = vault;
}
