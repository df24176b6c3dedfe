//! Logins that are no simple login: taken back, failed half way, doubled, over one that is there.

use std::time::{Duration, Instant};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, body::BoxBody, dev::ServiceResponse,
    error::ErrorBadGateway, web,
};
use session_expire::{
    Clock, Limit, NewLogin, Overflow, Policy, PolicyPatch, Registry, SessionHandle, minutes,
    partition_key,
};
use session_expire_tests::{Site, block_on};

fn one_session() -> Policy {
    Policy::new().max_sessions(1).overflow(Overflow::Refuse)
}

/// Waits until `user` can sign in: a reservation is cancelled beside the request that dropped it.
fn assert_slot_is_free(site: &Site, user: &str) {
    let start = Instant::now();
    while site.browser().post("/login", &format!("user={user}")).status != 303 {
        assert!(start.elapsed() < Duration::from_secs(20), "the slot of {user} is never free");
        std::thread::yield_now();
    }
}

#[test]
fn same_user_after_clear_gets_a_new_key_and_no_new_login() {
    for length in [5, 40, 119, 121, 124, 126, 200] {
        let site = Site::builder()
            .routes(|cfg| {
                cfg.route("/again", web::post().to(again));
            })
            .start();
        let alice = site.signed_in(&"a".repeat(length));
        alice.get("/visits");
        let copy = alice.stolen();
        assert_eq!(alice.post("/again", "").cookies().len(), 1, "{length}");
        let logins = site.events().iter().filter(|event| event.contains("signed in")).count();
        assert_eq!(logins, 1, "{length}");
        assert!(alice.user_at("/private").is_some(), "{length}");
        assert_eq!(alice.get("/visits").body, "1", "what was cleared is gone");
        assert_eq!(copy.fetch("/private").header("x-session-expired"), "renewed", "{length}");
    }
}

async fn again(req: HttpRequest, session: Session, user: Identity) -> HttpResponse {
    let id = user.id().unwrap();
    session.clear();
    Identity::login(&req.extensions(), id).unwrap();
    HttpResponse::Ok().finish()
}

#[test]
fn sign_in_after_logout_in_one_request_is_an_error() {
    let site = Site::builder()
        .policy(Policy::new().max_sessions(1))
        .routes(|cfg| {
            cfg.route("/switch", web::post().to(switch));
        })
        .start();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    let answer = alice.post("/switch", "");
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(bob.user_at("/private").as_deref(), Some("bob"), "nothing of bob's has ended");
    assert_eq!(alice.user_at("/private"), None, "alice has signed out all the same");
}

async fn switch(handle: SessionHandle, user: Identity) -> HttpResponse {
    user.logout();
    match handle.sign_in("bob").await {
        Ok(_) => HttpResponse::Ok().body("welcome bob"),
        Err(error) => HttpResponse::from_error(error),
    }
}

/// A second factor that fails after the first one has signed the user in.
#[test]
fn login_taken_back_in_its_request_never_happened() {
    let site = Site::builder()
        .policy(one_session())
        .routes(|cfg| {
            cfg.route("/wrong", web::post().to(wrong_code));
        })
        .start();
    let browser = site.browser();
    let answer = browser.post("/wrong", "");
    assert_eq!((answer.status, answer.cookies().len()), (403, 0));
    assert_eq!(browser.user_at("/private"), None);
    assert!(site.events().is_empty());
    assert_slot_is_free(&site, "alice");
}

async fn wrong_code(handle: SessionHandle) -> HttpResponse {
    handle.sign_in("alice").await.unwrap();
    handle.sign_out();
    HttpResponse::Forbidden().finish()
}

/// The first letters of keys are made from the user's name, and two names may have the same.
#[test]
fn login_over_another_user_ends_their_session() {
    let alike = "m7284644";
    assert_eq!(partition_key("alice"), partition_key(alike));
    for other in ["bob", alike] {
        let site = Site::start();
        let browser = site.signed_in("alice");
        let copy = browser.stolen();
        browser.sign_in(other);
        assert_eq!(copy.user_at("/private"), None, "{other}");
        assert_eq!(browser.user_at("/private").as_deref(), Some(other));
    }
}

#[test]
fn login_failed_by_a_middleware_holds_no_slot() {
    let site = Site::builder()
        .policy(one_session())
        .routes(|cfg| {
            let failing = web::resource("/fails").wrap_fn(|req, service| {
                let inside = actix_web::dev::Service::call(service, req);
                async move {
                    inside.await?;
                    Err::<ServiceResponse<BoxBody>, _>(ErrorBadGateway("no"))
                }
            });
            cfg.service(failing.route(web::post().to(enter)));
        })
        .start();
    let browser = site.browser();
    for how in ["", "and out", "and as bob"] {
        let answer = browser.post("/fails", how);
        assert_eq!((answer.status, answer.cookies().len()), (502, 0), "{how}");
        assert!(site.events().is_empty(), "{how}");
        for user in ["alice", "bob"] {
            assert_slot_is_free(&site, user);
        }
        site.pass(minutes(60)); // what was just signed in has expired
        drop(site.events());
    }
    assert_eq!(browser.user_at("/private"), None);
}

async fn enter(req: HttpRequest, handle: SessionHandle, how: String) -> HttpResponse {
    handle.sign_in("alice").await.unwrap();
    match how.as_str() {
        "and out" => handle.sign_out(),
        "and as bob" => drop(Identity::login(&req.extensions(), "bob".to_owned()).unwrap()),
        _ => {}
    }
    HttpResponse::Ok().finish()
}

