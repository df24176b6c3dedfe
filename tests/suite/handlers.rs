//! Handlers do all kinds of things to the session; it stays what it should be.

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    dev::ServiceRequest,
    error::{ErrorImATeapot, ErrorUnauthorized},
    web,
};
use session_expire::{Limit, Policy, SessionHandle, hours, minutes};
use session_expire_tests::Site;

async fn panics(user: Identity) -> HttpResponse {
    panic!("{} met a handler that panics", user.id().unwrap());
}

async fn errs(session: Session) -> actix_web::Result<String> {
    session.insert("note", "kept")?;
    Err(ErrorImATeapot("short and stout"))
}

async fn note(session: Session) -> String {
    session.get::<String>("note").ok().flatten().unwrap_or_default()
}

async fn clears(session: Session) -> &'static str {
    session.clear();
    "cleared"
}

async fn renews(session: Session) -> &'static str {
    session.renew();
    "renewed"
}

async fn purges(session: Session) -> &'static str {
    session.purge();
    "purged"
}

async fn writes_user(session: Session) -> actix_web::Result<&'static str> {
    session.insert("actix_identity.user_id", "mallory")?;
    Ok("written")
}

async fn switches(req: HttpRequest, user: Identity) -> actix_web::Result<String> {
    let old = user.id()?;
    let new = Identity::login(&req.extensions(), "bob".to_owned()).unwrap();
    Ok(format!("{old} -> {}", new.id()?))
}

async fn leaves_and_comes_back(req: HttpRequest, session: Session) -> &'static str {
    // What actix-identity does at logout when it is told to delete only its keys.
    session.remove("actix_identity.user_id");
    Identity::login(&req.extensions(), "bobby".to_owned()).unwrap();
    "back"
}

async fn leaves_and_means_it(session: SessionHandle) -> HttpResponse {
    session.keep_response();
    session.sign_out();
    HttpResponse::Unauthorized().body("gone")
}

async fn flips(req: HttpRequest) -> &'static str {
    for user in ["bob", "carol", "alice"] {
        Identity::login(&req.extensions(), user.to_owned()).unwrap();
    }
    "flipped"
}

async fn logs_in_and_fails(req: HttpRequest) -> actix_web::Result<String> {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    Err(ErrorImATeapot("but first tea"))
}

async fn stores(session: Session, size: web::Path<usize>) -> &'static str {
    session.insert("large", "x".repeat(*size)).unwrap();
    "stored"
}

