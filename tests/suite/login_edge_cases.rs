//! Logins that are undone, fail, are repeated, or replace a session.

use std::time::Duration;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, body::BoxBody, dev::ServiceResponse,
    error::ErrorBadGateway, web,
};
use session_expire::{
    Overflow, Policy, PolicyPatch, SessionHandle, hours, minutes, registry::partition_key,
};
use session_expire_tests::Site;

fn one_session() -> Policy {
    Policy::new().max_sessions(1).overflow(Overflow::Refuse)
}

#[test]
fn login_of_same_user_after_clear_is_a_renewal() {
    for length in [5, 40, 119, 121, 124, 126, 200] {
        let site = Site::builder()
            .routes(|cfg| {
                cfg.route("/again", web::post().to(again));
            })
            .start();
        let alice = site.signed_in(&"a".repeat(length));
        alice.get("/visits");
        let copy = alice.copy();
        assert_eq!(alice.post("/again", "").cookies().len(), 1, "{length}");
        let logins = site.take_events().iter().filter(|event| event.contains("signed in")).count();
        assert_eq!(logins, 1, "{length}");
        assert!(alice.user_at("/private").is_some(), "{length}");
        assert_eq!(alice.get("/visits").body, "1", "the entry is cleared");
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
    let response = alice.post("/switch", "");
    assert_eq!(response.status, 500, "{response:?}");
    assert_eq!(
        bob.user_at("/private").as_deref(),
        Some("bob"),
        "the session of bob is not evicted"
    );
    assert_eq!(alice.user_at("/private"), None, "alice is signed out");
}

async fn switch(handle: SessionHandle, user: Identity) -> HttpResponse {
    user.logout();
    match handle.sign_in("bob").await {
        Ok(_) => HttpResponse::Ok().body("welcome bob"),
        Err(error) => HttpResponse::from_error(error),
    }
}

/// The second factor fails after the first one has signed the user in.
#[test]
fn login_undone_in_its_request_is_no_login() {
    let site = Site::builder()
        .policy(one_session())
        .routes(|cfg| {
            cfg.route("/wrong", web::post().to(wrong_code));
        })
        .start();
    let browser = site.browser();
    let response = browser.post("/wrong", "");
    assert_eq!((response.status, response.cookies().len()), (403, 0));
    assert_eq!(browser.user_at("/private"), None);
    assert!(site.take_events().is_empty());
    site.browser().sign_in_when_free("alice");
}

async fn wrong_code(handle: SessionHandle) -> HttpResponse {
    handle.sign_in("alice").await.unwrap();
    handle.sign_out();
    HttpResponse::Forbidden().finish()
}

/// A key starts with the partition key of its user, which two users may share.
#[test]
fn login_over_another_user_ends_their_session() {
    let (first, same_partition) = ("user 18849435", "user 21413909");
    assert_eq!(partition_key(first), partition_key(same_partition));
    for other in ["bob", same_partition] {
        let site = Site::start();
        let browser = site.signed_in(first);
        let copy = browser.copy();
        browser.sign_in(other);
        assert_eq!(copy.user_at("/private"), None, "{other}");
        assert_eq!(browser.user_at("/private").as_deref(), Some(other));
        let [first_login, other_login] = [first, other].map(|user| format!("{user} signed in"));
        let first_end = format!("{first} ended: logged_out");
        let events = [&*first_login, &first_end, &other_login, "refused: logged_out"];
        assert_eq!(site.take_events(), events);
    }
}

#[test]
fn login_failed_by_a_middleware_takes_no_slot() {
    let site = Site::builder()
        .policy(one_session())
        .routes(|cfg| {
            let failing = web::resource("/failing").wrap_fn(|req, service| {
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
        let response = browser.post("/failing", how);
        assert_eq!((response.status, response.cookies().len()), (502, 0), "{how}");
        assert!(site.take_events().is_empty(), "{how}");
        for user in ["alice", "bob"] {
            site.browser().sign_in_when_free(user);
        }
        site.advance(minutes(60)); // the new sessions expire
        drop(site.take_events());
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

/// A time limit of the handler drops the login, as a client does that disconnects.
#[test]
fn dropped_login_takes_no_slot() {
    let site = Site::builder()
        .policy(one_session())
        .routes(|cfg| {
            cfg.route("/time-limit", web::post().to(time_limit));
        })
        .start();
    site.registry.set_hanging(Some("reserve"));
    assert_eq!(site.browser().post("/time-limit", "").body, "timed out");
    site.registry.set_hanging(None);
    site.browser().sign_in_when_free("alice");
}

async fn time_limit(handle: SessionHandle) -> &'static str {
    let limit = Duration::from_millis(20);
    match actix_web::rt::time::timeout(limit, handle.sign_in("alice")).await {
        Ok(_) => "signed in",
        Err(_) => "timed out",
    }
}

#[test]
fn failed_login_takes_no_slot() {
    let site = Site::builder().policy(one_session()).start();
    let browser = site.signed_in("alice");
    site.registry.fail_next("end");
    assert_eq!(browser.post("/login", "user=bob").status, 503);
    assert_eq!(browser.post("/login", "user=bob").status, 303);
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
}

#[test]
fn failed_login_evicts_no_session() {
    let site = Site::builder().policy(Policy::new().max_sessions(1)).start();
    let bob = site.signed_in("bob");
    let browser = site.signed_in("alice");
    site.registry.fail_next("end");
    assert_eq!(browser.post("/login", "user=bob").status, 503);
    assert_eq!(bob.user_at("/private").as_deref(), Some("bob"));
}

#[test]
fn login_of_other_user_and_back_keeps_the_data() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/bob-and-back", web::post().to(bob_and_back));
        })
        .start();
    let alice = site.signed_in("alice");
    alice.get("/visits");
    alice.post("/bob-and-back", "");
    assert_eq!(alice.get("/visits").body, "2");
}

async fn bob_and_back(handle: SessionHandle) -> HttpResponse {
    handle.sign_in("bob").await.unwrap();
    handle.sign_in("alice").await.unwrap();
    HttpResponse::Ok().finish()
}

#[test]
fn last_of_two_logins_in_one_request_counts() {
    for how in ["handle", "handle and identity", "identity"] {
        let site = Site::builder()
            .policy(one_session())
            .routes(|cfg| {
                cfg.route("/two", web::post().to(two));
            })
            .start();
        let browser = site.browser();
        browser.post("/two", how);
        assert_eq!(browser.user_at("/private").as_deref(), Some("bob"), "{how}");
        assert_eq!(site.take_events(), ["bob signed in"], "{how}");
        site.browser().sign_in_when_free("alice");
    }
}

async fn two(req: HttpRequest, handle: SessionHandle, how: String) -> HttpResponse {
    let identity = |user: &str| drop(Identity::login(&req.extensions(), user.to_owned()).unwrap());
    match how.as_str() {
        "identity" => identity("alice"),
        _ => drop(handle.sign_in("alice").await.unwrap()),
    }
    match how.as_str() {
        "handle" => drop(handle.sign_in("bob").await.unwrap()),
        _ => identity("bob"),
    }
    HttpResponse::Ok().finish()
}

#[test]
fn refused_second_login_keeps_the_first() {
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
    site.advance(minutes(1));
    assert_eq!(browser.user_at("/private"), None, "the policy of the first login");
}

async fn second(handle: SessionHandle) -> HttpResponse {
    let login_policy = PolicyPatch::new().idle(minutes(1));
    handle.sign_in_with("alice", login_policy).await.unwrap();
    match handle.sign_in("bob").await {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(error) => HttpResponse::from_error(error),
    }
}

/// The first login is reserved, and the second one is refused at its commit.
#[test]
fn refused_second_login_takes_no_slot() {
    let site = Site::builder()
        .policy(one_session())
        .routes(|cfg| {
            cfg.route("/two", web::post().to(two));
        })
        .start();
    let _bob = site.signed_in("bob");
    let browser = site.browser();
    let response = browser.post("/two", "handle and identity");
    assert_eq!((response.status, response.cookies().len()), (409, 0));
    assert_eq!(browser.user_at("/private"), None);
    assert_eq!(site.take_events(), ["bob signed in", "bob refused"]);
    site.browser().sign_in_when_free("alice");
}

#[test]
fn login_with_an_empty_401_is_not_challenged() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/login-401", web::post().to(login_401));
        })
        .start();
    for pause in [0, 60] {
        let browser = site.signed_in("bob");
        site.advance(minutes(pause));
        for browser in [site.browser(), browser] {
            let response = browser.post("/login-401", "");
            assert_eq!((response.status, response.header("location")), (401, ""), "{pause}");
            assert_eq!(browser.user_at("/private").as_deref(), Some("alice"), "{pause}");
        }
    }
}

async fn login_401(req: HttpRequest) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    HttpResponse::Unauthorized().finish()
}

#[test]
fn login_over_expired_session_is_recorded() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(hours(1));
    alice.sign_in("alice");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(site.take_events(), ["alice signed in", "alice ended: idle", "alice signed in"]);
}

#[test]
fn login_over_ended_session_signs_in() {
    let site = Site::start();
    for end in ["expired", "signed out"] {
        let alice = site.signed_in("alice");
        let copy = alice.copy();
        match end {
            "expired" => site.advance(minutes(10)),
            _ => drop(alice.post("/logout", "")),
        }
        for user in ["alice", "bob"] {
            let browser = copy.copy();
            browser.sign_in(user);
            assert_eq!(browser.user_at("/private").as_deref(), Some(user), "{end}");
        }
        assert_eq!(copy.user_at("/private"), None, "{end}");
    }
}
