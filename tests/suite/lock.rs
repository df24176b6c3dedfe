//! Pages that lock when the idle timeout has passed (`at_end = "lock"`): their markup, and the
//! responses to the script of a locked page.

use actix_identity::Identity;
use actix_web::{HttpResponse, web};
use serde_json::Value;
use session_expire::{
    AtEnd, Limit, Policy, PolicyPatch, SessionVars, hours, minutes, seconds, session_policy,
};
use session_expire_tests::{Browser, Site, SiteBuilder};

async fn dialog(session: SessionVars) -> String {
    session.warning_dialog.to_string()
}

#[session_policy(idle = "30m", at_end = "lock", lock_for = "90m")]
async fn editor(session: SessionVars) -> String {
    session.warning_dialog.to_string()
}

async fn save(user: Identity, text: String) -> actix_web::Result<HttpResponse> {
    Ok(HttpResponse::Ok().body(format!("{}: {text}", user.id()?)))
}

fn lock() -> PolicyPatch {
    PolicyPatch::new().at_end(AtEnd::Lock)
}

fn routes(cfg: &mut web::ServiceConfig) {
    let page = |path: &str, patch: PolicyPatch| web::resource(path).wrap(patch).to(dialog);
    cfg.service(page("/leave", PolicyPatch::new()))
        .service(page("/lock", lock()))
        .service(page("/lock/short", lock().lock_for(std::time::Duration::from_millis(500))))
        .service(page("/lock/never", lock().lock_for(Limit::Off)))
        .service(page("/lock/no-idle", lock().idle(Limit::Off)))
        .service(web::scope("/scope").wrap(lock()).service(page("/leave", leave())))
        .service(web::resource("/editor").get(editor).post(save));
}

fn leave() -> PolicyPatch {
    PolicyPatch::new().at_end(AtEnd::Leave)
}

fn site() -> SiteBuilder {
    Site::builder().routes(routes)
}

#[test]
fn page_that_locks_has_the_time_and_the_texts() {
    let site = site().start();
    let alice = site.signed_in("alice");
    for (path, seconds) in [
        ("/leave", None),
        ("/scope/leave", None),
        ("/lock/no-idle", None),
        ("/lock", Some("3600")),
        ("/lock/short", Some("0.5")),
        ("/lock/never", Some("Infinity")),
        ("/editor", Some("5400")),
    ] {
        let markup = alice.get(path).body;
        let lock = markup.split(" data-lock=\"").nth(1).map(|rest| rest.split('"').next().unwrap());
        assert_eq!(lock, seconds, "{path}: {markup}");
        let texts = if seconds.is_some() { 4 } else { 0 };
        assert_eq!(markup.matches(" data-when-locked=\"").count(), texts, "{path}: {markup}");
        assert_eq!(markup.contains("Sign in again"), seconds.is_some(), "{path}");
    }
}

#[test]
fn attributes_of_lock_are_the_only_difference_in_the_markup() {
    let site = site().start();
    let alice = site.signed_in("alice");
    let [leave, lock] = ["/leave", "/lock"].map(|path| alice.get(path).body);
    let mut parts = lock.split(" data-when-locked=\"");
    let first = parts.next().unwrap().to_owned();
    let without = parts.fold(first, |text, part| text + part.split_once('"').unwrap().1);
    assert_eq!(without.replace(" data-lock=\"3600\"", ""), leave);
}

#[test]
fn user_policy_and_application_decide_on_lock() {
    let policy = Policy::new().idle(minutes(10)).at_end(AtEnd::Lock);
    let site = site()
        .policy(policy)
        .customise(|builder| {
            builder.user_policy(|user| async move {
                match user.as_str() {
                    "root" => leave(),
                    _ => PolicyPatch::new(),
                }
            })
        })
        .start();
    assert!(site.signed_in("alice").get("/leave").body.contains("data-lock"));
    assert!(!site.signed_in("root").get("/lock").body.contains("data-lock"));
}

