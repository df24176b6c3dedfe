//! "Sign out there and continue here": continuation of a login that the session limit has refused.

use std::{collections::HashSet, sync::Barrier, thread};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{HttpResponse, Result, web};
use serde::Deserialize;
use serde_json::json;
use session_expire::{
    Overflow, Policy, PublicId, SessionHandle, SignInError, days, minutes,
    registry::{Query, Registry, SessionRecord},
    seconds,
    sign_in::SignInOptions,
};
use session_expire_tests::{
    Browser, Site, SiteBuilder, TestResponse, block_on, seal_anonymous_cookie,
};

/// Signs the user of the body in, or responds with a ticket.
async fn login(session: SessionHandle, user: String) -> Result<HttpResponse, SignInError> {
    let options = SignInOptions::new().persistent(days(30)).stamp("hash");
    match session.sign_in_with(&user, options.clone()).await {
        Ok(_) => Ok(HttpResponse::Ok().finish()),
        Err(SignInError::Refused { active, .. }) => {
            let ticket = session.takeover_ticket(&user, options).await?;
            let ids: Vec<_> = active.iter().map(|record| record.id).collect();
            Ok(HttpResponse::Conflict().json(json!({ "ticket": ticket.to_string(), "ids": ids })))
        }
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
struct Choice {
    ticket: String,
    end: PublicId,
}

async fn continue_here(
    form: web::Form<Choice>,
    session: SessionHandle,
) -> Result<web::Redirect, SignInError> {
    session.sign_in_taking_over(&form.ticket, form.end).await?;
    Ok(web::Redirect::to("/private").see_other())
}

async fn require_stamp(session: SessionHandle) -> Result<&'static str> {
    session.require_stamp("hash").await?;
    Ok("current")
}

async fn end_all(session: SessionHandle, user: String) -> Result<HttpResponse> {
    session.sessions().end_all(&user).await?;
    Ok(HttpResponse::Ok().finish())
}

/// Ends the other sessions of the user, as after a change of the password.
async fn end_others(session: SessionHandle, user: Identity) -> Result<HttpResponse> {
    let id = session.id().unwrap();
    session.sessions().end_others(&user.id()?, id).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn end_everyone(session: SessionHandle) -> Result<HttpResponse> {
    session.sessions().end_everyone().await?;
    Ok(HttpResponse::Ok().finish())
}

async fn set_entry(session: Session) -> Result<HttpResponse> {
    session.insert("cart", 7)?;
    Ok(HttpResponse::Ok().finish())
}

async fn entry(session: Session) -> Result<String> {
    Ok(format!("{:?}", session.get::<u32>("cart")?))
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/limited-login", web::post().to(login))
        .route("/continue", web::post().to(continue_here))
        .route("/require-stamp", web::get().to(require_stamp))
        .route("/end-all", web::post().to(end_all))
        .route("/end-others", web::post().to(end_others))
        .route("/end-everyone", web::post().to(end_everyone))
        .route("/cart", web::post().to(set_entry))
        .route("/cart", web::get().to(entry));
}

fn limited(max_sessions: u32) -> SiteBuilder {
    let policy = Policy::new().idle(minutes(10)).overflow(Overflow::Refuse);
    Site::builder().policy(policy.max_sessions(max_sessions)).routes(routes)
}

/// Ticket of a refused login, and the sessions from which the user may choose.
struct Offer {
    ticket: String,
    ids: Vec<String>,
}

fn refused_login(browser: &Browser, user: &str) -> Offer {
    let page = browser.post("/limited-login", user);
    assert_eq!(page.status, 409, "{page:?}");
    let json = page.json();
    let ids = json["ids"].as_array().unwrap().iter();
    Offer {
        ticket: json["ticket"].as_str().unwrap().to_owned(),
        ids: ids.map(|id| id.as_str().unwrap().to_owned()).collect(),
    }
}

fn take_over(browser: &Browser, ticket: &str, id: &str) -> TestResponse {
    browser.post("/continue", &format!("ticket={ticket}&end={id}"))
}

fn assert_invalid(response: &TestResponse) {
    assert_eq!((response.status, response.cookies().len()), (409, 0), "{response:?}");
    assert!(response.body.contains("That took too long. Please sign in again."), "{response:?}");
}

fn is_signed_in(browser: &Browser) -> bool {
    browser.user_at("/private").is_some()
}

fn open_sessions(site: &Site, user: &str) -> Vec<SessionRecord> {
    block_on(site.registry.list(Query::open(user))).unwrap()
}

#[test]
fn chosen_session_ends_and_the_login_takes_its_slot() {
    let site = limited(2).start();
    let first = site.signed_in("alice");
    site.advance(seconds(1));
    let (second, third) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&third, "alice");
    assert!(!is_signed_in(&third) && is_signed_in(&first) && is_signed_in(&second));
    // The oldest login is the first choice.
    assert_eq!(take_over(&third, &offer.ticket, &offer.ids[0]).status, 303);
    assert!(is_signed_in(&third) && is_signed_in(&second));
    assert_eq!(first.fetch("/private").header("x-session-expired"), "revoked");
    assert_eq!(open_sessions(&site, "alice").len(), 2);
}

#[test]
fn takeover_is_one_operation_of_the_registry() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    site.registry.take_operations();
    let offer = refused_login(&browser, "alice");
    assert_eq!(site.registry.take_operations(), ["reserve", "issue_ticket"]);
    take_over(&browser, &offer.ticket, &offer.ids[0]);
    // The list of earlier logins is for the event.
    assert_eq!(site.registry.take_operations(), ["list", "commit"]);
}

