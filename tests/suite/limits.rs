//! How many sessions a user may have, and who yields.

use std::{sync::Barrier, thread};

use actix_web::{HttpResponse, web};
use session_expire::{
    Limit, Overflow, Policy, PolicyPatch, SessionHandle, SignInError, hours, minutes, seconds,
};
use session_expire_tests::{Browser, Site, SiteBuilder};

fn limited(max_sessions: u32, overflow: Overflow) -> SiteBuilder {
    let policy = Policy::new().idle(minutes(10)).absolute(hours(8));
    Site::builder().policy(policy.max_sessions(max_sessions).overflow(overflow))
}

fn is_in(browser: &Browser) -> bool {
    browser.user_at("/private").is_some()
}

#[test]
fn the_oldest_login_yields_and_learns_why_on_its_very_next_request() {
    let site = limited(2, Overflow::Evict).start();
    let first = site.signed_in("alice");
    site.pass(seconds(1));
    let second = site.signed_in("alice");
    site.pass(seconds(1));
    let third = site.browser();
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    third.request("POST", "/login").header("user-agent", agent).form("user=alice").send();
    let answer = first.fetch("/private");
    assert_eq!((answer.status, answer.header("x-session-expired")), (401, "evicted"));
    assert_eq!(
        first.messages(),
        "[warning evicted] You were signed out because you signed in on another device (Firefox on Linux, 12:00 UTC)."
    );
    assert_eq!(first.messages(), "");
    assert!(is_in(&second) && is_in(&third));
}

#[test]
fn the_longest_unused_login_yields_if_so_asked() {
    let site = limited(2, Overflow::LeastRecent).start();
    let first = site.signed_in("alice");
    site.pass(minutes(1));
    let second = site.signed_in("alice");
    site.pass(minutes(1));
    assert!(is_in(&first));
    site.pass(minutes(1));
    let third = site.signed_in("alice");
    assert!(is_in(&first) && !is_in(&second) && is_in(&third));
}

#[test]
fn a_refused_login_leaves_no_cookie_and_says_who_holds_the_places() {
    let site = limited(1, Overflow::Refuse).start();
    let first = site.signed_in("alice");
    let second = site.browser();
    let page = second.post("/login", "user=alice");
    assert_eq!((page.status, page.cookies().len()), (409, 0));
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.body.contains("Unknown device since 2026-01-01 12:00 UTC"), "{}", page.body);
    let script = second.request("POST", "/login").script().form("user=alice").send();
    assert_eq!((script.status, script.header("content-type")), (409, "application/problem+json"));
    assert!(is_in(&first) && !is_in(&second));
    first.post("/logout", "");
    second.sign_in("alice");
    assert!(is_in(&second));
}

#[test]
fn other_users_hold_no_places() {
    let site = limited(1, Overflow::Evict).start();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    assert!(is_in(&alice) && is_in(&bob));
}

#[test]
fn who_ran_out_signed_out_or_lost_the_browser_holds_no_place() {
    let site = limited(1, Overflow::Refuse).start();
    site.signed_in("alice").post("/logout", "");
    let lost = site.signed_in("alice");
    site.pass(minutes(10));
    let third = site.signed_in("alice");
    assert!(is_in(&third) && !is_in(&lost));
}

#[test]
fn the_same_browser_takes_its_own_place() {
    for overflow in [Overflow::Evict, Overflow::Refuse] {
        let site = limited(2, overflow).start();
        let (alice, other) = (site.signed_in("alice"), site.signed_in("alice"));
        for _ in 0..5 {
            alice.sign_in("alice");
        }
        assert!(is_in(&alice) && is_in(&other), "{overflow:?}");
    }
}

#[test]
fn an_eviction_ends_its_victim_only_whatever_the_victim_does_next() {
    let site = limited(1, Overflow::Evict).start();
    let victim = site.signed_in("alice");
    let alice = site.signed_in("alice");
    for path in ["/logout", "/sign-out", "/session/logout"] {
        victim.stolen().post(path, "");
        assert!(is_in(&alice), "{path}");
    }
    victim.get("/private");
    assert!(is_in(&alice));
    victim.sign_in("alice");
    assert!(is_in(&victim) && !is_in(&alice));
}

