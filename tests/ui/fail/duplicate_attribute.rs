use actix_web::{Scope, get};
use session_expire::session_policy;

#[session_policy(idle = "1m")]
#[get("/vault")]
#[session_policy(max_sessions = 1)] //~ ERROR
async fn handler() -> &'static str {
    "gold"
}

#[session_policy(idle = "1m")]
#[session_expire::session_policy(max_sessions = 1)] //~ ERROR
fn scope() -> Scope {
    Scope::new("/vault")
}

fn main() {}
