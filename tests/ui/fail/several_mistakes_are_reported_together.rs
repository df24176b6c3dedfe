// 4 errors: one for each mistake.
use actix_web::{Responder, get};
use session_expire::session_policy;

#[session_policy(
    idle = 600,
    max_session = 1,
    overflow = "lru",
    login_url = "login"
)]
#[get("/vault")]
async fn vault() -> impl Responder {
    "gold"
}

fn main() {
    let _ = vault;
}
