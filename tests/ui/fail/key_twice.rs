use actix_web::{Responder, get};
use session_expire::session_policy;

#[session_policy(idle = "10m", max_sessions = 1, idle = "1h")]
#[get("/vault")]
async fn vault() -> impl Responder {
    "gold"
}

fn main() {
    let _ = vault;
}
