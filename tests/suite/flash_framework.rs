//! The middleware together with `FlashMessagesFramework` of actix-web-flash-messages 0.5.
//!
//! The framework has its cookie store here. Its session store needs actix-session 0.10, whose
//! `Session` is another type.

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, cookie::Key, web};
use actix_web_flash_messages::{
    FlashMessage, FlashMessagesFramework, IncomingFlashMessages, storage::CookieMessageStore,
};
use session_expire::{FlashMessages, Policy, SessionExpire, clock::ManualClock, minutes};
use session_expire_tests::{Browser, Server, TestResponse, pages, serve};

fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header(("location", path)).finish()
}

async fn save(text: String) -> HttpResponse {
    FlashMessage::info(text).send();
    see_other("/list")
}

async fn list(incoming: IncomingFlashMessages) -> String {
    incoming.iter().map(|message| format!("[{}]", message.content())).collect()
}

/// Shows the messages of the framework and of the middleware, as during a migration.
async fn list_all(incoming: IncomingFlashMessages, own: FlashMessages) -> String {
    let own: String = own.into_iter().map(|message| format!("<{message}>")).collect();
    list(incoming).await + &own
}

async fn enter(req: HttpRequest, session: Session, own: FlashMessages) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    session.insert("cart", 1).unwrap();
    FlashMessage::success("welcome").send();
    own.success("hello");
    see_other("/list-all")
}

async fn leave(user: Identity) -> HttpResponse {
    user.logout();
    FlashMessage::info("bye").send();
    see_other("/list")
}

/// Responds with an empty 401 and a message.
async fn refuse() -> HttpResponse {
    FlashMessage::error("sign in first").send();
    HttpResponse::Unauthorized().finish()
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/save", web::post().to(save))
        .route("/list", web::get().to(list))
        .route("/list-all", web::get().to(list_all))
        .route("/enter", web::post().to(enter))
        .route("/leave", web::post().to(leave))
        .route("/refuse", web::get().to(refuse))
        .configure(pages);
}

struct Site {
    position: &'static str,
    server: Server,
    clock: ManualClock,
}

impl Site {
    fn signed_in(&self) -> Browser {
        let browser = self.server.browser();
        browser.sign_in("alice");
        browser
    }

    #[track_caller]
    fn assert(&self, response: &TestResponse, expected: (u16, &str)) {
        assert_eq!((response.status, &*response.body), expected, "{}: {response:?}", self.position);
    }
}

/// Returns a site with the framework inside the middleware, and one with it outside.
fn sites() -> [Site; 2] {
    let clock = ManualClock::default();
    let expire = SessionExpire::builder(Policy::new().idle(minutes(10)));
    let expire = expire.plain_http(true).clock(clock.clone()).build().unwrap();
    let framework = || {
        let store = CookieMessageStore::builder(Key::from(&[1; 64])).build();
        FlashMessagesFramework::builder(store).build()
    };
    let (other, app) = (expire.clone(), || App::new().configure(routes));
    let inside = serve!(app().wrap(framework()).wrap(expire.clone()));
    let outside = serve!(app().wrap(other.clone()).wrap(framework()));
    [("inside", inside), ("outside", outside)].map(|(position, server)| {
        let clock = clock.clone();
        Site { position, server, clock }
    })
}

#[test]
fn message_survives_a_redirect_and_is_shown_once() {
    for site in sites() {
        for browser in [site.server.browser(), site.signed_in()] {
            let response = browser.post("/save", "saved");
            site.assert(&response, (303, ""));
            site.assert(&browser.get("/list"), (200, "[saved]"));
            site.assert(&browser.get("/list"), (200, ""));
        }
    }
}

#[test]
fn message_of_a_login_is_shown_after_it() {
    for site in sites() {
        let alice = site.server.browser();
        site.assert(&alice.post("/enter", ""), (303, ""));
        site.assert(&alice.get("/list-all"), (200, "[welcome]<hello>"));
        site.assert(&alice.get("/private"), (200, "alice"));
        site.assert(&alice.get("/list-all"), (200, ""));
    }
}

#[test]
fn message_of_a_sign_out_is_shown_to_the_visitor() {
    for site in sites() {
        let alice = site.signed_in();
        site.assert(&alice.post("/leave", ""), (303, ""));
        site.assert(&alice.get("/list"), (200, "[bye]"));
        assert_eq!(alice.user_at("/private"), None);
    }
}

#[test]
fn message_of_a_challenge_reaches_the_login_page() {
    for site in sites() {
        let expired = site.signed_in();
        site.clock.advance(minutes(10));
        for browser in [site.server.browser(), expired] {
            let response = browser.get("/refuse");
            assert_eq!(response.redirect().0, 303, "{}: {response:?}", site.position);
            site.assert(&browser.get("/list"), (200, "[sign in first]"));
        }
    }
}

#[test]
fn reason_is_shown_beside_the_framework() {
    for site in sites() {
        let alice = site.signed_in();
        site.clock.advance(minutes(10));
        alice.post("/save", "saved");
        let body = alice.get("/list-all").body;
        assert!(body.starts_with("[saved]<") && body.contains("not been active"), "{body}");
        site.assert(&alice.get("/list-all"), (200, ""));
    }
}