#[test]
fn taken_over_session_names_the_new_device() {
    let site = limited(1).start();
    let (alice, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let form = format!("ticket={}&end={}", offer.ticket, offer.ids[0]);
    let request = browser.request("POST", "/continue").header("user-agent", agent);
    assert_eq!(request.form(&form).send().status, 303);
    let records = block_on(site.registry.list(Query::all("alice"))).unwrap();
    let ended = records.iter().find_map(|record| record.ended.clone()).unwrap();
    assert_eq!((ended.reason.as_str(), ended.by.as_deref()), ("revoked", Some("Firefox on Linux")));
    let events = ["alice signed in", "alice refused", "alice ended: revoked", "alice signed in"];
    assert_eq!(site.take_events(), events);
    assert_eq!(
        alice.read_messages(),
        "[warning revoked] You were signed out because you signed in on another device \
         (Firefox on Linux, 12:00 UTC)."
    );
}

#[test]
fn page_with_a_ticket_is_not_stored_and_its_cookie_names_no_secret() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    let page = browser.post("/limited-login", "alice");
    let ticket = page.json()["ticket"].as_str().unwrap().to_owned();
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.has_cookie("anonymous") && !page.has_cookie("id"), "{page:?}");
    assert!(!browser.cookie().contains(&ticket) && !browser.cookie().contains("alice"));
}

#[test]
fn takeover_leaves_exactly_one_cookie() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    let response = take_over(&browser, &offer.ticket, &offer.ids[0]);
    assert!(response.has_cookie("anonymous"), "the offer is deleted: {response:?}");
    assert_eq!(browser.cookie().split("; ").count(), 1, "{}", browser.cookie());
    assert!(browser.cookie().starts_with("id="));
}

#[test]
fn options_of_the_login_are_kept() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    let response = take_over(&browser, &offer.ticket, &offer.ids[0]);
    let max_age = format!("Max-Age={}", days(30).as_secs());
    assert!(response.cookies().iter().any(|cookie| cookie.contains(&max_age)), "{response:?}");
    assert_eq!(browser.get("/require-stamp").body, "current");
    site.advance(days(29));
    assert!(is_signed_in(&browser));
}

#[test]
fn entries_of_the_visitor_move_into_the_session() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    browser.post("/cart", "");
    let offer = refused_login(&browser, "alice");
    assert_eq!(browser.get("/cart").body, "Some(7)", "the page between keeps them");
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
    assert_eq!(browser.get("/cart").body, "Some(7)");
}

#[test]
fn other_requests_in_between_keep_the_offer() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    browser.get("/visits");
    browser.post("/push", "hello");
    browser.read_messages();
    browser.get("/private");
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
}