/// The client has gone away, or a time limit of the application was reached.
#[test]
fn dropped_login_holds_no_slot() {
    let site = Site::builder()
        .policy(one_session())
        .routes(|cfg| {
            cfg.route("/impatient", web::post().to(impatient));
        })
        .start();
    site.registry.leave_unanswered(Some("reserve"));
    assert_eq!(site.browser().post("/impatient", "").body, "gave up");
    site.registry.leave_unanswered(None);
    assert_slot_is_free(&site, "alice");
}

async fn impatient(handle: SessionHandle) -> &'static str {
    let patience = Duration::from_millis(20);
    match actix_web::rt::time::timeout(patience, handle.sign_in("alice")).await {
        Ok(_) => "signed in",
        Err(_) => "gave up",
    }
}

#[test]
fn login_that_fails_half_way_holds_no_slot() {
    let site = Site::builder().policy(one_session()).start();
    let browser = site.signed_in("alice");
    site.registry.fail_next("end");
    assert_eq!(browser.post("/login", "user=bob").status, 503);
    assert_eq!(browser.post("/login", "user=bob").status, 303);
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
}

#[test]
fn login_that_fails_half_way_evicts_no_session() {
    let site = Site::builder().policy(Policy::new().max_sessions(1)).start();
    let bob = site.signed_in("bob");
    let browser = site.signed_in("alice");
    site.registry.fail_next("end");
    assert_eq!(browser.post("/login", "user=bob").status, 503);
    assert_eq!(bob.user_at("/private").as_deref(), Some("bob"));
}

#[test]
fn login_of_another_user_and_back_keeps_the_data() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/there-and-back", web::post().to(there_and_back));
        })
        .start();
    let alice = site.signed_in("alice");
    alice.get("/visits");
    alice.post("/there-and-back", "");
    assert_eq!(alice.get("/visits").body, "2");
}

async fn there_and_back(handle: SessionHandle) -> HttpResponse {
    handle.sign_in("bob").await.unwrap();
    handle.sign_in("alice").await.unwrap();
    HttpResponse::Ok().finish()
}

#[test]
fn last_of_two_logins_in_one_request_counts() {
    for how in ["handle", "identity"] {
        let site = Site::builder()
            .policy(one_session())
            .routes(|cfg| {
                cfg.route("/two", web::post().to(two));
            })
            .start();
        let browser = site.browser();
        browser.post("/two", how);
        assert_eq!(browser.user_at("/private").as_deref(), Some("bob"), "{how}");
        assert_eq!(site.events(), ["bob signed in"], "{how}");
        assert_slot_is_free(&site, "alice");
    }
}

async fn two(req: HttpRequest, handle: SessionHandle, how: String) -> HttpResponse {
    handle.sign_in("alice").await.unwrap();
    match how.as_str() {
        "handle" => drop(handle.sign_in("bob").await.unwrap()),
        _ => drop(Identity::login(&req.extensions(), "bob".to_owned()).unwrap()),
    }
    HttpResponse::Ok().finish()
}

#[test]
fn refused_second_login_leaves_the_first_as_it_was() {
    let site = Site::builder()
        .policy(one_session())
        .routes(|cfg| {
            cfg.route("/second", web::post().to(second));
        })
        .start();
    let _bob = site.signed_in("bob");
    let browser = site.browser();
    assert_eq!(browser.post("/second", "").status, 409);
    assert_eq!(browser.user_at("/private").as_deref(), Some("alice"));
    site.pass(minutes(1));
    assert_eq!(browser.user_at("/private"), None, "under the policy of that login");
}

async fn second(handle: SessionHandle) -> HttpResponse {
    let login_policy = PolicyPatch::new().idle(minutes(1));
    handle.sign_in_with("alice", login_policy).await.unwrap();
    match handle.sign_in("bob").await {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(error) => HttpResponse::from_error(error),
    }
}

#[test]
fn page_without_a_limit_evicts_no_session() {
    let policy = Policy::new().max_sessions(3_000);
    let site = Site::builder()
        .policy(policy.clone())
        .routes(|cfg| {
            let free = web::resource("/free").wrap(PolicyPatch::new().max_sessions(Limit::Off));
            cfg.service(free.route(web::get().to(HttpResponse::Ok)));
        })
        .start();
    block_on(async {
        for _ in 0..1_500 {
            let login = NewLogin::new("alice", site.clock.now(), &policy);
            drop(site.registry.commit(login).await.unwrap());
        }
    });
    let alice = site.signed_in("alice");
    drop(site.events());
    assert_eq!(alice.get("/free").status, 200);
    assert!(site.events().is_empty());
}

/// A login is reserved, and another one refused when it is committed.
#[test]
fn refused_login_beside_a_reserved_one_leaves_no_slot_taken() {
    let site = Site::builder()
        .policy(one_session())
        .routes(|cfg| {
            cfg.route("/both", web::post().to(two));
        })
        .start();
    let _bob = site.signed_in("bob");
    let browser = site.browser();
    let answer = browser.post("/both", "identity");
    assert_eq!((answer.status, answer.cookies().len()), (409, 0));
    assert_eq!(browser.user_at("/private"), None);
    assert_eq!(site.events(), ["bob signed in", "bob refused"]);
    assert_slot_is_free(&site, "alice");
}

#[test]
fn login_with_an_empty_401_is_not_challenged() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/odd", web::post().to(odd));
        })
        .start();
    for pause in [0, 60] {
        let browser = site.signed_in("bob");
        site.pass(minutes(pause));
        for browser in [site.browser(), browser] {
            let answer = browser.post("/odd", "");
            assert_eq!((answer.status, answer.header("location")), (401, ""), "{pause}");
            assert_eq!(browser.user_at("/private").as_deref(), Some("alice"), "{pause}");
        }
    }
}

async fn odd(req: HttpRequest) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    HttpResponse::Unauthorized().finish()
}
