//! Damaged, forged and planted cookies.

use actix_session::Session;
use actix_web::web;
use session_expire::hours;
use session_expire_tests::{Site, seal_anonymous_cookie};

#[test]
fn broken_session_cookie_names_no_user() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let whole = alice.cookie().replace("id=", "");
    let half = &whole[..whole.len() / 2];
    let mut flipped = whole.clone().into_bytes();
    flipped[whole.len() / 2] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    let repeated = ["A".repeat(22), "A".repeat(26), "a".repeat(30), "0".repeat(26)];
    let long = ["A".repeat(8_000), format!("{whole}{whole}"), seal_anonymous_cookie("{")];
    let broken = ["", half, &flipped, "x", "\"", "%", "\u{0}", "{}", "'--"];
    let generated = repeated.iter().chain(&long).map(String::as_str);
    for cookie in broken.into_iter().chain(generated) {
        let attacker = site.browser();
        attacker.set_cookie("id", cookie);
        assert_eq!(attacker.user_at("/private"), None, "{cookie}");
        assert!(attacker.get("/public").status < 500, "{cookie}");
    }
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn broken_anonymous_cookie_is_ignored() {
    let site = Site::start();
    let browser = site.browser();
    browser.get("/visits");
    let whole = browser.cookie().replace("anonymous=", "");
    let (half, long) = (&whole[..whole.len() / 2], "A".repeat(8_000));
    for cookie in
        ["", half, &long, &format!("{whole}{whole}"), &seal_anonymous_cookie("{"), "\"", "%"]
    {
        let attacker = site.browser();
        attacker.set_cookie("anonymous", cookie);
        assert_eq!(attacker.user_at("/private"), None, "{cookie}");
        let visits = attacker.get("/visits");
        assert!(visits.body == "1" || visits.status == 0, "{cookie}: {visits:?}");
    }
    assert_eq!(browser.get("/visits").body, "2");
}

