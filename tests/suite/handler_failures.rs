//! Handlers that fail or panic.

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, error::ErrorImATeapot, web};
use session_expire_tests::Site;

async fn panicking(user: Identity) -> HttpResponse {
    panic!("in a handler for {}", user.id().unwrap());
}

async fn failing(session: Session) -> actix_web::Result<String> {
    session.insert("note", "kept")?;
    Err(ErrorImATeapot("no"))
}

async fn note(session: Session) -> String {
    session.get::<String>("note").ok().flatten().unwrap_or_default()
}

async fn failing_login(req: HttpRequest) -> actix_web::Result<String> {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    Err(ErrorImATeapot("no"))
}

fn site() -> Site {
    let site = Site::builder().routes(|cfg| {
        cfg.route("/panicking", web::get().to(panicking))
            .route("/failing", web::get().to(failing))
            .route("/failing-login", web::get().to(failing_login))
            .route("/note", web::get().to(note));
    });
    site.start()
}

#[test]
fn panicking_handler_keeps_the_session() {
    let site = site();
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/panicking").status, 0);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn failing_handler_keeps_its_writes() {
    let site = site();
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/failing").status, 418);
    assert_eq!(alice.get("/note").body, "kept");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn login_in_a_failing_handler_is_recorded() {
    let site = site();
    let browser = site.browser();
    assert_eq!(browser.get("/failing-login").status, 418);
    assert_eq!(browser.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(site.take_events(), ["alice signed in"]);
}