#[test]
fn ticket_is_accepted_once() {
    let site = limited(1).start();
    let (first, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    let replay = browser.copy();
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
    let id = open_sessions(&site, "alice")[0].id.to_string();
    assert_invalid(&take_over(&replay, &offer.ticket, &id));
    assert!(is_signed_in(&browser) && !is_signed_in(&replay) && !is_signed_in(&first));
}

#[test]
fn ticket_needs_the_browser_to_which_it_was_issued() {
    let site = limited(1).start();
    let (alice, browser, other) = (site.signed_in("alice"), site.browser(), site.browser());
    let offer = refused_login(&browser, "alice");
    assert_invalid(&take_over(&other, &offer.ticket, &offer.ids[0]));
    // A browser with an offer of its own has another binding.
    let own = refused_login(&other, "alice");
    assert_invalid(&take_over(&other, &offer.ticket, &offer.ids[0]));
    assert_invalid(&take_over(&browser, &own.ticket, &offer.ids[0]));
    for malformed in ["", "x", &"a".repeat(22), &offer.ticket[1..], "%00", &"a".repeat(9_000)] {
        assert_invalid(&take_over(&browser, malformed, &offer.ids[0]));
    }
    assert!(is_signed_in(&alice));
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
}

#[test]
fn ticket_expires_after_five_minutes() {
    for (after, status) in [(minutes(5) - seconds(1), 303), (minutes(5), 409)] {
        let site = limited(1).start();
        let (alice, browser) = (site.signed_in("alice"), site.browser());
        let offer = refused_login(&browser, "alice");
        site.advance(after);
        let response = take_over(&browser, &offer.ticket, &offer.ids[0]);
        assert_eq!(response.status, status, "{after:?}");
        assert_eq!(is_signed_in(&alice), status == 409, "{after:?}");
    }
}

#[test]
fn expired_offer_leaves_the_cookie_with_its_next_change() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    refused_login(&browser, "alice");
    let with_offer = browser.cookie().len();
    site.advance(minutes(5));
    browser.get("/visits");
    assert!(browser.cookie().len() < with_offer);
}

#[test]
fn end_all_and_end_everyone_void_tickets() {
    for (path, body) in [("/end-all", "alice"), ("/end-everyone", "")] {
        let site = limited(1).start();
        let (_, browser) = (site.signed_in("alice"), site.browser());
        let offer = refused_login(&browser, "alice");
        assert_eq!(site.browser().post(path, body).status, 200);
        assert_invalid(&take_over(&browser, &offer.ticket, &offer.ids[0]));
        assert!(!is_signed_in(&browser), "{path}");
    }
}

/// The holder of the ticket proved the old password.
#[test]
fn end_of_the_others_after_a_password_change_voids_tickets() {
    let site = limited(1).start();
    let (alice, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    assert_eq!(alice.post("/end-others", "").status, 200);
    assert_invalid(&take_over(&browser, &offer.ticket, &offer.ids[0]));
    assert!(is_signed_in(&alice) && !is_signed_in(&browser));
}

#[test]
fn login_of_another_user_in_the_browser_voids_the_ticket() {
    let site = limited(1).start();
    let (alice, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    browser.sign_in("bob");
    assert_invalid(&take_over(&browser, &offer.ticket, &offer.ids[0]));
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
    assert!(is_signed_in(&alice));
}

#[test]
fn takeover_replaces_the_session_of_another_user() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.signed_in("bob"));
    let bob = browser.copy();
    let offer = refused_login(&browser, "alice");
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"), "until the user continues");
    assert_invalid(&take_over(&browser, &"a".repeat(22), &offer.ids[0]));
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
    assert_eq!(browser.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(bob.fetch("/private").header("x-session-expired"), "logged_out");
}

#[test]
fn spent_ticket_keeps_the_session_of_another_user() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.signed_in("bob"));
    let offer = refused_login(&browser, "alice");
    site.browser().post("/end-all", "alice");
    assert_invalid(&take_over(&browser, &offer.ticket, &offer.ids[0]));
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
}

#[test]
fn only_sessions_of_the_user_can_be_chosen() {
    let site = limited(1).start();
    let (alice, bob, browser) = (site.signed_in("alice"), site.signed_in("bob"), site.browser());
    let offer = refused_login(&browser, "alice");
    let other = open_sessions(&site, "bob")[0].id.to_string();
    for id in [other.as_str(), &"a".repeat(16)] {
        let response = take_over(&browser, &offer.ticket, id);
        assert_eq!((response.status, response.cookies().len()), (409, 0), "{response:?}");
        assert!(response.body.contains("maximum number of sessions"), "{response:?}");
    }
    assert!(is_signed_in(&alice) && is_signed_in(&bob) && !is_signed_in(&browser));
    // The refusal has not spent the ticket.
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
}

