use actix_web::{Responder, get};
use session_expire::session_policy;

#[session_policy(requires_login)]
#[get("/vault")]
async fn vault() -> impl Responder {
    "gold"
}

fn main() {
    let _ = vault;
}
