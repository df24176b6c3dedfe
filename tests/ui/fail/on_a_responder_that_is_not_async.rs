use actix_web::Responder;
use session_expire::session_policy;

#[session_policy(idle = "1m")]
fn vault() -> impl Responder {
    "gold"
}

fn main() {}
