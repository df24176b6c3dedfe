use actix_web::{Responder, get};

#[get("/vault")]
async fn vault() -> impl Responder {
    "gold"
}
