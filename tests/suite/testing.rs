//! Sign-in within the tests of an application.

use actix_identity::Identity;
use actix_web::{
    App, get,
    http::StatusCode,
    test::{TestRequest, call_and_read_body, call_service, init_service},
    web,
};
use session_expire::{
    Overflow, Policy, PolicyPatch, PublicId, SessionExpire, SignInError, clock::ManualClock,
    minutes,
};

#[get("/private")]
async fn private(_user: Identity) -> &'static str {
    "private"
}

#[actix_web::test]
async fn cookie_for_applies_user_policy() {
    let clock = ManualClock::default();
    let builder = SessionExpire::builder(Policy::new().idle(minutes(10))).clock(clock.clone());
    let builder = builder.user_policy(|_| async { PolicyPatch::new().idle(minutes(1)) });
    let expire = builder.build().unwrap();
    let app = init_service(App::new().service(private).wrap(expire.clone())).await;
    let cookie = expire.cookie_for("alice").await.unwrap();
    let request = || TestRequest::get().uri("/private").cookie(cookie.clone()).to_request();
    assert_eq!(call_service(&app, request()).await.status(), StatusCode::OK);
    clock.advance(minutes(1));
    assert_eq!(call_service(&app, request()).await.status(), StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn cookie_for_enforces_session_limit() {
    let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    let expire = SessionExpire::builder(policy).build().unwrap();
    expire.cookie_for("alice").await.unwrap();
    let refused = expire.cookie_for("alice").await;
    assert!(matches!(refused, Err(SignInError::Refused { active, .. }) if active.len() == 1));
    assert!(expire.cookie_for("bob").await.is_ok());
}

#[get("/sessions/{id}")]
async fn session_page(id: web::Path<PublicId>) -> String {
    id.to_string()
}

#[actix_web::test]
async fn public_id_is_extracted_from_the_path() {
    let app = init_service(App::new().service(session_page)).await;
    let id = PublicId::random();
    let get = |id: &str| TestRequest::get().uri(&format!("/sessions/{id}")).to_request();
    assert_eq!(call_and_read_body(&app, get(id.as_str())).await, id.to_string());
    assert_eq!(call_service(&app, get("short")).await.status(), StatusCode::NOT_FOUND);
}
