use actix_web::{Responder, get};
use session_expire::session_policy;

#[session_policy(
    idle = 600, //~ ERROR
    max_session = 1, //~ ERROR
    overflow = "lru", //~ ERROR
    login_url = "login" //~ ERROR
)]
#[get("/vault")]
async fn vault() -> impl Responder {
    "gold"
}

fn main() {
    let _ = vault;
}
