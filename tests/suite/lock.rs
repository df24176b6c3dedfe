//! Pages that lock when the idle timeout has passed (`at_end = "lock"`): their markup, and the
//! responses to the script of a locked page.

use actix_identity::Identity;
use actix_web::{HttpResponse, web};
use serde_json::Value;
use session_expire::{
    AtEnd, Limit, Policy, PolicyPatch, SessionHandle, SessionVars, SignInError, hours, minutes,
    seconds, session_policy,
};
use session_expire_tests::{Browser, Site, SiteBuilder};

async fn dialog(session: SessionVars) -> String {
    session.warning_dialog.to_string()
}

#[session_policy(idle = "30m", at_end = "lock", lock_for = "90m")]
async fn editor(session: SessionVars) -> String {
    session.warning_dialog.to_string()
}

async fn confirm(session: SessionHandle, user: String) -> actix_web::Result<&'static str> {
    session.confirm(&user)?;
    Ok("confirmed")
}

async fn sign_in(session: SessionHandle, user: String) -> Result<&'static str, SignInError> {
    session.sign_in(user).await?;
    Ok("signed in")
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
        .service(page("/lock/strict", lock().idle(minutes(5))))
        .service(page("/lock/own-login", lock().login_url("/enter?a=\"&b=1")))
        .route("/confirm", web::post().to(confirm))
        .route("/sign-in", web::post().to(sign_in))
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
    let without =
        ["when-locked", "blocked", "sign-in", "lock"].iter().fold(lock, |markup, name| {
            let attribute = format!(" data-{name}=\"");
            let mut parts = markup.split(&attribute);
            let first = parts.next().unwrap().to_owned();
            parts.fold(first, |text, part| text + part.split_once('"').unwrap().1)
        });
    assert_eq!(without, leave);
}

/// The button opens the page with the sign-in form. A page that leaves opens the page for expired
/// sessions.
#[test]
fn page_that_locks_names_the_login_page_besides_the_page_for_ended_sessions() {
    let site = site().customise(|builder| builder.expired_url("/ended")).start();
    let alice = site.signed_in("alice");
    for (path, sign_in, login) in [
        ("/leave", None, "/ended"),
        ("/lock/no-idle", None, "/ended"),
        ("/lock", Some("/login"), "/ended"),
        ("/lock/own-login", Some("/enter?a=&quot;&amp;b=1"), "/enter?a=&quot;&amp;b=1"),
    ] {
        let markup = alice.get(path).body;
        let value = |name: &str| markup.split(name).nth(1)?.split('"').next();
        assert_eq!(value(" data-sign-in=\""), sign_in, "{path}: {markup}");
        assert_eq!(value(" data-login=\""), Some(login), "{path}: {markup}");
    }
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

    /// Returns the same page after it was locked.
    fn locked(&self) -> Self {
        Self { browser: self.browser.clone(), query: format!("{}&locked=1", self.query) }
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

/// Returns a page whose session has expired after inactivity.
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

/// Returns a page whose idle timeout has passed, while its session is active on other pages.
fn stricter_page(site: &Site) -> Page {
    let page = Page::open(&site.signed_in("alice"), "/lock/strict");
    site.advance(minutes(5));
    assert_eq!(page.state(), "expired idle");
    assert_eq!(page.browser.get("/login").status, 200);
    assert_eq!(page.browser.user_at("/private").as_deref(), Some("alice"));
    page
}

/// The timeout of a stricter page does not end the session.
#[test]
fn activity_elsewhere_uncovers_no_locked_page() {
    let site = site().start();
    let page = stricter_page(&site);
    assert_eq!(page.state(), "active", "a page that is not locked");
    let locked = page.locked();
    let status = locked.status();
    assert_eq!((&status["reason"], &status["login_url"]), (&"idle".into(), &"/login".into()));
    site.advance(minutes(4));
    assert_eq!(locked.state(), "expired idle");
    let (code, body) = locked.keep_alive();
    assert_eq!((code, &body["reason"]), (401, &"idle".into()), "{body}");
    site.advance(minutes(6));
    assert_eq!(page.browser.user_at("/private"), None, "the page has reported no activity");
    assert_eq!(locked.state(), "expired idle");
}

#[test]
fn login_and_confirmation_uncover_a_page_stricter_than_the_application() {
    for path in ["/sign-in", "/confirm"] {
        let site = site().start();
        let locked = stricter_page(&site).locked();
        assert_eq!(locked.browser.post(path, "alice").status, 200, "{path}");
        assert!(locked.state().starts_with("active"), "{path}: {}", locked.state());
        assert!(locked.status()["seconds_until_idle_end"].is_number());
        site.advance(minutes(10));
        assert!(locked.state().starts_with("expired idle"), "{path}: {}", locked.state());
    }
}

/// The script takes the parameters of the new session from the markup of its page.
#[test]
fn page_with_the_parameters_of_the_new_session_locks_again() {
    for path in ["/sign-in", "/confirm"] {
        let site = site().start();
        let before = stricter_page(&site);
        assert_eq!(before.browser.post(path, "alice").status, 200, "{path}");
        assert!(before.locked().state().starts_with("active"), "{path}");
        let renewed = Page::open(&before.browser, "/lock/strict");
        site.advance(minutes(5));
        assert_eq!(renewed.state(), "expired idle", "{path}");
        assert_eq!(renewed.browser.get("/login").status, 200);
        assert_eq!(renewed.state(), "active", "{path}");
        assert_eq!(renewed.locked().state(), "expired idle", "{path}");
    }
}

/// `Identity::login` of the signed-in user only renews the session key.
#[test]
fn renewed_key_uncovers_no_locked_page() {
    let site = site().start();
    let locked = stricter_page(&site).locked();
    assert_eq!(locked.browser.post("/login", "user=alice").status, 303);
    assert_eq!(locked.state(), "expired idle");
    locked.browser.post("/session/logout", "");
    assert_eq!(locked.browser.post("/login", "user=alice").status, 303);
    assert!(locked.state().starts_with("active"), "{}", locked.state());
}

#[test]
fn locked_page_learns_of_other_ends() {
    let site = site().policy(Policy::new().idle(minutes(10)).max_sessions(1)).start();
    let locked = stricter_page(&site).locked();
    site.browser().sign_in("alice");
    assert_eq!(locked.state(), "expired evicted");
    let locked = stricter_page(&site).locked();
    locked.browser.post("/login", "user=mallory");
    assert_eq!(locked.state(), "replaced");
    locked.browser.post("/session/logout", "");
    assert_eq!(locked.state(), "anonymous");
}

#[test]
fn invalid_parameter_of_a_locked_page_is_ignored() {
    let site = site().start();
    let page = stricter_page(&site);
    for locked in ["", "0", "true", "%00", "11"] {
        let query = format!("{}&locked={locked}", page.query);
        assert_eq!(Page { browser: page.browser.clone(), query }.state(), "active", "{locked}");
    }
    let unnamed = Page { browser: page.browser.clone(), query: "locked=1".to_owned() };
    assert_eq!(unnamed.state(), "active", "the query names no page");
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
