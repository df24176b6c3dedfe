//! Policy layers. The policy of the handler that a request reaches decides.

use actix_identity::Identity;
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
    web,
};
use session_expire::{Limit, Policy, PolicyPatch, SessionHandle, hours, minutes};
use session_expire_tests::Site;

#[test]
fn laxer_handler_accepts_expired_session_of_application() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(30));
    let response = alice.get("/laxer");
    assert_eq!((response.status, response.body.as_str()), (200, "alice"));
    assert!(response.cookies().is_empty(), "{response:?}");
    site.advance(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "the request is activity");
}

#[test]
fn stricter_handler_ends_active_session_of_application() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(1));
    let response = alice.fetch("/stricter");
    assert_eq!((response.status, response.header("x-session-expired")), (401, "idle"));
    assert_eq!(alice.user_at("/private"), None, "a challenge ends the session");
}

#[test]
fn expired_session_is_anonymous_on_a_public_page() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    assert_eq!(alice.user_at("/public").as_deref(), Some("anonymous"));
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

async fn limits(session: SessionHandle) -> String {
    let policy = session.policy();
    format!("{:?} {:?} {:?}", policy.idle.at(), policy.absolute.at(), policy.message)
}

#[test]
fn policy_patches_merge_per_field_and_inner_wins() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let scope = PolicyPatch::new().idle(minutes(2)).absolute(minutes(30)).message("scope");
        let handler = PolicyPatch::new().idle(Limit::Off);
        let resource = web::resource("/limits").wrap(handler).route(web::get().to(limits));
        cfg.service(web::scope("/scope").wrap(scope).service(resource));
    };
    let site = Site::builder().routes(routes).start();
    let expected = r#"None Some(1800s) Some("scope")"#;
    assert_eq!(site.browser().get("/scope/limits").body, expected, "also for a visitor");
    assert_eq!(site.signed_in("alice").get("/scope/limits").body, expected);
}

/// Extracts the user, and yields before and after the handler.
async fn yields(
    user: Option<Identity>,
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    drop(user);
    actix_web::rt::task::yield_now().await;
    let res = next.call(req).await;
    actix_web::rt::task::yield_now().await;
    res
}

#[test]
fn laxer_handler_works_below_an_async_middleware() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let laxer = PolicyPatch::new().idle(hours(1));
        let resource = web::resource("/page").wrap(laxer).route(web::get().to(whoami));
        cfg.service(web::scope("/yielding").wrap(from_fn(yields)).service(resource));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    site.advance(minutes(30));
    assert_eq!(alice.user_at("/yielding/page").as_deref(), Some("alice"));
}

#[test]
fn innermost_of_many_layers_decides() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let page = |path| web::resource(path).route(web::get().to(whoami));
        let (strict, lax) = (minutes(1), hours(2));
        let scope = |path| web::scope(path);
        cfg.service(
            scope("/a").wrap(PolicyPatch::new().idle(lax)).service(
                scope("/b").wrap(PolicyPatch::new().idle(strict)).service(
                    scope("/c")
                        .wrap(PolicyPatch::new().idle(lax))
                        .service(page("/lax"))
                        .service(page("/strict").wrap(PolicyPatch::new().idle(strict))),
                ),
            ),
        );
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    site.advance(minutes(30));
    let response = alice.get("/a/b/c/lax");
    assert_eq!((response.status, response.cookies().len()), (200, 0), "{response:?}");
    site.advance(minutes(30));
    assert_eq!(alice.user_at("/a/b/c/strict"), None);
}

#[test]
fn login_url_and_message_are_per_handler() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let patch = PolicyPatch::new().login_url("/staff/login").message("Staff only.");
        cfg.service(web::resource("/staff").wrap(patch).route(web::get().to(whoami)));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    assert_eq!(alice.get("/staff").redirect(), (303, "/staff/login?next=/staff"));
    assert_eq!(alice.read_messages(), "[warning idle] Staff only.");
}

#[test]
fn timeout_can_be_off_for_one_handler() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let patch = PolicyPatch::new().idle(Limit::Off);
        cfg.service(web::resource("/wall").wrap(patch).route(web::get().to(whoami)));
    };
    let site = Site::builder().policy(Policy::new().idle(minutes(1))).routes(routes).start();
    let alice = site.signed_in("alice");
    site.advance(hours(11));
    assert_eq!(alice.user_at("/wall").as_deref(), Some("alice"));
}
