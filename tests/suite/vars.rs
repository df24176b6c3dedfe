//! What templates print.

use session_expire::{DialogTexts, Languages, Limit, Policy, Timestamp, hours, minutes, seconds};
use session_expire_tests::{Browser, Site};

fn vars(browser: &Browser, path: &str) -> (Option<u64>, Option<u64>, String) {
    let vars = browser.get(path).json();
    let script = vars["script"].as_str().unwrap_or_default().to_owned();
    (vars["idleEnd"].as_u64(), vars["sessionEnd"].as_u64(), script)
}

#[test]
fn the_numbers_are_what_the_server_will_keep() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let (idle, session, script) = vars(&alice, "/vars");
    assert_eq!((idle, session), (Some(600), Some(28_800)));
    assert!(
        script.contains(r#"data-idle-end="600""#) && script.contains(r#"data-login="/login""#),
        "{script}"
    );
    site.pass(seconds(1));
    assert_eq!(vars(&alice, "/vars").0, Some(599), "too little has passed to be written");
    site.pass(seconds(60));
    assert_eq!(vars(&alice, "/vars").0, Some(600), "this very request counts, and is written");
    site.pass(minutes(10) - std::time::Duration::from_millis(1));
    let passive = alice.request("GET", "/vars").header("x-session-passive", "1").send();
    assert_eq!(passive.json()["idleEnd"], 1, "never zero while it lives");
}

#[test]
fn for_a_stranger_the_numbers_are_null_and_the_rest_is_nothing() {
    let site = Site::start();
    assert_eq!(vars(&site.browser(), "/vars"), (None, None, String::new()));
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    assert_eq!(vars(&alice, "/vars"), (None, None, String::new()));
}

#[test]
fn a_page_counts_under_its_own_policy() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    assert_eq!(vars(&alice, "/looser/vars").0, Some(3_600));
}

#[test]
fn without_limits_there_is_nothing_to_leave_for() {
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let site = Site::builder().policy(policy).start();
    assert_eq!(vars(&site.signed_in("alice"), "/vars"), (None, None, String::new()));
}

#[test]
fn years_are_counted_without_overflow() {
    let policy = Policy::new().idle(Limit::Off).absolute(hours(24 * 365 * 99));
    let site = Site::builder().policy(policy).clock_at(Timestamp::from_millis(0)).start();
    assert_eq!(vars(&site.signed_in("alice"), "/vars").1, Some(99 * 365 * 86_400));
}

#[test]
fn a_page_that_answered_a_form_names_the_page_of_the_form_as_the_way_back() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let script =
        |answer: session_expire_tests::Answer| answer.json()["script"].as_str().unwrap().to_owned();
    assert!(!script(alice.get("/vars")).contains("data-next"));
    assert!(script(alice.post("/vars", "")).contains(r#"data-next="/form""#));
    let nowhere = alice.request("POST", "/vars").form("").send();
    assert!(script(nowhere).contains(r#"data-next="""#));
}

#[test]
fn the_script_is_served_to_be_kept_and_holds_no_inline_code() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let (_, _, script) = vars(&alice, "/vars");
    assert!(
        script.starts_with("<script src=\"/session/session.")
            && script.ends_with(" defer></script>")
    );
    let path = script.split('"').nth(1).unwrap();
    // With a cookie no shared cache may keep it: actix-session may renew the cookie on any answer.
    for (browser, keeper) in [(&alice, "private"), (&site.browser(), "public")] {
        let answer = browser.get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/javascript; charset=utf-8")
        );
        let expected = format!("{keeper}, max-age=31536000, immutable");
        assert_eq!(answer.header("cache-control"), expected);
        assert!(answer.body.contains("\"use strict\""));
    }
}

#[test]
fn a_login_url_cannot_break_out_of_its_attribute() {
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
fn the_dialog_speaks_the_language_of_the_reader() {
    let german = |languages: &Languages| DialogTexts {
        stay: match languages.best_of(&["en", "de"]) {
            Some("de") => "Angemeldet bleiben".into(),
            _ => DialogTexts::default().stay,
        },
        ..DialogTexts::default()
    };
    let site = Site::builder().customise(move |builder| builder.dialog_texts(german)).start();
    let alice = site.signed_in("alice");
    for (languages, words) in [("de-AT, en;q=0.5", "Angemeldet bleiben"), ("fr", "Stay signed in")]
    {
        let asked = alice.request("GET", "/vars").header("accept-language", languages);
        let dialog = asked.send().json()["dialog"].as_str().unwrap().to_owned();
        assert!(dialog.contains(&format!("data-when-idle=\"{words}\"")), "{dialog}");
        assert!(
            dialog.ends_with(" defer></script>") && dialog.contains("action=\"/session/logout\"")
        );
    }
    assert_eq!(site.browser().get("/vars").json()["dialog"], "");
}

#[test]
fn a_warning_that_is_off_opens_no_dialog_but_the_page_is_left() {
    let policy = Policy::new().warn(Limit::Off);
    let site = Site::builder().policy(policy).start();
    let page = site.signed_in("alice").get("/vars").json();
    assert!(page["dialog"].as_str().unwrap().contains("data-warn=\"0\""));
}

#[test]
fn the_style_is_served_to_be_kept() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let dialog = alice.get("/vars").json()["dialog"].as_str().unwrap().to_owned();
    let style = alice.get(dialog.split("href=\"").nth(1).unwrap().split('"').next().unwrap());
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(style.header("cache-control"), "private, max-age=31536000, immutable");
}