async fn whoami(user: actix_identity::Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

fn vault(cfg: &mut web::ServiceConfig) {
    let patch = PolicyPatch::new().max_sessions(1);
    cfg.service(web::resource("/vault").wrap(patch).route(web::get().to(whoami)));
}

#[test]
fn a_handler_that_allows_fewer_ends_all_the_others_and_keeps_who_asks() {
    let site = limited(5, Overflow::Evict).routes(vault).start();
    let browsers: Vec<_> = (0..5).map(|_| site.signed_in("alice")).collect();
    let bob = site.signed_in("bob");
    assert_eq!(browsers[2].user_at("/vault").as_deref(), Some("alice"));
    let inside: Vec<_> = browsers.iter().map(is_in).collect();
    assert_eq!(inside, [false, false, true, false, false]);
    assert_eq!(
        browsers[4].messages(),
        "[warning evicted] You were signed out because your account is in use on another device (12:00 UTC).",
        "nobody signed in after this one"
    );
    assert!(is_in(&bob));
}

#[test]
fn zero_means_any_number() {
    let site = limited(0, Overflow::Refuse).start();
    let browsers: Vec<_> = (0..30).map(|_| site.signed_in("alice")).collect();
    assert!(browsers.iter().all(is_in));
}

#[test]
fn a_lowered_limit_is_enforced_on_the_next_request_all_surplus_at_once() {
    let before = limited(0, Overflow::Evict).start();
    let browsers: Vec<_> = (0..6).map(|_| before.signed_in("alice")).collect();
    let policy = Policy::new().max_sessions(2);
    let after = Site::builder().policy(policy).registry(before.registry.clone()).start();
    let browsers: Vec<_> = browsers.iter().map(|browser| browser.moved_to(&after)).collect();
    assert!(is_in(&browsers[0]));
    let inside: Vec<_> = browsers.iter().map(is_in).collect();
    assert_eq!(inside, [true, false, false, false, false, true]);
}

/// The person who is signed in, after so many signed in at once.
fn logins_at_once(site: &Site, n: usize) -> (usize, usize) {
    let barrier = Barrier::new(n);
    let answers: Vec<_> = thread::scope(|scope| {
        let logins: Vec<_> = (0..n)
            .map(|_| {
                let (browser, barrier) = (site.browser(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let answer = browser.post("/login", "user=alice");
                    (answer.status, browser)
                })
            })
            .collect();
        logins.into_iter().map(|login| login.join().unwrap()).collect()
    });
    let accepted = answers.iter().filter(|(status, _)| *status == 303).count();
    let inside = answers.iter().filter(|(_, browser)| is_in(browser)).count();
    (accepted, inside)
}

#[test]
fn of_fifty_logins_at_once_one_session_is_left() {
    for _ in 0..5 {
        let site = limited(1, Overflow::Evict).start();
        assert_eq!(logins_at_once(&site, 50), (50, 1));
        let site = limited(1, Overflow::Refuse).start();
        assert_eq!(logins_at_once(&site, 50), (1, 1));
    }
}

#[test]
fn a_user_may_have_rules_of_their_own_and_they_have_the_last_word() {
    let site = limited(1, Overflow::Evict)
        .customise(|builder| {
            builder.user_policy(|user| async move {
                match user.as_str() {
                    "root" => PolicyPatch::new().max_sessions(Limit::Off).idle(hours(1)),
                    _ => PolicyPatch::new(),
                }
            })
        })
        .start();
    let (first, second) = (site.signed_in("root"), site.signed_in("root"));
    let (old, new) = (site.signed_in("alice"), site.signed_in("alice"));
    assert!(is_in(&first) && is_in(&second) && !is_in(&old) && is_in(&new));
    site.pass(minutes(30));
    assert!(is_in(&first) && !is_in(&new));
    assert_eq!(first.user_at("/stricter").as_deref(), Some("root"));
}

async fn keep_me_signed_in(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    session
        .sign_in_with("alice", PolicyPatch::new().absolute(hours(24 * 30)).idle(hours(24)))
        .await?;
    Ok(HttpResponse::Ok().finish())
}

async fn own_page(session: SessionHandle) -> HttpResponse {
    match session.sign_in("alice").await {
        Ok(id) => HttpResponse::Ok().body(id.to_string()),
        Err(SignInError::Refused(holders)) => {
            HttpResponse::Conflict().body(format!("{} of yours", holders.len()))
        }
        Err(error) => HttpResponse::from_error(error),
    }
}

fn logins(cfg: &mut web::ServiceConfig) {
    let page = |path, idle| {
        web::resource(path).wrap(PolicyPatch::new().idle(idle)).route(web::get().to(whoami))
    };
    cfg.service(page("/vault", minutes(1))).service(page("/editor", hours(1)));
    cfg.route("/keep-me-signed-in", web::post().to(keep_me_signed_in))
        .route("/own-page", web::post().to(own_page));
}

#[test]
fn one_login_may_have_limits_of_its_own() {
    let site = limited(0, Overflow::Evict).routes(logins).start();
    let (kept, plain) = (site.browser(), site.signed_in("alice"));
    assert_eq!(kept.post("/keep-me-signed-in", "").status, 200);
    site.pass(hours(23));
    assert!(is_in(&kept) && !is_in(&plain));
    site.pass(hours(24));
    assert!(!is_in(&kept), "idle still applies");
}

#[test]
fn a_page_that_is_stricter_than_the_app_stays_so_for_whoever_is_kept_signed_in() {
    let site = limited(0, Overflow::Evict).routes(logins).start();
    let kept = || {
        let browser = site.browser();
        assert_eq!(browser.post("/keep-me-signed-in", "").status, 200);
        browser
    };
    let (to_editor, to_vault) = (kept(), kept());
    site.pass(hours(2));
    assert_eq!(to_editor.user_at("/editor").as_deref(), Some("alice"), "laxer than the app");
    assert_eq!(to_vault.user_at("/vault"), None);
}

#[test]
fn asking_the_rule_for_the_user_anew_leaves_the_choice_of_the_login() {
    let refresh = |cfg: &mut web::ServiceConfig| {
        logins(cfg);
        cfg.route("/refresh", web::post().to(refresh));
    };
    let site = limited(0, Overflow::Evict).routes(refresh).start();
    let kept = site.browser();
    assert_eq!(kept.post("/keep-me-signed-in", "").status, 200);
    assert_eq!(kept.post("/refresh", "").status, 200);
    site.pass(hours(2));
    assert!(is_in(&kept));
}

async fn refresh(session: SessionHandle) -> Result<HttpResponse, actix_web::Error> {
    session.refresh_policy().await.map_err(actix_web::error::ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().finish())
}

#[test]
fn a_login_page_can_show_for_itself_who_holds_the_places() {
    let site = limited(1, Overflow::Refuse).routes(logins).start();
    let (first, second) = (site.browser(), site.browser());
    assert_eq!(first.post("/own-page", "").status, 200);
    let answer = second.post("/own-page", "");
    assert_eq!(
        (answer.status, answer.body.as_str(), answer.cookies().len()),
        (409, "1 of yours", 0)
    );
    assert!(is_in(&first) && !is_in(&second));
    assert_eq!(site.events(), ["alice signed in", "alice refused"]);
}
