//! Session limits: how many sessions a user may have, and which session ends.

use std::{sync::Barrier, thread};

use actix_identity::Identity;
use actix_web::{HttpResponse, web};
use session_expire::{
    Limit, Overflow, Policy, PolicyPatch, SessionHandle, SignInError,
    clock::Clock,
    hours, minutes,
    registry::{NewLogin, Registry},
    seconds,
};
use session_expire_tests::{Browser, Site, SiteBuilder, block_on};

fn limited(max_sessions: u32, overflow: Overflow) -> SiteBuilder {
    let policy = Policy::new().idle(minutes(10)).absolute(hours(8));
    Site::builder().policy(policy.max_sessions(max_sessions).overflow(overflow))
}

fn is_signed_in(browser: &Browser) -> bool {
    browser.user_at("/private").is_some()
}

#[test]
fn oldest_session_is_evicted_with_a_reason() {
    let site = limited(2, Overflow::Evict).start();
    let first = site.signed_in("alice");
    site.advance(seconds(1));
    let second = site.signed_in("alice");
    site.advance(seconds(1));
    let third = site.browser();
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    third.request("POST", "/login").header("user-agent", agent).form("user=alice").send();
    let response = first.fetch("/private");
    assert_eq!((response.status, response.header("x-session-expired")), (401, "evicted"));
    assert_eq!(
        first.read_messages(),
        "[warning evicted] You were signed out because you signed in on another device \
         (Firefox on Linux, 12:00 UTC)."
    );
    assert_eq!(first.read_messages(), "");
    assert!(is_signed_in(&second) && is_signed_in(&third));
}

#[test]
fn least_recent_session_is_evicted() {
    let site = limited(2, Overflow::LeastRecent).start();
    let first = site.signed_in("alice");
    site.advance(minutes(1));
    let second = site.signed_in("alice");
    site.advance(minutes(1));
    assert!(is_signed_in(&first));
    site.advance(minutes(1));
    let third = site.signed_in("alice");
    assert!(is_signed_in(&first) && !is_signed_in(&second) && is_signed_in(&third));
}

#[test]
fn refused_login_lists_the_active_sessions() {
    let site = limited(1, Overflow::Refuse).start();
    let first = site.signed_in("alice");
    let second = site.browser();
    let page = second.post("/login", "user=alice");
    assert_eq!((page.status, page.cookies().len()), (409, 0));
    assert!(page.body.contains("Unknown device since 2026-01-01 12:00 UTC"), "{}", page.body);
    assert!(is_signed_in(&first) && !is_signed_in(&second));
    first.post("/logout", "");
    second.sign_in("alice");
    assert!(is_signed_in(&second));
}

#[test]
fn other_users_take_no_slot() {
    let site = limited(1, Overflow::Evict).start();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    assert!(is_signed_in(&alice) && is_signed_in(&bob));
}

#[test]
fn ended_and_expired_sessions_take_no_slot() {
    let site = limited(1, Overflow::Refuse).start();
    site.signed_in("alice").post("/logout", "");
    let lost = site.signed_in("alice");
    site.advance(minutes(10));
    let third = site.signed_in("alice");
    assert!(is_signed_in(&third) && !is_signed_in(&lost));
}

#[test]
fn login_of_the_same_browser_takes_no_slot() {
    for overflow in [Overflow::Evict, Overflow::Refuse] {
        let site = limited(2, overflow).start();
        let (alice, other) = (site.signed_in("alice"), site.signed_in("alice"));
        for _ in 0..5 {
            alice.sign_in("alice");
        }
        assert!(is_signed_in(&alice) && is_signed_in(&other), "{overflow:?}");
    }
}

