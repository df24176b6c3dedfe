//! Single sign-on by a middleware of the application, with the user in a header.

use actix_identity::{Identity, IdentityExt};
use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
    web,
};
use session_expire::{PolicyPatch, SessionHandle, minutes};
use session_expire_tests::{Browser, Site, TestResponse};

/// Signs in the user of `x-user` if the request has no user. With `x-how`, it always signs in.
async fn single_sign_on(
    mut req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    let header = |name| req.headers().get(name).and_then(|text| text.to_str().ok());
    let (name, how) = (header("x-user").map(str::to_owned), header("x-how").map(str::to_owned));
    match (name, how.as_deref()) {
        (Some(name), Some("handle")) => {
            let handle = req.extract::<SessionHandle>().await?;
            handle.sign_in(name).await.unwrap();
        }
        (Some(name), how) if how.is_some() || req.get_identity().is_err() => {
            Identity::login(&req.extensions(), name).unwrap();
        }
        _ => {}
    }
    next.call(req).await
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

async fn id(handle: SessionHandle) -> String {
    handle.id().map_or_else(String::new, |id| id.to_string())
}

async fn panics(_: Identity) -> String {
    panic!("after the login of the middleware")
}

fn routes(cfg: &mut web::ServiceConfig) {
    let strict = || PolicyPatch::new().idle(minutes(1)).require_login(true);
    let scope = web::scope("/sso")
        .service(web::resource("/strict").wrap(strict()).to(whoami))
        .route("/whoami", web::to(whoami))
        .route("/id", web::to(id))
        .route("/panics", web::to(panics))
        .wrap(from_fn(single_sign_on));
    cfg.service(scope);
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

fn get_as(browser: &Browser, path: &str, user: &str) -> TestResponse {
    browser.request("GET", path).header("x-user", user).send()
}

#[test]
fn first_request_signs_in_and_later_ones_use_the_session() {
    let site = site();
    let alice = site.browser();
    for _ in 0..3 {
        let response = get_as(&alice, "/sso/whoami", "alice");
        assert_eq!((response.status, &*response.body), (200, "alice"));
    }
    assert_eq!(site.take_events(), ["alice signed in"]);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    let (first, second) = (get_as(&alice, "/sso/id", "alice"), alice.get("/sso/id"));
    assert_eq!((first.body.is_empty(), first.cookies().len()), (false, 0));
    assert_eq!(first.body, second.body);
}

#[test]
fn ended_session_is_replaced_by_new_login() {
    let site = site();
    let alice = site.browser();
    get_as(&alice, "/sso/whoami", "alice");
    let attacker = alice.copy();
    site.advance(minutes(10));
    assert_eq!(get_as(&alice, "/sso/whoami", "alice").body, "alice");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(attacker.user_at("/private"), None, "the cookie of the ended session");
    alice.post("/logout", "");
    assert_eq!(get_as(&alice, "/sso/whoami", "bob").body, "bob");
    assert_eq!(alice.user_at("/private").as_deref(), Some("bob"));
    assert_eq!(alice.read_messages(), "", "the login drops the reason");
}

#[test]
fn login_over_an_unknown_cookie_signs_in() {
    let site = site();
    let unknown = "a".repeat(30);
    let sealed = session_expire_tests::seal_anonymous_cookie("{\"t\":0}");
    for (name, value) in [
        ("id", &*unknown),
        ("id", ""),
        ("id", "\"\\;,= \u{e9}"),
        ("id", "short"),
        ("anonymous", "forged"),
        ("anonymous", &*sealed),
    ] {
        let browser = site.browser();
        browser.set_cookie(name, value);
        assert_eq!(get_as(&browser, "/sso/whoami", "alice").body, "alice", "{name}={value}");
        let user = browser.user_at("/private");
        assert_eq!(user.as_deref(), Some("alice"), "{name}={value}: {}", browser.cookie());
    }
}

#[test]
fn stricter_page_accepts_new_login() {
    let site = site();
    let alice = site.browser();
    assert_eq!(get_as(&alice, "/sso/strict", "alice").body, "alice");
    site.advance(minutes(5));
    // The session is active for the middleware, which does not sign in, and expired for the page.
    let response = get_as(&alice, "/sso/strict", "alice");
    assert_eq!(response.status, 303, "{response:?}");
    // The challenge ends the session, so the next request signs in.
    assert_eq!(get_as(&alice, "/sso/strict", "alice").body, "alice");
    let events = ["alice signed in", "alice ended: idle", "refused: idle", "alice signed in"];
    assert_eq!(site.take_events(), events);
}

#[test]
fn login_by_a_middleware_satisfies_require_login() {
    for how in ["handle", "identity"] {
        let site = site();
        let browser = site.browser();
        let request = browser.request("GET", "/sso/strict").header("x-user", "alice");
        let response = request.header("x-how", how).send();
        assert_eq!((response.status, response.body.as_str()), (200, "alice"), "{how}");
    }
}

#[test]
fn login_over_suspended_session_is_kept() {
    for (user, how) in [("alice", "handle"), ("bob", "handle"), ("bob", "identity")] {
        let site = site();
        let alice = site.signed_in("alice");
        site.advance(minutes(5));
        let request = alice.request("POST", "/sso/strict").header("x-user", user);
        assert_eq!(request.header("x-how", how).send().body, user, "{how}");
        assert_eq!(alice.user_at("/private").as_deref(), Some(user), "{how}");
    }
}

#[test]
fn panic_after_the_login_signs_no_user_in() {
    let site = site();
    let alice = site.browser();
    assert_eq!(get_as(&alice, "/sso/panics", "alice").status, 0);
    assert_eq!((alice.cookie(), site.registry.record_count()), (String::new(), 0));
    assert_eq!(get_as(&alice, "/sso/whoami", "alice").body, "alice");
    assert_eq!(get_as(&alice, "/sso/panics", "alice").status, 0);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(site.take_events(), ["alice signed in"]);
}
