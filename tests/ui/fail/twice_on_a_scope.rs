use actix_web::Scope;
use session_expire::session_policy;

#[session_policy(idle = "1m")]
#[session_expire::session_policy(max_sessions = 1)]
fn vault() -> Scope {
    Scope::new("/vault")
}

fn main() {}
