use actix_web::get;
use session_expire::session_policy;

#[session_policy(idle = "1m")]
#[get("/vault")]
#[session_policy(max_sessions = 1)]
async fn vault() -> &'static str {
    "gold"
}

fn main() {}
