//! Status, keep-alive and logout.

use session_expire::{Limit, Policy, hours, minutes, seconds};
use session_expire_tests::{Answer, Browser, Site};

fn status(browser: &Browser, query: &str) -> serde_json::Value {
    let answer = browser.fetch(&format!("/session/status{query}"));
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    answer.json()
}

fn keep_alive(browser: &Browser, form: &str) -> Answer {
    browser.request("POST", "/session/keep-alive").script().form(form).send()
}

/// What a page tells the endpoints about its policy.
fn claim(page: &Answer) -> String {
    let script = page.json()["script"].as_str().unwrap_or_default().to_owned();
    let from = script.split("status?").nth(1).unwrap_or_default();
    from.split('"').next().unwrap_or_default().replace("&amp;", "&")
}

#[test]
fn status_says_how_the_session_stands() {
    let site = Site::start();
    assert_eq!(status(&site.browser(), ""), serde_json::json!({"state": "anonymous"}));
    let alice = site.signed_in("alice");
    site.pass(seconds(17));
    let active = serde_json::json!({
        "state": "active", "seconds_until_idle_end": 583, "seconds_until_session_end": 8 * 3_600 - 17, "warn_seconds": 120,
    });
    assert_eq!(status(&alice, ""), active);
    site.pass(minutes(10));
    let expired = serde_json::json!({"state": "expired", "reason": "idle", "login_url": "/login"});
    assert_eq!(status(&alice, ""), expired);
}

#[test]
fn limits_that_are_off_are_null() {
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let site = Site::builder().policy(policy).start();
    let status = status(&site.signed_in("alice"), "");
    for key in ["seconds_until_idle_end", "seconds_until_session_end", "warn_seconds"] {
        assert!(status[key].is_null() && status.get(key).is_some(), "{key}: {status}");
    }
}

#[test]
fn asking_for_the_status_keeps_nobody_signed_in() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for left in (1..10).rev() {
        site.pass(minutes(1));
        assert_eq!(status(&alice, "")["seconds_until_idle_end"], left * 60);
    }
    site.pass(minutes(1));
    assert_eq!(status(&alice, "")["state"], "expired");
}

#[test]
fn keep_alive_notes_activity_and_answers_what_is_stored() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(9));
    for (body, left) in
        [("idle_for=60", 540), ("idle_for=12.5", 588), ("idle_for=0", 600), ("", 600)]
    {
        let answer = keep_alive(&alice, body);
        assert_eq!(
            (answer.status, answer.json()["seconds_until_idle_end"].as_u64()),
            (200, Some(left)),
            "{body}"
        );
    }
    let json =
        alice.request("POST", "/session/keep-alive").script().json(r#"{"idle_for": 0.5}"#).send();
    assert_eq!(json.json()["seconds_until_idle_end"], 600);
    site.pass(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn a_claim_of_activity_never_makes_a_session_younger_than_it_is() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(5));
    for body in ["idle_for=301", "idle_for=1e9", "idle_for=1e300"] {
        assert_eq!(keep_alive(&alice, body).json()["seconds_until_idle_end"], 300, "{body}");
    }
}

#[test]
fn keep_alive_revives_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    let answer = keep_alive(&alice, "idle_for=0");
    assert_eq!((answer.status, answer.json()["state"].as_str()), (401, Some("expired")));
    assert_eq!(answer.json()["reason"], "idle");
    assert_eq!(alice.user_at("/private"), None);
    assert_eq!(keep_alive(&site.browser(), "idle_for=0").json()["state"], "anonymous");
}

#[test]
fn junk_in_a_keep_alive_is_refused_and_changes_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(5));
    for body in [
        "idle_for=-1",
        "idle_for=NaN",
        "idle_for=inf",
        "idle_for=-inf",
        "idle_for=x",
        "idle_for=",
        "idle_for=1;2",
        "idle_for",
        "junk",
        "%%%",
        "<a/>",
        "other=1",
    ] {
        let answer = keep_alive(&alice, body);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, "application/problem+json"),
            "{body}"
        );
    }
    for json in [
        r#"{"idle_for": -1}"#,
        r#"{"idle_for": "1"}"#,
        "[1",
        "null",
        r#"{"idle_for": 1e999}"#,
        "\"\"",
        "{}",
    ] {
        let answer = alice.request("POST", "/session/keep-alive").script().json(json).send();
        assert_eq!(answer.status, 400, "{json}");
    }
    let long = keep_alive(&alice, &format!("idle_for=0&x={}", "y".repeat(10_000)));
    assert_eq!(long.status, 413);
    assert_eq!(status(&alice, "")["seconds_until_idle_end"], 300);
}

#[test]
fn status_and_keep_alive_judge_under_the_policy_of_the_page_that_asks() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let claim = claim(&alice.get("/looser/vars"));
    site.pass(minutes(30));
    assert_eq!(status(&alice, &format!("?{claim}"))["seconds_until_idle_end"], 1_800);
    let answer = keep_alive(&alice, &format!("idle_for=0&{claim}"));
    assert_eq!(
        (answer.status, answer.json()["seconds_until_idle_end"].as_u64()),
        (200, Some(3_600))
    );
}