/// Page of a browser, with the parameters that its script sends.
struct Page {
    browser: Browser,
    query: String,
}

impl Page {
    fn open(browser: &Browser, path: &str) -> Self {
        let markup = browser.get(path).body;
        assert!(markup.contains(" data-lock="), "{markup}");
        let query = markup.split("/status?").nth(1).unwrap().split('"').next().unwrap();
        Self { browser: browser.clone(), query: query.replace("&amp;", "&") }
    }

    fn status(&self) -> Value {
        self.browser.fetch(&format!("/session/status?{}", self.query)).json()
    }

    /// Reports that the user is active now.
    fn keep_alive(&self) -> (u16, Value) {
        let form = format!("idle_for=0&{}", self.query);
        let response = self.browser.request("POST", "/session/keep-alive").script().form(&form);
        let response = response.send();
        (response.status, response.json())
    }

    /// Returns the state, and the reason or the validity of the page token.
    fn state(&self) -> String {
        let status = self.status();
        let words = ["state", "reason", "policy"].map(|key| status[key].as_str());
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Returns a page whose session has expired, because its user was inactive.
fn locked_page(site: &Site, path: &str) -> Page {
    let page = Page::open(&site.signed_in("alice"), path);
    site.advance(minutes(30));
    assert_eq!(page.state(), "expired idle");
    page
}

#[test]
fn sign_in_of_the_same_user_unlocks_a_page_and_its_form_is_accepted() {
    let site = site().start();
    let page = locked_page(&site, "/editor");
    let tab = page.browser.clone();
    assert_eq!(tab.post("/editor", "typed").redirect().0, 303, "not without a sign-in");
    assert_eq!(tab.post("/login", "user=alice&next=/session/signed-in").status, 303);
    assert_eq!(page.state(), "active stale");
    let saved = tab.request("POST", "/editor").form("typed").send();
    assert_eq!((saved.status, saved.body.as_str()), (200, "alice: typed"));
}

#[test]
fn page_that_is_requested_again_has_a_token_for_its_own_policy() {
    let site = site().start();
    let locked = locked_page(&site, "/editor");
    locked.browser.post("/login", "user=alice");
    let renewed = Page::open(&locked.browser, "/editor");
    site.advance(minutes(9));
    assert_eq!(locked.keep_alive().1["policy"], "stale");
    assert_eq!(renewed.status()["seconds_until_idle_end"], 21 * 60, "the old token recorded none");
    let (status, body) = renewed.keep_alive();
    assert_eq!((status, &body["seconds_until_idle_end"]), (200, &1_800.into()), "{body}");
    site.advance(minutes(29));
    assert_eq!(renewed.state(), "active");
    assert_eq!(locked.state(), "expired idle stale", "the policy of the application");
}

#[test]
fn other_user_replaces_a_locked_page() {
    let site = site().start();
    let page = locked_page(&site, "/editor");
    page.browser.post("/login", "user=mallory");
    assert_eq!(page.status(), serde_json::json!({ "state": "replaced" }));
    assert_eq!(page.keep_alive().0, 409);
    page.browser.post("/session/logout", "");
    assert_ne!(page.status()["state"], "active");
    page.browser.post("/login", "user=alice");
    assert_eq!(page.state(), "active stale");
}

#[test]
fn each_end_has_its_own_reason() {
    let policy = Policy::new().idle(minutes(10)).absolute(minutes(35)).max_sessions(1);
    let site = site().policy(policy).start();
    let page = locked_page(&site, "/editor");
    site.advance(hours(1));
    assert_eq!(page.state(), "expired idle", "the absolute timeout passes later");
    let alice = site.signed_in("alice");
    let page = Page::open(&alice, "/editor");
    site.advance(minutes(20));
    assert_eq!(page.keep_alive().0, 200);
    site.advance(minutes(15));
    assert_eq!(page.state(), "expired absolute");
    let page = Page::open(&site.signed_in("alice"), "/editor");
    site.browser().sign_in("alice");
    assert_eq!(page.state(), "expired evicted");
}

#[test]
fn page_stays_locked_after_a_challenge_and_a_lost_cookie() {
    let site = site().start();
    let page = locked_page(&site, "/editor");
    assert_eq!(page.browser.get("/private").redirect().0, 303);
    assert!(page.browser.get("/login").body.contains("idle"), "the reason is shown once");
    assert_eq!(page.state(), "anonymous");
    let stranger = Page { browser: site.browser(), query: page.query };
    assert_eq!(stranger.status(), serde_json::json!({ "state": "anonymous" }));
}

/// A stricter page does not end the session: the user may be active on another page.
#[test]
fn activity_on_a_laxer_page_unlocks_a_stricter_page() {
    let site = site().start();
    let page = Page::open(&site.signed_in("alice"), "/lock");
    site.advance(minutes(10));
    assert_eq!(page.state(), "expired idle");
    assert_eq!(page.browser.user_at("/laxer").as_deref(), Some("alice"));
    assert_eq!(page.state(), "active");
}

#[test]
fn parameters_of_a_locked_page_open_nothing() {
    let site = site().start();
    let page = locked_page(&site, "/editor");
    let (policy, login) = page.query.split_once('&').unwrap();
    let mallory = site.signed_in("mallory");
    let own = Page::open(&mallory, "/editor").query;
    let (own_policy, own_login) = own.split_once('&').unwrap();
    let forged = format!("{login}0");
    for (browser, policy, login, expected) in [
        // The dead cookie, with each mixture of parameters.
        (&page.browser, policy, login, "expired idle"),
        (&page.browser, own_policy, login, "expired idle stale"),
        (&page.browser, policy, own_login, "expired idle"),
        (&page.browser, "policy=", "login=", "expired idle stale"),
        // Another user's session, with the parameters of the locked page.
        (&mallory, policy, login, "replaced"),
        (&mallory, own_policy, login, "replaced"),
        (&mallory, policy, own_login, "active stale"),
        (&mallory, own_policy, &forged, "replaced"),
    ] {
        let query = format!("{policy}&{login}");
        let forged = Page { browser: browser.clone(), query };
        assert_eq!(forged.state(), expected, "{policy} {login}");
        let (status, _) = forged.keep_alive();
        assert_eq!(status == 200, expected.starts_with("active"), "{policy} {login}: {status}");
    }
    assert_eq!(page.state(), "expired idle", "no request has revived the session");
    assert_eq!(page.browser.user_at("/private"), None);
}

#[test]
fn old_key_does_not_unlock_after_a_new_sign_in() {
    let site = site().start();
    let page = locked_page(&site, "/editor");
    let copy = page.browser.copy();
    page.browser.post("/login", "user=alice");
    assert_eq!(page.state(), "active stale");
    let copied = Page { browser: copy, query: page.query.clone() };
    assert!(copied.state().starts_with("expired"), "{}", copied.state());
    assert_eq!(copied.keep_alive().0, 401);
    assert_eq!(copied.browser.user_at("/private"), None);
    assert_eq!(page.state(), "active stale", "the new session is not affected");
}

#[test]
fn status_of_a_locked_page_names_no_user() {
    let site = site().start();
    let page = locked_page(&site, "/editor");
    let texts = [page.status().to_string(), page.query.clone()];
    page.browser.post("/login", "user=alice");
    for text in texts.into_iter().chain([page.status().to_string()]) {
        assert!(!text.contains("alice"), "{text}");
    }
    assert!(!page.browser.get("/editor").body.contains("alice"));
}

#[test]
fn refused_sign_in_unlocks_nothing() {
    let site = site().start();
    let page = locked_page(&site, "/editor");
    assert_eq!(page.browser.post("/login", "user=wrong").status, 401);
    assert_eq!(page.state(), "expired idle");
    site.advance(seconds(1));
    assert_eq!(page.keep_alive().0, 401);
}