#[test]
fn login_needs_no_takeover_if_the_chosen_session_has_ended() {
    let site = limited(1).start();
    let (alice, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    alice.post("/logout", "");
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
    assert!(is_signed_in(&browser));
}

#[test]
fn failed_commit_is_503_and_leaves_the_ticket() {
    let site = limited(1).start();
    let (alice, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    site.registry.fail_next("commit");
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 503);
    assert!(is_signed_in(&alice) && !is_signed_in(&browser));
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
}

#[test]
fn failed_ticket_is_503_and_sets_no_cookie() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    site.registry.fail_next("issue_ticket");
    let response = browser.post("/limited-login", "alice");
    assert_eq!((response.status, response.cookies().len()), (503, 0));
}

#[test]
fn browser_with_an_ended_session_can_continue() {
    let site = limited(1).start();
    let browser = site.signed_in("alice");
    site.advance(minutes(10));
    let alice = site.signed_in("alice");
    let offer = refused_login(&browser, "alice");
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
    assert!(is_signed_in(&browser) && !is_signed_in(&alice));
}

#[test]
fn changed_credential_voids_the_ticket() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static IS_CHANGED: AtomicBool = AtomicBool::new(false);
    let site = limited(1)
        .customise(|builder| {
            builder.stamp(|_| async {
                let hash = if IS_CHANGED.load(Ordering::SeqCst) { "new" } else { "hash" };
                Ok(Some(hash.to_owned()))
            })
        })
        .start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    IS_CHANGED.store(true, Ordering::SeqCst);
    assert_invalid(&take_over(&browser, &offer.ticket, &offer.ids[0]));
    assert_eq!(open_sessions(&site, "alice").len(), 1);
}

#[test]
fn unreadable_offer_is_no_ticket() {
    let site = limited(1).start();
    let _alice = site.signed_in("alice");
    let id = open_sessions(&site, "alice")[0].id.to_string();
    let now = 1_767_268_800_000_i64;
    for offer in ["", "{", "{}", "null", "{\"b\":1}", "{\"b\":\"x\",\"u\":\"alice\",\"e\":9e99}"] {
        let browser = site.browser();
        let state = json!({ "t": now, "o": offer }).to_string();
        browser.set_cookie("anonymous", &seal_anonymous_cookie(&state));
        assert_invalid(&take_over(&browser, &"a".repeat(22), &id));
    }
}

#[test]
fn api_client_receives_problem_json() {
    let site = limited(1).start();
    let form = format!("ticket={}&end={}", "a".repeat(22), "b".repeat(16));
    let request = site.browser();
    let response = request.request("POST", "/continue").script().form(&form).send();
    let (status, body) = (response.status, response.json());
    assert_eq!((status, &body["type"]), (409, &json!("urn:session-expire:sign-in-expired")));
}

