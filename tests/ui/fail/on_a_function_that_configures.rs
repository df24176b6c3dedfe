use actix_web::web;
use session_expire::session_policy;

#[session_policy(idle = "1m")]
fn vault(config: &mut web::ServiceConfig) {
    config.service(web::scope("/vault"));
}

fn main() {}
