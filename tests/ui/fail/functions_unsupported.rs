use actix_web::{
    Responder,
    http::{Method, Uri as U},
    web,
};
use session_expire::session_policy;

#[session_policy(idle = "1m")]
const fn constant() -> u8 { //~ ERROR
    1
}

#[session_policy(idle = "1m")]
unsafe fn unsafe_function() {} //~ ERROR

#[session_policy(idle = "1m")]
extern "C" fn extern_function() {} //~ ERROR

#[session_policy(idle = "1m")]
fn returns_nothing() {} //~ ERROR

#[session_policy(idle = "1m")]
fn returns_text() -> String { //~ ERROR
    String::new()
}

#[session_policy(idle = "1m")]
fn responder_without_async() -> impl Responder { //~ ERROR
    "gold"
}

#[session_policy(idle = "1m")]
fn configures(config: &mut web::ServiceConfig) { //~ ERROR
    config.service(web::scope("/vault"));
}

#[session_policy(idle = "1m")]
async fn seventeen_extractors(
    _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U, _: U,
    _: Method, //~ ERROR
) -> &'static str {
    "gold"
}

struct Vault;

impl Vault {
    #[session_policy(idle = "1m")]
    async fn method(&self) -> &'static str { //~ ERROR
        "gold"
    }
}

trait Open {
    #[session_policy(idle = "1m")] //~ ERROR
    fn trait_function();
}

#[session_policy(idle = "1m")]
#[actix_web::main]
async fn main() {} //~ ERROR
