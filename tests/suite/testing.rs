//! Sign-in within the tests of an application.

use actix_identity::Identity;
use actix_web::{
    App, get,
    http::StatusCode,
    test::{TestRequest, call_service, init_service},
};
use session_expire::{
    Overflow, Policy, PolicyPatch, SessionExpire, SignInError, clock::ManualClock, minutes,
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
    assert!(matches!(refused, Err(SignInError::Refused(active)) if active.len() == 1));
    assert!(expire.cookie_for("bob").await.is_ok());
}