#[test]
fn a_forged_claim_keeps_nobody_signed_in() {
    for forged in [
        "policy=-.-.-",
        "policy=-.-.-.00",
        "policy=86400000.86400000.1000.ff",
        "idle=never",
        "policy=%FF",
    ] {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.pass(minutes(30));
        let answer = keep_alive(&alice, &format!("idle_for=0&{forged}"));
        assert_eq!(answer.status, 401, "{forged}");
        assert_eq!(alice.user_at("/private"), None, "{forged}");
    }
}

#[test]
fn logout_answers_pages_scripts_and_htmx() {
    let site = Site::start();
    let page = site.signed_in("alice");
    assert_eq!(page.post("/session/logout", "").redirect(), (303, "/login"));
    assert_eq!(page.messages(), "[success logged_out] You have signed out.");
    let script = site.signed_in("alice");
    let answer = script.request("POST", "/session/logout").script().send();
    assert_eq!((answer.status, answer.json()["state"].as_str()), (200, Some("anonymous")));
    let htmx = site.signed_in("alice");
    let answer =
        htmx.request("POST", "/session/logout").script().header("hx-request", "true").send();
    assert_eq!((answer.status, answer.header("hx-redirect")), (200, "/login"));
    for browser in [page, script, htmx] {
        assert_eq!(browser.user_at("/private"), None);
    }
}

#[test]
fn another_site_can_neither_extend_nor_end_a_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(5));
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for path in ["/session/keep-alive", "/session/logout"] {
            let request = alice.request("POST", path).without("sec-fetch-site");
            let answer = request.header(name, value).form("idle_for=0").send();
            assert_eq!(answer.status, 403, "{path} {name}: {value}");
        }
    }
    assert_eq!(status(&alice, "")["seconds_until_idle_end"], 300);
}

#[test]
fn nothing_is_changed_by_reading() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for path in ["/session/keep-alive", "/session/logout"] {
        assert!(matches!(alice.get(path).status, 404 | 405), "{path}");
    }
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn the_endpoints_can_live_elsewhere() {
    let site =
        Site::builder().customise(|builder| builder.endpoints_prefix("/auth/session")).start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.fetch("/auth/session/status").json()["state"], "active");
    assert!(
        alice.get("/vars").json()["script"]
            .as_str()
            .unwrap()
            .contains("src=\"/auth/session/session.")
    );
}

#[test]
fn a_looser_page_s_status_is_asked_without_ending_its_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let claim = claim(&alice.get("/looser/vars"));
    for _ in 0..5 {
        site.pass(minutes(11));
        assert_eq!(status(&alice, &format!("?{claim}"))["state"], "active");
    }
    site.pass(hours(1));
    assert_eq!(status(&alice, &format!("?{claim}"))["state"], "expired");
}

#[test]
fn asking_ends_nothing_that_another_page_still_accepts() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let script = vars_script(&alice);
    site.pass(minutes(30));
    assert_eq!(status(&alice, "")["state"], "expired");
    assert_eq!(keep_alive(&alice, "").status, 401);
    let answer = alice.fetch(&script);
    assert_eq!((answer.status, answer.cookies().len()), (200, 0));
    assert_eq!(alice.user_at("/looser").as_deref(), Some("alice"));
}

fn vars_script(browser: &Browser) -> String {
    let markup = browser.get("/vars").json()["script"].as_str().unwrap_or_default().to_owned();
    markup.split('"').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn every_tab_that_asks_is_told_the_same() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    for _ in 0..3 {
        assert_eq!(status(&alice, "")["reason"], "idle");
        assert_eq!(alice.fetch("/private").header("x-session-expired"), "idle");
    }
}

#[test]
fn script_asked_for_by_an_ended_session_sets_no_cookie() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let (thief, script) = (alice.stolen(), vars_script(&alice));
    alice.post("/logout", "");
    let answer = thief.get(&script);
    let cache = "private, max-age=31536000, immutable";
    assert_eq!((answer.cookies().len(), answer.header("cache-control")), (0, cache));
}

#[test]
fn a_page_of_somebody_who_was_here_before_is_told_so_and_keeps_nobody_signed_in() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    let of_alice = claim(&browser.get("/vars"));
    assert_eq!(status(&browser, &format!("?{of_alice}"))["state"], "active");
    browser.sign_in("bob");
    assert_eq!(status(&browser, &format!("?{of_alice}")), serde_json::json!({"state": "replaced"}));
    site.pass(minutes(9));
    let answer = keep_alive(&browser, &format!("idle_for=0&{of_alice}"));
    assert_eq!((answer.status, &answer.json()["state"]), (409, &"replaced".into()));
    assert_eq!(status(&browser, "")["seconds_until_idle_end"], 60, "Bob did nothing");
}

#[test]
fn a_page_from_before_a_new_login_of_the_same_person_goes_on() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    let before = claim(&browser.get("/vars"));
    site.pass(minutes(1));
    browser.sign_in("alice");
    assert_eq!(status(&browser, &format!("?{before}"))["state"], "active");
    assert_eq!(keep_alive(&browser, &format!("idle_for=0&{before}")).status, 200);
}

#[test]
fn a_login_id_that_is_junk_is_nobodys() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for junk in ["", "x", "%00", &"A".repeat(5_000)] {
        assert_eq!(status(&alice, &format!("?login={junk}"))["state"], "replaced", "{junk}");
        assert_eq!(status(&site.browser(), &format!("?login={junk}"))["state"], "anonymous");
    }
}
