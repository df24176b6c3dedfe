//! The policy of the handler that a request reaches decides, in both directions.

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
fn a_looser_handler_accepts_what_the_app_calls_expired() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(30));
    let answer = alice.get("/looser");
    assert_eq!((answer.status, answer.body.as_str()), (200, "alice"));
    assert!(
        answer.cookies().is_empty(),
        "hiding and showing again must leave no trace: {answer:?}"
    );
    site.pass(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "that was activity");
}

#[test]
fn a_stricter_handler_refuses_what_the_app_accepts() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(1));
    let answer = alice.fetch("/stricter");
    assert_eq!((answer.status, answer.header("x-session-expired")), (401, "idle"));
    assert_eq!(alice.user_at("/private"), None, "a session that was called over is over");
}

#[test]
fn a_public_page_goes_on_working_for_someone_whose_session_has_died() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
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
fn scope_and_handler_combine_field_by_field_and_the_inner_one_wins() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let scope = PolicyPatch::new().idle(minutes(2)).absolute(minutes(30)).message("scope");
        let handler = PolicyPatch::new().idle(Limit::Off);
        let resource = web::resource("/limits").wrap(handler).route(web::get().to(limits));
        cfg.service(web::scope("/scope").wrap(scope).service(resource));
    };
    let site = Site::builder().routes(routes).start();
    let expected = r#"None Some(1800s) Some("scope")"#;
    assert_eq!(site.browser().get("/scope/limits").body, expected, "also for a stranger");
    assert_eq!(site.signed_in("alice").get("/scope/limits").body, expected);
}

/// An asynchronous middleware that really waits, and looks at the session on its way.
async fn waits(
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
fn a_looser_handler_is_reached_below_an_asynchronous_middleware_of_its_scope() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let looser = PolicyPatch::new().idle(hours(1));
        let resource = web::resource("/page").wrap(looser).route(web::get().to(whoami));
        cfg.service(web::scope("/waiting").wrap(from_fn(waits)).service(resource));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    site.pass(minutes(30));
    assert_eq!(alice.user_at("/waiting/page").as_deref(), Some("alice"));
}

#[test]
fn last_of_many_layers_counts() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let page = |path| web::resource(path).route(web::get().to(whoami));
        let (strict, loose) = (minutes(1), hours(2));
        let scope = |path| web::scope(path);
        cfg.service(
            scope("/a").wrap(PolicyPatch::new().idle(loose)).service(
                scope("/b").wrap(PolicyPatch::new().idle(strict)).service(
                    scope("/c")
                        .wrap(PolicyPatch::new().idle(loose))
                        .service(page("/loose"))
                        .service(page("/strict").wrap(PolicyPatch::new().idle(strict))),
                ),
            ),
        );
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    site.pass(minutes(30));
    let answer = alice.get("/a/b/c/loose");
    assert_eq!((answer.status, answer.cookies().len()), (200, 0), "{answer:?}");
    site.pass(minutes(30));
    assert_eq!(alice.user_at("/a/b/c/strict"), None);
}

#[test]
fn the_session_of_a_looser_page_comes_back_whole() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/visits").body, "1");
    site.pass(minutes(30));
    assert_eq!(alice.user_at("/looser").as_deref(), Some("alice"));
    assert_eq!(alice.get("/visits").body, "2");
}

#[test]
fn a_handler_names_its_own_login_page_and_message() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let patch = PolicyPatch::new().login_url("/staff/login").message("Staff only.");
        cfg.service(web::resource("/staff").wrap(patch).route(web::get().to(whoami)));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    assert_eq!(alice.get("/staff").redirect(), (303, "/staff/login?next=/staff"));
    assert_eq!(alice.messages(), "[warning idle] Staff only.");
}

#[test]
fn a_limit_can_be_switched_off_for_one_handler() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let patch = PolicyPatch::new().idle(Limit::Off);
        cfg.service(web::resource("/wall").wrap(patch).route(web::get().to(whoami)));
    };
    let site = Site::builder().policy(Policy::new().idle(minutes(1))).routes(routes).start();
    let alice = site.signed_in("alice");
    site.pass(hours(11));
    assert_eq!(alice.user_at("/wall").as_deref(), Some("alice"));
}

#[test]
fn picture_ends_no_session_of_its_looser_page() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(30));
    let picture = |path| {
        let request = alice.request("GET", path).header("sec-fetch-mode", "no-cors");
        request.header("sec-fetch-dest", "image").send()
    };
    for path in ["/public", "/favicon.ico"] {
        assert_eq!(picture(path).cookies().len(), 0, "{path}");
    }
    assert_eq!(alice.user_at("/looser").as_deref(), Some("alice"));
    site.pass(minutes(30));
    assert_eq!(picture("/private").status, 401);
    assert_eq!(
        alice.get("/looser").header("x-session-expired"),
        "",
        "a page, challenged for the first time"
    );
}

#[test]
fn what_a_picture_writes_into_an_expired_session_is_kept() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    let request = alice.request("GET", "/visits").header("sec-fetch-mode", "no-cors");
    assert_eq!(request.header("sec-fetch-dest", "image").send().body, "1");
    assert_eq!(alice.get("/visits").body, "2");
}