#[test]
fn evicted_session_ends_no_other() {
    let site = limited(1, Overflow::Evict).start();
    let victim = site.signed_in("alice");
    let alice = site.signed_in("alice");
    for path in ["/logout", "/sign-out", "/session/logout"] {
        victim.copy().post(path, "");
        assert!(is_signed_in(&alice), "{path}");
    }
    victim.get("/private");
    assert!(is_signed_in(&alice));
    victim.sign_in("alice");
    assert!(is_signed_in(&victim) && !is_signed_in(&alice));
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

fn vault(cfg: &mut web::ServiceConfig) {
    let patch = PolicyPatch::new().max_sessions(1);
    cfg.service(web::resource("/vault").wrap(patch).route(web::get().to(whoami)));
}

#[test]
fn lower_limit_of_a_page_evicts_all_other_sessions() {
    for request in [Browser::get, Browser::fetch] {
        let site = limited(5, Overflow::Evict).routes(vault).start();
        let browsers: Vec<_> = (0..5).map(|_| site.signed_in("alice")).collect();
        let bob = site.signed_in("bob");
        assert_eq!(request(&browsers[2], "/vault").body, "alice");
        let signed_in: Vec<_> = browsers.iter().map(is_signed_in).collect();
        assert_eq!(signed_in, [false, false, true, false, false]);
        assert_eq!(
            browsers[4].read_messages(),
            "[warning evicted] You were signed out because your account is in use on another \
             device (12:00 UTC).",
            "the text does not mention a login"
        );
        assert!(is_signed_in(&bob));
    }
}

#[test]
fn limit_of_zero_is_no_limit() {
    let site = limited(0, Overflow::Refuse).start();
    let browsers: Vec<_> = (0..30).map(|_| site.signed_in("alice")).collect();
    assert!(browsers.iter().all(is_signed_in));
}

#[test]
fn lowered_limit_ends_all_surplus_sessions() {
    let before = limited(0, Overflow::Evict).start();
    let browsers: Vec<_> = (0..6).map(|_| before.signed_in("alice")).collect();
    let policy = Policy::new().max_sessions(2);
    let after = Site::builder().policy(policy).registry(before.registry.clone()).start();
    let browsers: Vec<_> = browsers.iter().map(|browser| browser.moved_to(&after)).collect();
    assert!(is_signed_in(&browsers[0]));
    let signed_in: Vec<_> = browsers.iter().map(is_signed_in).collect();
    assert_eq!(signed_in, [true, false, false, false, false, true]);
}

/// Signs in `n` times at once. Returns how many logins succeed, and how many sessions are left.
fn sign_in_at_once(site: &Site, n: usize) -> (usize, usize) {
    let barrier = Barrier::new(n);
    let responses: Vec<_> = thread::scope(|scope| {
        let logins: Vec<_> = (0..n)
            .map(|_| {
                let (browser, barrier) = (site.browser(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let response = browser.post("/login", "user=alice");
                    (response.status, browser)
                })
            })
            .collect();
        logins.into_iter().map(|login| login.join().unwrap()).collect()
    });
    let accepted = responses.iter().filter(|(status, _)| *status == 303).count();
    let left = responses.iter().filter(|(_, browser)| is_signed_in(browser)).count();
    (accepted, left)
}

#[test]
fn fifty_logins_at_once_leave_one_session() {
    for _ in 0..3 {
        let site = limited(1, Overflow::Evict).start();
        assert_eq!(sign_in_at_once(&site, 50), (50, 1));
        let site = limited(1, Overflow::Refuse).start();
        assert_eq!(sign_in_at_once(&site, 50), (1, 1));
    }
}

async fn own_page(session: SessionHandle) -> HttpResponse {
    match session.sign_in("alice").await {
        Ok(id) => HttpResponse::Ok().body(id.to_string()),
        Err(SignInError::Refused { active, .. }) => {
            HttpResponse::Conflict().body(format!("{} sessions", active.len()))
        }
        Err(error) => HttpResponse::from_error(error),
    }
}

#[test]
fn refused_login_gives_active_sessions_to_the_handler() {
    let site = limited(1, Overflow::Refuse).routes(|cfg| {
        cfg.route("/own-page", web::post().to(own_page));
    });
    let site = site.start();
    let (first, second) = (site.browser(), site.browser());
    assert_eq!(first.post("/own-page", "").status, 200);
    let response = second.post("/own-page", "");
    assert_eq!(
        (response.status, response.body.as_str(), response.cookies().len()),
        (409, "1 sessions", 0)
    );
    assert!(is_signed_in(&first) && !is_signed_in(&second));
    assert_eq!(site.take_events(), ["alice signed in", "alice refused"]);
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
    drop(site.take_events());
    assert_eq!(alice.get("/free").status, 200);
    assert!(site.take_events().is_empty());
}