/// Sends the same kind of request from each browser at once, and returns the statuses.
fn at_once(requests: Vec<(Browser, String, String)>) -> Vec<u16> {
    let barrier = Barrier::new(requests.len());
    thread::scope(|scope| {
        let threads: Vec<_> = requests
            .iter()
            .map(|(browser, ticket, id)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    take_over(browser, ticket, id).status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|other| **other == status).count()
}

#[test]
fn fifty_requests_with_one_ticket_make_one_session() {
    let site = limited(2).start();
    let (_, _, browser) = (site.signed_in("alice"), site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    let request =
        |n: usize| (browser.copy(), offer.ticket.clone(), offer.ids[n % offer.ids.len()].clone());
    let statuses = at_once((0..50).map(request).collect());
    assert_eq!((count(&statuses, 303), count(&statuses, 409)), (1, 49), "{statuses:?}");
    assert_eq!(open_sessions(&site, "alice").len(), 2);
}

#[test]
fn takeovers_at_once_neither_lose_nor_double_a_slot() {
    for _ in 0..5 {
        let site = limited(3).start();
        let before: Vec<_> = (0..3).map(|_| site.signed_in("alice")).collect();
        let old: HashSet<_> = open_sessions(&site, "alice").iter().map(|open| open.id).collect();
        let browsers: Vec<_> = (0..12).map(|_| site.browser()).collect();
        let requests = browsers.iter().enumerate().map(|(n, browser)| {
            let offer = refused_login(browser, "alice");
            (browser.clone(), offer.ticket, offer.ids[n % 3].clone())
        });
        let statuses = at_once(requests.collect());
        // Each old session frees one slot, for one of the logins that have chosen it.
        assert_eq!((count(&statuses, 303), count(&statuses, 409)), (3, 9), "{statuses:?}");
        let open = open_sessions(&site, "alice");
        assert_eq!(open.len(), 3);
        assert!(open.iter().all(|open| !old.contains(&open.id)));
        assert_eq!(browsers.iter().filter(|browser| is_signed_in(browser)).count(), 3);
        assert!(!before.iter().any(is_signed_in));
    }
}

async fn fill_cart(session: Session, size: web::Path<usize>) -> Result<HttpResponse> {
    session.insert("cart", "x".repeat(*size))?;
    Ok(HttpResponse::Ok().finish())
}

/// Writes an entry of the size in the path after the ticket was issued.
async fn fill_cart_after_offer(
    handle: SessionHandle,
    session: Session,
    size: web::Path<usize>,
) -> Result<HttpResponse> {
    let ticket = handle.takeover_ticket("alice", SignInOptions::new()).await?;
    session.insert("cart", "x".repeat(*size))?;
    Ok(HttpResponse::Conflict().body(ticket.to_string()))
}

fn with_carts() -> Site {
    let carts = |cfg: &mut web::ServiceConfig| {
        routes(cfg);
        cfg.route("/fill-cart/{size}", web::post().to(fill_cart))
            .route("/fill-cart-after-offer/{size}", web::post().to(fill_cart_after_offer));
    };
    limited(1).routes(carts).start()
}

#[test]
fn offer_that_does_not_fit_is_a_refused_login() {
    let site = with_carts();
    let _alice = site.signed_in("alice");
    let (mut offered, mut refused) = (0, 0);
    for size in (2_000..2_900).step_by(50) {
        let browser = site.browser();
        if browser.post(&format!("/fill-cart/{size}"), "").status != 200 {
            break;
        }
        let response = browser.post("/limited-login", "alice");
        assert_eq!(response.status, 409, "{size}: {response:?}");
        match response.body.contains("\"ticket\"") {
            true => offered += 1,
            false => refused += 1,
        }
    }
    assert!(offered > 0 && refused > 0, "{offered} {refused}");
}

#[test]
fn offer_gives_way_to_entries_that_are_written_later() {
    let site = with_carts();
    let alice = site.signed_in("alice");
    let id = open_sessions(&site, "alice")[0].id.to_string();
    for (size, status) in [(10, 303), (2_800, 409)] {
        let browser = site.browser();
        let response = browser.post(&format!("/fill-cart-after-offer/{size}"), "");
        assert_eq!(response.status, 409, "{size}: {response:?}");
        let id = if size == 10 { id.clone() } else { "a".repeat(16) };
        assert_eq!(take_over(&browser, &response.body, &id).status, status, "{size}");
    }
    assert!(!is_signed_in(&alice));
}

#[test]
fn failed_end_of_another_users_session_keeps_the_login() {
    let site = limited(1).start();
    let (alice, browser) = (site.signed_in("alice"), site.signed_in("bob"));
    let offer = refused_login(&browser, "alice");
    site.take_events();
    site.registry.fail_next("end");
    assert_eq!(take_over(&browser, &offer.ticket, &offer.ids[0]).status, 303);
    let events = ["alice ended: revoked", "registry failed", "alice signed in"];
    assert_eq!(site.take_events(), events);
    assert_eq!(browser.user_at("/private").as_deref(), Some("alice"));
    assert!(!is_signed_in(&alice));
    assert_eq!(open_sessions(&site, "bob").len(), 1, "until it expires");
}

#[test]
fn refused_ticket_is_an_event() {
    let site = limited(1).start();
    let (_, browser) = (site.signed_in("alice"), site.browser());
    let offer = refused_login(&browser, "alice");
    let replay = browser.copy();
    take_over(&browser, &offer.ticket, &offer.ids[0]);
    site.take_events();
    for (browser, ticket, event) in [
        (&replay, offer.ticket.as_str(), "alice ticket refused"),
        (&replay, "malformed", "alice ticket refused"),
        (&site.browser(), offer.ticket.as_str(), "unknown ticket refused"),
    ] {
        assert_invalid(&take_over(browser, ticket, &offer.ids[0]));
        assert_eq!(site.take_events(), [event]);
    }
}