fn routes(cfg: &mut web::ServiceConfig) {
    let fails = |req: ServiceRequest, _: &_| {
        drop(req);
        Box::pin(async { Err::<actix_web::dev::ServiceResponse, _>(ErrorUnauthorized("guarded")) })
    };
    cfg.route("/panics", web::get().to(panics))
        .route("/errs", web::get().to(errs))
        .route("/note", web::get().to(note))
        .route("/clears", web::get().to(clears))
        .route("/renews", web::get().to(renews))
        .route("/purges", web::get().to(purges))
        .route("/writes-user", web::get().to(writes_user))
        .route("/switches", web::get().to(switches))
        .route("/leaves-and-comes-back", web::get().to(leaves_and_comes_back))
        .route("/leaves-and-means-it", web::get().to(leaves_and_means_it))
        .route("/flips", web::get().to(flips))
        .route("/stores/{size}", web::get().to(stores))
        .route("/logs-in-and-fails", web::get().to(logs_in_and_fails))
        .service(web::scope("/guarded").wrap_fn(fails).route("/page", web::get().to(note)));
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

#[test]
fn a_handler_that_panics_costs_one_answer_and_no_session() {
    let site = site();
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/panics").status, 0);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn a_handler_that_errs_keeps_what_it_wrote() {
    let site = site();
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/errs").status, 418);
    assert_eq!(alice.get("/note").body, "kept");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn a_login_in_a_handler_that_errs_is_recorded_like_any_other() {
    let site = site();
    let browser = site.browser();
    assert_eq!(browser.get("/logs-in-and-fails").status, 418);
    assert_eq!(browser.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(site.events(), ["alice signed in"]);
}

#[test]
fn clearing_or_purging_the_session_signs_out_for_good() {
    for path in ["/clears", "/purges"] {
        let site = site();
        let alice = site.signed_in("alice");
        let thief = alice.stolen();
        assert_eq!(alice.get(path).status, 200);
        assert_eq!(alice.user_at("/private"), None, "{path}");
        assert_eq!(thief.user_at("/private"), None, "{path}");
        assert_eq!(site.events()[..2], ["alice signed in", "alice ended: logged_out"], "{path}");
    }
}

#[test]
fn clearing_an_expired_session_in_a_handler_still_tells_the_reason() {
    for path in ["/clears", "/purges", "/renews"] {
        let site = site();
        let alice = site.signed_in("alice");
        site.pass(minutes(10));
        assert_eq!(alice.get(path).status, 200);
        assert!(alice.messages().starts_with("[warning idle]"), "{path}");
    }
}

#[test]
fn renewing_the_session_id_is_no_new_login() {
    let policy = Policy::new().idle(Limit::Off).absolute(hours(1));
    let site = Site::builder().policy(policy).routes(routes).start();
    let alice = site.signed_in("alice");
    for _ in 0..6 {
        assert_eq!(alice.get("/renews").status, 200);
        site.pass(minutes(10));
    }
    assert_eq!(alice.user_at("/private"), None, "or whoever renews would never be signed out");
    assert_eq!(site.events(), ["alice signed in", "alice ended: absolute"]);
}

#[test]
fn switching_accounts_ends_the_one_and_begins_the_other() {
    let site = site();
    let browser = site.signed_in("alice");
    let thief = browser.stolen();
    assert_eq!(browser.get("/switches").body, "alice -> bob");
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
    assert_eq!(thief.user_at("/private"), None);
    assert_eq!(
        site.events(),
        ["alice signed in", "alice ended: logged_out", "bob signed in", "refused: logged_out"]
    );
}

#[test]
fn a_user_of_the_same_length_at_the_same_place_in_memory_is_another_user() {
    let site = site();
    let browser = site.signed_in("alice");
    browser.get("/leaves-and-comes-back");
    assert_eq!(browser.user_at("/private").as_deref(), Some("bobby"));
    assert_eq!(site.events()[1..], ["alice ended: logged_out", "bobby signed in"]);
}

#[test]
fn kept_response_still_signs_out() {
    let site = site();
    let alice = site.signed_in("alice");
    let thief = alice.stolen();
    assert_eq!(alice.get("/leaves-and-means-it").body, "gone");
    assert_eq!(thief.user_at("/private"), None);
}

#[test]
fn of_many_logins_in_one_request_the_last_one_counts() {
    let site = site();
    let browser = site.browser();
    assert_eq!(browser.get("/flips").status, 200);
    assert_eq!(browser.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(site.events(), ["alice signed in"]);
}

#[test]
fn a_user_written_by_hand_is_a_login_of_that_user() {
    let site = site();
    let browser = site.signed_in("alice");
    browser.get("/writes-user");
    assert_eq!(browser.user_at("/private").as_deref(), Some("mallory"));
    assert_eq!(site.events()[1..], ["alice ended: logged_out", "mallory signed in"]);
}

#[test]
fn a_middleware_that_errs_further_in_still_ends_what_is_over() {
    let site = site();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    let answer = alice.get("/guarded/page");
    assert_eq!(answer.redirect(), (303, "/login?next=/guarded/page"));
    assert_eq!(answer.header("x-session-expired"), "idle");
    assert_eq!(site.events()[1..], ["alice ended: idle"]);
    assert!(alice.messages().starts_with("[warning idle]"));
}

/// The cookie of an anonymous visitor holds 4,096 bytes.
#[test]
fn entries_too_large_for_an_anonymous_cookie_are_an_error() {
    for size in [5_000, 60_000, 70_000] {
        let site = site();
        let path = format!("/stores/{size}");
        assert_eq!(site.browser().get(&path).status, 500, "{size}");
        let alice = site.signed_in("alice");
        site.pass(hours(1));
        assert_eq!(alice.get(&path).status, 500, "{size}, expired");
    }
}
