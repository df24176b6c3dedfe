//! Two applications in one process, and applications with a session entry of their own.

use actix_session::Session;
use actix_web::{HttpResponse, web};
use session_expire::{Policy, PolicyPatch, hours, minutes, seconds};
use session_expire_tests::Site;

fn strict(cfg: &mut web::ServiceConfig) {
    let patch = PolicyPatch::new().idle(seconds(60));
    cfg.service(web::resource("/strict").wrap(patch).to(HttpResponse::Ok));
}

#[test]
fn policy_of_one_application_does_not_change_the_writes_of_another() {
    let (lax, _strict) = (
        Site::builder().policy(Policy::new().idle(hours(1))).start(),
        Site::builder().policy(Policy::new().idle(hours(1))).routes(strict).start(),
    );
    let alice = lax.signed_in("alice");
    // The pages of the harness are as strict as one minute: a write per second at most.
    lax.registry.asked();
    lax.pass(seconds(1));
    alice.get("/private");
    assert_eq!(lax.registry.asked(), ["load"]);
}

async fn log_in_by_hand(session: Session, user: String) -> HttpResponse {
    match serde_json::from_str::<serde_json::Value>(&user) {
        Ok(json) => session.insert("user_id", json).unwrap(),
        Err(_) => session.insert("user_id", user).unwrap(),
    }
    HttpResponse::Ok().finish()
}

async fn user_by_hand(session: Session) -> String {
    match session.get::<serde_json::Value>("user_id").unwrap() {
        Some(user) => user.to_string(),
        None => "nobody".to_owned(),
    }
}

async fn renew(session: Session) -> String {
    session.renew();
    user_by_hand(session).await
}

async fn list_as_user(session: Session) -> HttpResponse {
    session.insert("user_id", ["alice"]).unwrap();
    HttpResponse::Ok().finish()
}

fn by_hand(cfg: &mut web::ServiceConfig) {
    cfg.route("/by-hand", web::post().to(log_in_by_hand))
        .route("/list", web::post().to(list_as_user))
        .route("/renew", web::get().to(renew))
        .route("/user", web::get().to(user_by_hand));
}

fn with_own_entry() -> Site {
    Site::builder().routes(by_hand).customise(|builder| builder.identity_key("user_id")).start()
}

#[test]
fn user_in_an_entry_of_the_application_expires() {
    let site = with_own_entry();
    let alice = site.browser();
    alice.request("POST", "/by-hand").json("alice").send();
    assert_eq!(alice.get("/user").body, "\"alice\"");
    assert_eq!(site.events(), ["alice signed in"]);
    site.pass(minutes(10));
    assert_eq!(alice.get("/user").body, "nobody");
}

#[test]
fn user_id_that_is_a_number_is_told_as_text_and_read_as_one() {
    let site = with_own_entry();
    let alice = site.browser();
    alice.request("POST", "/by-hand").json("17").send();
    assert_eq!(site.events(), ["17 signed in"]);
    assert_eq!(alice.get("/user").body, "17");
    alice.request("POST", "/by-hand").json("18").send();
    assert_eq!(alice.get("/user").body, "18", "of another user");
    assert_eq!(alice.get("/renew").body, "18");
    assert_eq!(alice.get("/user").body, "18", "after a renewal");
    site.events();
    site.registry.asked();
    alice.get("/user");
    assert_eq!(site.registry.asked(), ["load"], "nothing has changed");
    alice.request("POST", "/by-hand").json("\"18\"").send();
    assert_eq!(alice.get("/user").body, "\"18\"", "as text from now on");
    alice.request("POST", "/by-hand").json("18").send();
    assert_eq!(alice.get("/user").body, "18", "and as a number again");
}

#[test]
fn user_id_that_is_no_string_is_an_error_and_no_login() {
    let site = with_own_entry();
    let alice = site.browser();
    assert_eq!(alice.request("POST", "/list").send().status, 500);
    // A number that is not read back exactly names no user.
    let huge = "340282366920938463463374607431768211455";
    assert_eq!(alice.request("POST", "/by-hand").json(huge).send().status, 500);
    assert_eq!(alice.get("/user").body, "nobody");
    assert_eq!(site.events(), [""; 0]);
}
