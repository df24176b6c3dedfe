use session_expire::session_policy;

#[session_policy(idle = "1m")]
#[actix_web::main]
async fn main() {}
