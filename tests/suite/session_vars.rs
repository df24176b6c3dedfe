//! Template variables of [`SessionVars`](session_expire::SessionVars).

use session_expire::{
    Limit, Policy, SessionExpireBuilder,
    clock::Timestamp,
    hours, minutes,
    page::{DialogTexts, Languages},
    seconds,
};
use session_expire_tests::{Browser, Site};

fn vars(browser: &Browser, path: &str) -> (Option<u64>, Option<u64>, String) {
    let vars = browser.get(path).json();
    let script = vars["script"].as_str().unwrap_or_default().to_owned();
    (vars["idleEnd"].as_u64(), vars["sessionEnd"].as_u64(), script)
}

#[test]
fn seconds_match_the_limits_of_the_server() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let (idle, session, script) = vars(&alice, "/vars");
    assert_eq!((idle, session), (Some(600), Some(28_800)));
    assert!(
        script.contains(r#"data-idle-end="600""#) && script.contains(r#"data-login="/login""#),
        "{script}"
    );
    site.advance(seconds(1));
    assert_eq!(vars(&alice, "/vars").0, Some(599), "within the write interval");
    site.advance(seconds(60));
    assert_eq!(vars(&alice, "/vars").0, Some(600), "the request is recorded as activity");
    site.advance(minutes(10) - std::time::Duration::from_millis(1));
    let passive = alice.request("GET", "/vars").header("x-session-passive", "1").send();
    assert_eq!(passive.json()["idleEnd"], 1, "rounded up while the session is active");
}

#[test]
fn vars_of_a_visitor_are_empty() {
    let site = Site::start();
    assert_eq!(vars(&site.browser(), "/vars"), (None, None, String::new()));
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    assert_eq!(vars(&alice, "/vars"), (None, None, String::new()));
}

#[test]
fn seconds_follow_the_policy_of_the_page() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    assert_eq!(vars(&alice, "/laxer/vars").0, Some(3_600));
}

#[test]
fn vars_without_timeouts_are_empty() {
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let site = Site::builder().policy(policy).start();
    assert_eq!(vars(&site.signed_in("alice"), "/vars"), (None, None, String::new()));
}

#[test]
fn seconds_of_99_years_do_not_overflow() {
    let policy = Policy::new().idle(Limit::Off).absolute(hours(24 * 365 * 99));
    let site = Site::builder().policy(policy).clock_at(Timestamp::from_millis(0)).start();
    assert_eq!(vars(&site.signed_in("alice"), "/vars").1, Some(99 * 365 * 86_400));
}

#[test]
fn login_url_is_escaped_in_markup() {
    let policy = Policy::new().login_url("/login?a=\"><script>alert(1)</script>&b=1");
    let site = Site::builder().policy(policy).start();
    let browser = site.browser();
    browser.post("/login", "user=alice");
    let (_, _, script) = vars(&browser, "/vars");
    assert!(
        script.contains(
            "data-login=\"/login?a=&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;b=1\""
        ),
        "{script}"
    );
}

#[test]
fn dialog_uses_the_language_of_the_browser() {
    let german = |languages: &Languages| {
        let mut texts = DialogTexts::default();
        if languages.best_of(&["en", "de"]) == Some("de") {
            texts.stay = "Angemeldet bleiben".into();
        }
        texts
    };
    let site = Site::builder().customise(move |builder| builder.dialog_texts(german)).start();
    let alice = site.signed_in("alice");
    for (languages, text) in [("de-AT, en;q=0.5", "Angemeldet bleiben"), ("fr", "Stay signed in")] {
        let request = alice.request("GET", "/vars").header("accept-language", languages);
        let dialog = request.send().json()["dialog"].as_str().unwrap().to_owned();
        assert!(dialog.contains(&format!("data-when-idle=\"{text}\"")), "{dialog}");
        assert!(
            dialog.ends_with(" defer></script>") && dialog.contains("action=\"/session/logout\"")
        );
    }
    assert_eq!(site.browser().get("/vars").json()["dialog"], "");
}

#[test]
fn dialog_without_warning_has_warn_zero() {
    let policy = Policy::new().warn(Limit::Off);
    let site = Site::builder().policy(policy).start();
    let page = site.signed_in("alice").get("/vars").json();
    assert!(page["dialog"].as_str().unwrap().contains("data-warn=\"0\""));
}

/// Replaces the text between each `start` and the next `end`.
fn mask(text: &str, start: &str, end: char) -> String {
    let mut parts = text.split(start);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |masked, part| {
        let rest = part.split_once(end).map_or("", |(_, rest)| rest);
        format!("{masked}{start}…{end}{rest}")
    })
}

/// Returns the dialog of a page without the parts that differ between sessions and file versions.
fn masked_dialog(browser: &Browser, path: &str) -> String {
    let dialog = browser.get(path).json()["dialog"].as_str().unwrap().to_owned();
    mask(&mask(&mask(&dialog, "policy=", '&'), "&amp;login=", '"'), "/session/session.", '.')
}

/// The markup without live pages, without lock and without a translation must not change.
#[test]
fn markup_of_a_page_that_leaves_has_a_fixed_form() {
    let texts = |builder: SessionExpireBuilder| builder.dialog_texts(|_| DialogTexts::default());
    let site = Site::builder().customise(texts).start();
    let snapshot: String = include_str!("leaving_page.html").lines().collect();
    assert_eq!(masked_dialog(&site.signed_in("alice"), "/vars"), snapshot);
}
