//! A sign-out is a success only if the session has ended.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse},
    error::ErrorBadGateway,
    web,
};
use session_expire::{SessionHandle, minutes};
use session_expire_tests::{Answer, Site};

type LocalBoxFuture = Pin<Box<dyn Future<Output = actix_web::Result<ServiceResponse>>>>;

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/purge", web::post().to(purge))
        .route("/clear", web::post().to(clear))
        .route("/insert-and-clear", web::post().to(insert_and_clear))
        .route("/clear-and-insert", web::post().to(clear_and_insert))
        .route("/remove", web::post().to(remove))
        .route("/account/bye", web::post().to(optional))
        .route("/purge", web::head().to(purge))
        .service(web::resource("/failing").wrap_fn(fail_after).route(web::post().to(purge)));
}

async fn purge(session: Session) -> &'static str {
    session.purge();
    "bye"
}

async fn clear(session: Session) -> &'static str {
    session.clear();
    "bye"
}

async fn insert_and_clear(session: Session) -> &'static str {
    session.insert("a", 1).unwrap();
    session.clear();
    "bye"
}

async fn clear_and_insert(session: Session) -> &'static str {
    session.clear();
    session.insert("a", 1).unwrap();
    "bye"
}

async fn remove(session: Session) -> &'static str {
    session.remove("actix_identity.user_id");
    "bye"
}

/// A middleware that fails after its handler has signed the user out.
fn fail_after<S>(req: ServiceRequest, service: &S) -> LocalBoxFuture
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = actix_web::Error>,
    S::Future: 'static,
{
    let inside = service.call(req);
    Box::pin(async move { inside.await.and_then(|_| Err(ErrorBadGateway("no"))) })
}

async fn optional(user: Option<Identity>) -> HttpResponse {
    if let Some(user) = user {
        user.logout();
    }
    HttpResponse::Ok().body("bye")
}

fn site() -> Site {
    let site = Site::builder().routes(routes);
    site.customise(|builder| builder.logout_url("/account/bye")).start()
}

const ALL: [&str; 9] = [
    "/purge",
    "/clear",
    "/insert-and-clear",
    "/clear-and-insert",
    "/remove",
    "/account/bye",
    "/logout",
    "/sign-out",
    "/session/logout",
];

fn assert_unavailable(answer: &Answer, case: &str) {
    assert_eq!((answer.status, answer.cookies().len()), (503, 0), "{case}: {answer:?}");
    assert!(!answer.body.contains("bye"), "{case}");
}

#[test]
fn sign_out_ends_the_session_and_deletes_its_cookie() {
    for path in ALL {
        let site = site();
        let alice = site.signed_in("alice");
        let copy = alice.stolen();
        let answer = alice.post(path, "");
        assert!(answer.status < 400, "{path}");
        assert!(answer.cookies()[0].starts_with("id=; "), "{path}: {answer:?}");
        assert_eq!(copy.fetch("/private").header("x-session-expired"), "logged_out", "{path}");
        assert_eq!(site.events()[1], "alice ended: logged_out", "{path}");
    }
}

#[test]
fn sign_out_during_an_outage_is_no_success() {
    // What removes entries that cannot be seen during an outage cannot be told from a visitor.
    let seen = ALL.iter().filter(|path| !matches!(**path, "/remove" | "/clear-and-insert"));
    for path in seen {
        let site = site();
        let alice = site.signed_in("alice");
        site.registry.set_down(true);
        let answer = alice.post(path, "");
        // A required `Identity` is not there either.
        assert_unavailable(&answer, path);
        site.registry.set_down(false);
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{path}");
    }
}

#[test]
fn sign_out_that_cannot_be_recorded_is_no_success() {
    for path in ALL {
        let site = site();
        let alice = site.signed_in("alice");
        site.registry.fail_next("end");
        assert_unavailable(&alice.post(path, ""), path);
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{path}");
    }
}

#[test]
fn sign_out_of_an_ended_session_leaves_its_dead_cookie() {
    for (path, message) in [("/sign-out", ""), ("/session/logout", "[success logged_out] ")] {
        let site = site();
        let alice = site.signed_in("alice");
        alice.stolen().post("/sign-out", "");
        let answer = alice.post(path, "");
        assert_eq!(answer.status, 303, "{path}");
        assert!(!answer.cookies().iter().any(|cookie| cookie.starts_with("id=")), "{answer:?}");
        assert!(alice.messages().starts_with(message), "{path}");
        assert_eq!(alice.messages(), "", "{path}");
        drop(site.registry.asked());
        assert_eq!(alice.user_at("/public").as_deref(), Some("anonymous"));
        assert!(site.registry.asked().is_empty(), "the dead key is not looked up again");
    }
}

#[test]
fn sign_out_failed_by_a_middleware_ends_nothing() {
    let site = site();
    let (alice, expired) = (site.signed_in("alice"), site.signed_in("bob"));
    let answer = alice.post("/failing", "");
    assert_eq!((answer.status, answer.cookies().len()), (502, 0));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    site.pass(minutes(10));
    let answer = expired.post("/failing", "");
    assert_eq!((answer.status, answer.cookies().len()), (502, 0));
    assert_eq!(expired.user_at("/looser").as_deref(), Some("bob"));
}

/// A body that signs the user out while it is sent.
struct LateSignOut(Option<SessionHandle>);

impl MessageBody for LateSignOut {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Infallible>>> {
        let sign_out = |session: SessionHandle| session.sign_out();
        let chunk = self.0.take().map(sign_out).map(|()| Ok(web::Bytes::from_static(b"late")));
        Poll::Ready(chunk)
    }
}

#[test]
fn sign_out_after_the_response_was_sent_does_nothing() {
    let site = Site::builder()
        .routes(|cfg| {
            let late = |session: SessionHandle| async {
                HttpResponse::Ok().body(LateSignOut(Some(session)))
            };
            cfg.route("/late", web::get().to(late));
        })
        .start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/late").body, "late");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn head_request_signs_no_user_out() {
    let site = site();
    let alice = site.signed_in("alice");
    let answer = alice.request("HEAD", "/purge").send();
    assert_eq!((answer.status, answer.cookies().len()), (200, 0));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}