/// An attacker who knows the key can seal such a cookie.
#[test]
fn user_in_an_anonymous_cookie_is_dropped() {
    let site = Site::start();
    for user in [r#""alice""#, "17", "null", "[]"] {
        let attacker = site.browser();
        attacker
            .set_cookie("anonymous", &anonymous(&format!(r#"["actix_identity.user_id",{user}]"#)));
        assert_eq!(attacker.user_at("/private"), None, "{user}");
        assert_eq!(attacker.user_at("/public").as_deref(), Some("anonymous"), "{user}");
        assert_eq!(attacker.get("/visits").body, "1", "{user}");
        assert_eq!(attacker.user_at("/private"), None, "{user}");
    }
    assert!(site.take_events().is_empty());
}

/// Returns an anonymous cookie with these entries of `Session`.
fn anonymous(entries: &str) -> String {
    seal_anonymous_cookie(&format!(r#"{{"t":1767268800000,"d":{{"e":[{entries}]}}}}"#))
}

/// An attacker may add a cookie of their own to the browser of a user.
#[test]
fn first_of_two_session_cookies_counts() {
    let site = Site::start();
    let (alice, mallory) = (site.signed_in("alice"), site.signed_in("mallory"));
    let both = format!("{}; {}", alice.cookie(), mallory.cookie());
    let page = site.browser().request("GET", "/private").header("cookie", &both).send();
    assert_eq!(page.body, "alice", "{page:?}");
    let both = format!("id=x; {both}");
    let page = site.browser().request("GET", "/private").header("cookie", &both).send();
    assert_eq!(page.body, "alice", "the first well-formed cookie: {page:?}");
    assert_eq!(mallory.post("/session/logout", "").status, 303);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn unknown_keys_cost_one_load_and_store_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    drop((site.take_events(), site.registry.take_operations()));
    let attacker = site.browser();
    for n in 0..1_000 {
        attacker.set_cookie("id", &format!("{n:030}"));
        assert_eq!(attacker.fetch("/private").status, 401);
    }
    assert_eq!(site.registry.take_operations(), ["load"; 1_000]);
    assert!(site.take_events().iter().all(|event| event == "refused: unknown"));
    assert_eq!(site.registry.record_count(), 1);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn anonymous_cookie_content_signs_no_user_in() {
    use proptest::{prelude::*, test_runner::TestRunner};
    let site = Site::start();
    let json = prop_oneof![
        Just("null".to_owned()),
        Just("\"alice\"".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::Value::String(text).to_string()),
        "\\PC{0,40}",
        Just("[[[[{}]]]]".to_owned()),
    ];
    let name = prop_oneof![Just("actix_identity.user_id"), Just("visits"), Just(""), Just("x")];
    let entries = proptest::collection::vec((name, json.clone()), 0..4);
    let others = proptest::collection::vec(
        (prop_oneof![Just("t"), Just("m"), Just("r"), Just("k"), Just("d")], json),
        0..3,
    );
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    });
    let outcome = runner.run(&(entries, others), |(entries, others)| {
        let pair = |(name, json): &(_, String)| format!("[\"{name}\",{json}]");
        let entries = entries.iter().map(pair).collect::<Vec<_>>().join(",");
        let fields = others.iter().map(|(name, json)| format!(",\"{name}\":{json}"));
        let fields: String = fields.collect();
        let state = format!(r#"{{"t":1767268800000,"d":{{"e":[{entries}]}}{fields}}}"#);
        let attacker = site.browser();
        attacker.set_cookie("anonymous", &seal_anonymous_cookie(&state));
        for path in ["/private", "/public", "/messages", "/session/status"] {
            let response = attacker.fetch(path);
            prop_assert!(response.status < 500 && response.status > 0, "{} {:?}", path, response);
            prop_assert!(path != "/private" || response.status == 401, "{:?}", response);
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(site.take_events().is_empty());
}

/// The cookies of other applications may contain any byte (RFC 6265bis §5.6).
#[test]
fn non_ascii_byte_in_other_cookie_is_ignored() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for theme in [&b"gr\xfcn"[..], "gr\u{fc}n".as_bytes()] {
        let mut request = b"GET /private HTTP/1.1\r\nHost: a\r\nSec-Fetch-Mode: cors\r\n\
            Connection: close\r\nCookie: theme="
            .to_vec();
        request.extend_from_slice(theme);
        request.extend_from_slice(format!("; {}\r\n\r\n", alice.cookie()).as_bytes());
        let response = alice.send_raw(&request);
        assert!(response.starts_with("HTTP/1.1 200"), "{theme:?}: {response}");
    }
}

#[test]
fn planted_anonymous_cookie_gets_no_login() {
    let site = Site::start();
    let browser = site.browser();
    browser.get("/visits");
    let planted = browser.copy();
    browser.sign_in("alice");
    assert_eq!(planted.user_at("/private"), None);
    assert_eq!(planted.get("/visits").body, "2", "the visitor keeps the cookie");
    assert_eq!(browser.get("/visits").body, "2", "the login keeps the entries");
}

#[test]
fn key_appears_in_login_cookie_only() {
    let site = Site::start();
    let alice = site.browser();
    let login = alice.post("/login", "user=alice");
    let keys = site.registry.login_keys();
    assert_eq!(keys.len(), 1);
    let [cookie] = login.cookies()[..] else { panic!("expected one cookie: {login:?}") };
    assert!(cookie.starts_with(&format!("id={};", keys[0].expose())), "{cookie}");
    for path in ["/private", "/vars", "/session/status", "/messages"] {
        let response = format!("{:?}", alice.get(path));
        assert!(!response.contains(keys[0].expose()), "{path}");
    }
}

#[test]
fn login_cookie_ends_with_the_browser() {
    let site = Site::start();
    let response = site.browser().sign_in("alice");
    let [cookie] = response.cookies()[..] else { panic!("expected one cookie: {response:?}") };
    assert!(!cookie.contains("Max-Age") && !cookie.contains("Expires"), "{cookie}");
}

/// Sites over plain HTTP have no other protection against scripts.
#[test]
fn both_cookies_are_http_only() {
    let site = Site::start();
    for response in [site.browser().get("/visits"), site.browser().sign_in("alice")] {
        let [cookie] = response.cookies()[..] else { panic!("expected one cookie: {response:?}") };
        let mut attributes = cookie.split("; ").skip(1);
        assert!(attributes.any(|attribute| attribute == "HttpOnly"), "{cookie}");
    }
}

#[test]
fn cookies_contain_no_data_in_plain_text() {
    let site = Site::start();
    let browser = site.browser();
    let visit = browser.get("/visits");
    let login = browser.sign_in("alice@example.com");
    for response in [&visit, &login] {
        let cookies = response.cookies().join("\n");
        assert!(!cookies.is_empty());
        // Each text is followed by its three forms in Base64.
        for text in
            ["visits", "dmlzaXRz", "Zpc2l0c", "2aXNpdH", "alice", "YWxpY2", "FsaWNl", "hbGljZ"]
        {
            assert!(!cookies.contains(text), "{text}: {cookies}");
        }
    }
}

async fn store(session: Session, size: web::Path<usize>) -> &'static str {
    session.insert("large", "x".repeat(*size)).unwrap();
    "stored"
}

/// A cookie has at most 4,096 bytes.
#[test]
fn too_large_anonymous_entries_are_an_error() {
    for size in [5_000, 60_000, 70_000] {
        let site = Site::builder()
            .routes(|cfg| {
                cfg.route("/store/{size}", web::get().to(store));
            })
            .start();
        let path = format!("/store/{size}");
        assert_eq!(site.browser().get(&path).status, 500, "{size}");
        let alice = site.signed_in("alice");
        site.advance(hours(1));
        assert_eq!(alice.get(&path).status, 500, "{size}, expired");
    }
}
