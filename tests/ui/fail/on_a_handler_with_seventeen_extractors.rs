use actix_web::http::{Method, Uri as U};
use session_expire::session_policy;

#[session_policy(idle = "1m")]
#[rustfmt::skip]
async fn vault(
    _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U,
    _: Method,
) -> &'static str {
    "gold"
}

fn main() {}
