//! The entry of `Session` that holds the user id.

use actix_session::Session;
use actix_web::{HttpResponse, web};
use session_expire::minutes;
use session_expire_tests::Site;

async fn write_user(session: Session, user: String) -> HttpResponse {
    match serde_json::from_str::<serde_json::Value>(&user) {
        Ok(json) => session.insert("user_id", json).unwrap(),
        Err(_) => session.insert("user_id", user).unwrap(),
    }
    HttpResponse::Ok().finish()
}

async fn read_user(session: Session) -> String {
    match session.get::<serde_json::Value>("user_id").unwrap() {
        Some(user) => user.to_string(),
        None => "none".to_owned(),
    }
}

async fn renew(session: Session) -> String {
    session.renew();
    read_user(session).await
}

async fn write_list(session: Session) -> HttpResponse {
    session.insert("user_id", ["alice"]).unwrap();
    HttpResponse::Ok().finish()
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/write", web::post().to(write_user))
        .route("/list", web::post().to(write_list))
        .route("/renew", web::get().to(renew))
        .route("/user", web::get().to(read_user));
}

fn site() -> Site {
    Site::builder().routes(routes).customise(|builder| builder.identity_key("user_id")).start()
}

#[test]
fn user_in_an_entry_of_the_application_expires() {
    let site = site();
    let alice = site.browser();
    alice.request("POST", "/write").json("alice").send();
    assert_eq!(alice.get("/user").body, "\"alice\"");
    assert_eq!(site.take_events(), ["alice signed in"]);
    site.advance(minutes(10));
    assert_eq!(alice.get("/user").body, "none");
}

#[test]
fn numeric_user_id_stays_a_number() {
    let site = site();
    let alice = site.browser();
    alice.request("POST", "/write").json("17").send();
    assert_eq!(site.take_events(), ["17 signed in"]);
    assert_eq!(alice.get("/user").body, "17");
    alice.request("POST", "/write").json("18").send();
    assert_eq!(alice.get("/user").body, "18", "another user");
    assert_eq!(alice.get("/renew").body, "18");
    assert_eq!(alice.get("/user").body, "18", "after a renewal");
    site.take_events();
    site.registry.take_operations();
    alice.get("/user");
    assert_eq!(site.registry.take_operations(), ["load"], "nothing is written");
    alice.request("POST", "/write").json("\"18\"").send();
    assert_eq!(alice.get("/user").body, "\"18\"", "a string from now on");
    alice.request("POST", "/write").json("18").send();
    assert_eq!(alice.get("/user").body, "18", "a number again");
}

#[test]
fn user_id_of_another_type_is_an_error() {
    let site = site();
    let alice = site.browser();
    assert_eq!(alice.request("POST", "/list").send().status, 500);
    // `serde_json` reads this number as a float.
    let huge = "340282366920938463463374607431768211455";
    assert_eq!(alice.request("POST", "/write").json(huge).send().status, 500);
    assert_eq!(alice.get("/user").body, "none");
    assert_eq!(site.take_events(), [""; 0]);
}

async fn write_default_entry(session: Session) -> HttpResponse {
    session.insert("actix_identity.user_id", "mallory").unwrap();
    HttpResponse::Ok().finish()
}

#[test]
fn user_id_written_by_a_handler_is_a_login() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/write", web::get().to(write_default_entry));
        })
        .start();
    let browser = site.signed_in("alice");
    browser.get("/write");
    assert_eq!(browser.user_at("/private").as_deref(), Some("mallory"));
    assert_eq!(site.take_events()[1..], ["alice ended: logged_out", "mallory signed in"]);
}
