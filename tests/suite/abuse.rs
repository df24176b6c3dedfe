//! Requests of attackers. Each test says what they want.

use std::{
    hint::black_box,
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use actix_web::{HttpResponse, web};
use session_expire::{
    Clock, Limit, ManualClock, MemoryRegistry, NewLogin, Policy, Query, RecordKey, Registry,
    SessionHandle, SessionLimit, Timestamp, device_name, minutes, seconds,
};
use session_expire_tests::{Browser, Site, block_on, sealed};

/// Sends bytes that no browser would, and reads what comes back.
fn raw(browser: &Browser, request: &[u8]) -> String {
    let address = browser.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(seconds(5))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = vec![];
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// To be taken for a user by a cookie that is broken, of another key, or far too large.
#[test]
fn broken_session_cookie_names_no_user() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let whole = alice.cookie().replace("id=", "");
    let half = &whole[..whole.len() / 2];
    let mut flipped = whole.clone().into_bytes();
    flipped[whole.len() / 2] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    let long = "A".repeat(8_000);
    for cookie in ["", half, &flipped, &long, &format!("{whole}{whole}"), &sealed("{"), "\"", "%"] {
        let thief = site.browser();
        thief.set_cookie("id", cookie);
        assert_eq!(thief.user_at("/private"), None, "{cookie}");
        assert!(thief.get("/public").status < 500, "{cookie}");
    }
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn broken_anonymous_cookie_is_an_empty_one() {
    let site = Site::start();
    let browser = site.browser();
    browser.get("/visits");
    let whole = browser.cookie().replace("anonymous=", "");
    let (half, long) = (&whole[..whole.len() / 2], "A".repeat(8_000));
    for cookie in ["", half, &long, &format!("{whole}{whole}"), &sealed("{"), "\"", "%"] {
        let thief = site.browser();
        thief.set_cookie("anonymous", cookie);
        assert_eq!(thief.user_at("/private"), None, "{cookie}");
        let visits = thief.get("/visits");
        assert!(visits.body == "1" || visits.status == 0, "{cookie}: {visits:?}");
    }
    assert_eq!(browser.get("/visits").body, "2");
}

/// To be a user by naming a key that no session has.
#[test]
fn invented_key_names_no_user() {
    let site = Site::start();
    for key in [
        "",
        "x",
        &"A".repeat(22),
        &"A".repeat(26),
        &"a".repeat(26),
        &"0".repeat(26),
        &"A".repeat(4_000),
        "\u{0}",
        "{}",
        "'--",
    ] {
        let thief = site.browser();
        thief.set_cookie("id", key);
        assert_eq!(thief.user_at("/private"), None, "{key}");
    }
}

/// To be a user by an anonymous cookie that names one: as after a leak of its key.
#[test]
fn user_in_an_anonymous_cookie_is_dropped() {
    let site = Site::start();
    for user in [r#""alice""#, "17", "null", "[]"] {
        let thief = site.browser();
        thief.set_cookie("anonymous", &anonymous(&format!(r#"["actix_identity.user_id",{user}]"#)));
        assert_eq!(thief.user_at("/private"), None, "{user}");
        assert_eq!(thief.user_at("/public").as_deref(), Some("anonymous"), "{user}");
        assert_eq!(thief.get("/visits").body, "1", "{user}");
        assert_eq!(thief.user_at("/private"), None, "{user}");
    }
    assert!(site.events().is_empty());
}

/// A cookie with these entries, sealed as the site does.
fn anonymous(entries: &str) -> String {
    sealed(&format!(r#"{{"t":1767268800000,"d":{{"e":[{entries}]}}}}"#))
}

/// To choose which of two sessions counts: their own cookie beside the victim's.
#[test]
fn first_of_two_session_cookies_counts() {
    let site = Site::start();
    let (alice, mallory) = (site.signed_in("alice"), site.signed_in("mallory"));
    let both = format!("{}; {}", alice.cookie(), mallory.cookie());
    let page = site.browser().request("GET", "/private").header("cookie", &both).send();
    assert_eq!(page.body, "alice", "{page:?}");
    let both = format!("id=x; {both}");
    let page = site.browser().request("GET", "/private").header("cookie", &both).send();
    assert_eq!(page.body, "alice", "the first well-formed one: {page:?}");
    assert_eq!(mallory.post("/session/logout", "").status, 303);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

/// To send a victim elsewhere after the login, by a `Host` of their own.
#[test]
fn host_header_gets_into_no_response() {
    let site = Site::start();
    for host in
        ["evil.example", "evil.example:80@127.0.0.1", "127.0.0.1.evil.example", "\u{e9}", ""]
    {
        let request = format!(
            "GET /private?a=b HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n\
             Sec-Fetch-Mode: navigate\r\nConnection: close\r\n\r\n"
        );
        let answer = raw(&site.browser(), request.as_bytes());
        assert!(!answer.contains("evil"), "{answer}");
        assert!(!answer.contains("303") || answer.contains("location: /login?next="), "{answer}");
    }
}

/// To learn from the status whether another user has a session, or which ids there are.
#[test]
fn status_says_nothing_about_other_users() {
    let site = Site::builder().routes(own_id).start();
    assert_eq!(site.browser().fetch("/session/status").body, r#"{"state":"anonymous"}"#);
    let (alice, mallory) = (site.signed_in("alice"), site.signed_in("mallory"));
    let asked = |id: &str| mallory.fetch(&format!("/session/status?login={id}")).body;
    let living = alice.get("/id").body;
    alice.post("/session/logout", "");
    let ended = asked(&living);
    assert_eq!((asked("AAAAAAAAAAAAAAAA"), asked("-")), (ended.clone(), ended));
}

fn own_id(config: &mut web::ServiceConfig) {
    config.route("/id", web::get().to(id)).route("/devices", web::get().to(devices));
}

async fn id(session: SessionHandle) -> String {
    session.id().map(|id| id.to_string()).unwrap_or_default()
}

/// The names of the devices of alice, each on its line.
async fn devices(session: SessionHandle) -> HttpResponse {
    let live = session.sessions().live("alice").await.unwrap();
    let names: Vec<_> = live.iter().map(|record| record.client.device.to_string()).collect();
    HttpResponse::Ok().body(names.join("\n"))
}

/// To put markup, control characters or a megabyte into a user's list of devices, or into the log.
#[test]
fn device_has_a_plain_name_whatever_the_user_agent() {
    let site = Site::builder().routes(own_id).start();
    let mallory = site.browser();
    for agent in [
        "<script>alert(1)</script> Firefox/1",
        "Mozilla/5.0 (\"onload=alert(1) ; Linux) Chrome/1",
        &format!("Firefox/{} Linux", "9".repeat(6_000)),
        "\u{202e}xoferiF \u{0}",
    ] {
        let name = device_name(agent);
        assert!(
            name.len() < 60 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == ' '),
            "{name}"
        );
        let asked =
            mallory.request("POST", "/login").header("user-agent", agent).form("user=alice");
        assert!([303, 0, 400, 431].contains(&asked.send().status), "{agent}");
    }
    let binary =
        b"POST /login HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xfe<b>\r\nContent-Length: 10\r\n\
        Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\nuser=alice";
    assert!(raw(&mallory, binary).starts_with("HTTP/1.1 303"));
    let listed = site.signed_in("alice").get("/devices").body;
    assert!(!listed.contains(['<', '"', '\u{0}']) && !listed.contains("999"), "{listed}");
}

/// To fill the memory of the server with sessions of one account.
#[test]
fn ten_thousand_logins_of_one_user_are_pruned() {
    let registry = MemoryRegistry::new().history_limit(Limit::At(20));
    let clock = ManualClock::default();
    let policy = Policy::new().max_sessions(3);
    block_on(async {
        for _ in 0..10_000 {
            clock.advance(minutes(30));
            let login = NewLogin::new("alice", clock.now(), &policy);
            drop(registry.commit(login).await.unwrap());
        }
        // The reasons of a day are kept, so that each victim learns why.
        assert!(registry.len() < 3 + 20 + 2 * 48 + 2, "{}", registry.len());
        let all = Query { user: Some("alice".into()), ..Query::default() };
        assert_eq!(registry.list(all).await.unwrap().len(), 23);
    });
}

/// The same without a limit on sessions, and faster than they expire.
#[test]
fn unlimited_logins_without_a_pause_are_pruned() {
    let (registry, clock) = (MemoryRegistry::new(), ManualClock::default());
    block_on(async {
        for _ in 0..10_000 {
            clock.advance(seconds(1));
            let login = NewLogin::new("alice", clock.now(), &Policy::new());
            drop(registry.commit(login).await.unwrap());
        }
    });
    // Open sessions, history, and tombstones.
    assert_eq!(registry.len(), SessionLimit::WITHOUT_LIMIT + 20 + 1_000);
}

/// To make the server read all logins of an account with one cheap request, again and again.
#[test]
fn status_lists_no_sessions_whatever_it_is_asked() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for login in ["AAAAAAAAAAAAAAAA", "", "AAAAAAAAAAAAAAAA.0000000000000000", "x.y.z"] {
        drop(site.registry.asked());
        let answer = alice.fetch(&format!("/session/status?login={login}"));
        assert_eq!(answer.json()["state"], "replaced", "{login}");
        assert_eq!(site.registry.asked(), ["load"], "{login}");
    }
}

/// To wear the server out with keys that do not exist: each costs one look, and stores nothing.
#[test]
fn thousand_wrong_keys_leave_nothing_behind() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    drop((site.events(), site.registry.asked()));
    for n in 0..1_000 {
        let thief = site.browser();
        thief.set_cookie("id", &format!("{n:026}"));
        assert_eq!(thief.fetch("/private").status, 401);
    }
    assert_eq!(site.registry.asked(), ["load"; 1_000]);
    assert!(site.events().iter().all(|event| event == "refused: unknown"));
    assert_eq!(site.registry.records(), 1);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

/// To have a victim signed in as the attacker, or an old session taken over, by planting a cookie.
#[test]
fn planted_session_does_not_become_the_victims() {
    let site = Site::start();
    let attacker = site.browser();
    attacker.get("/messages");
    let victim = attacker.stolen();
    victim.sign_in("alice");
    assert_eq!(attacker.user_at("/private"), None);
    let planted = site.signed_in("mallory");
    let victim = planted.stolen();
    victim.sign_in("alice");
    assert_eq!(planted.user_at("/private"), None, "and the planted one has ended");
    assert_eq!(victim.user_at("/private").as_deref(), Some("alice"));
}

/// To break the server, or to be let in, with an anonymous cookie of the right key and any content.
#[test]
fn anonymous_cookie_of_any_content_lets_no_user_in() {
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
        let thief = site.browser();
        thief.set_cookie("anonymous", &sealed(&state));
        for path in ["/private", "/public", "/messages", "/session/status"] {
            let answer = thief.fetch(path);
            prop_assert!(answer.status < 500 && answer.status > 0, "{} {:?}", path, answer);
            prop_assert!(path != "/private" || answer.status == 401, "{:?}", answer);
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(site.events().is_empty());
}

/// To find a key letter by letter, from how long it takes to refuse one.
#[test]
fn almost_right_key_is_refused_as_fast_as_any() {
    let (registry, noon) = (MemoryRegistry::new(), Timestamp::from_millis(1_767_268_800_000));
    let mut times = [vec![], vec![]];
    block_on(async {
        let mut wrong = [vec![], vec![]];
        for _ in 0..500 {
            let login = NewLogin::new("alice", noon, &Policy::new());
            let right = login.key.expose().to_owned();
            drop(registry.commit(login).await.unwrap());
            let last = if right.ends_with('a') { 'b' } else { 'a' };
            let almost = format!("{}{last}", &right[..right.len() - 1]);
            wrong[0].push(RecordKey::parse(&almost).unwrap());
            wrong[1].push(RecordKey::random("alice"));
        }
        for round in 0..20_000 {
            for (keys, times) in wrong.iter().zip(&mut times) {
                let (key, start) = (keys[round % keys.len()], Instant::now());
                assert!(black_box(registry.load(key, false).await).unwrap().is_none());
                times.push(start.elapsed().as_nanos());
            }
        }
    });
    let [almost, random] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2] as f64
    });
    assert!(almost / random < 1.3 && random / almost < 1.3, "{almost} ns and {random} ns");
}

/// To sign a user out by another cookie: those of other scripts may have any text (RFC 6265bis §5.6).
#[test]
fn non_ascii_byte_in_another_cookie_signs_no_user_out() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for theme in [&b"gr\xfcn"[..], "gr\u{fc}n".as_bytes()] {
        let mut request = b"GET /private HTTP/1.1\r\nHost: a\r\nSec-Fetch-Mode: cors\r\n\
            Connection: close\r\nCookie: theme="
            .to_vec();
        request.extend_from_slice(theme);
        request.extend_from_slice(format!("; {}\r\n\r\n", alice.cookie()).as_bytes());
        let answer = raw(&alice, &request);
        assert!(answer.starts_with("HTTP/1.1 200"), "{theme:?}: {answer}");
    }
}
