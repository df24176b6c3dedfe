use actix_web::{dev::HttpServiceFactory, web};
use session_expire::session_policy;

#[session_policy(idle = "1m")]
fn two_scopes() -> impl HttpServiceFactory { //~ ERROR
    (web::scope("/gold"), web::scope("/silver"))
}

fn main() {}
