//! Audit log of the example site.

use example_site::Settings;
use session_expire::{Overflow, minutes, seconds};
use session_expire_tests::{Browser, TestResponse};

use crate::example_site::{FIREFOX, current, sign_in, start, start_with, usual};

/// Returns the word and the text of each event on the page, newest first.
fn events(page: &TestResponse) -> Vec<(String, String)> {
    assert_eq!(page.status, 200, "{}", page.body);
    let rows = page.body.split("data-event=\"").skip(1);
    let rows = rows.filter_map(|row| row.split("</tr>").next()?.split_once("\">"));
    rows.map(|(word, row)| (word.to_owned(), text(row))).collect()
}

/// Returns the text of some markup, with single spaces.
fn text(markup: &str) -> String {
    let parts = markup.split('<').filter_map(|part| part.split_once('>').map(|(_, text)| text));
    parts.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

fn audit(root: &Browser) -> Vec<(String, String)> {
    events(&root.get("/admin/audit"))
}

/// Asserts that the texts contain the words.
fn assert_contains(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} in {text:?}");
    }
}

#[test]
fn audit_log_has_logins_and_ends_newest_first() {
    let site = start(usual());
    let alice = site.browser();
    let login = alice.request("POST", "/login").header("user-agent", FIREFOX);
    assert_eq!(login.form("username=alice&password=alice").send().status, 303);
    let id = current(&alice);
    site.clock.advance(minutes(1));
    let root = site.signed_in("root");
    site.clock.advance(seconds(1));
    root.post("/admin/sessions/end", &format!("user=alice&id={id}&cause=lost_device"));
    assert_eq!(alice.fetch("/api/me").status, 401);
    let all = audit(&root);
    let words: Vec<_> = all.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(
        words,
        ["session_use_after_expire", "session_expired", "session_created", "session_created"]
    );
    let last = &all[3].1;
    assert_contains(last, &["1 Jan 2026, 12:00:00 UTC", "session_created", "alice", &id]);
    assert_contains(last, &["Firefox on Linux, 127.0.0.1", "No earlier sign-in is known"]);
    assert_contains(&all[2].1, &["12:01:00 UTC", "root", "Unknown device, 127.0.0.1"]);
    let end = &["12:01:01 UTC", "alice", &id, "Reason: revoked", "Cause: lost_device"];
    assert_contains(&all[1].1, end);
}

#[test]
fn audit_log_tells_new_devices_and_previous_logins() {
    let site = start(usual());
    site.signed_in("alice");
    site.clock.advance(minutes(1));
    site.signed_in("alice");
    site.clock.advance(minutes(1));
    let login = site.browser();
    let login = login.request("POST", "/login").header("user-agent", FIREFOX);
    assert_eq!(login.form("username=alice&password=alice").send().status, 303);
    let all = audit(&site.signed_in("root"));
    assert_contains(&all[1].1, &["New device", "Previous sign-in: 1 Jan 2026, 12:01:00 UTC"]);
    assert_contains(&all[2].1, &["Previous sign-in: 1 Jan 2026, 12:00:00 UTC"]);
    assert!(!all[2].1.contains("New device"), "{}", all[2].1);
}

#[test]
fn audit_log_names_actor_and_attempts() {
    let site = start(usual().max_sessions(1).overflow(Overflow::Refuse));
    let bob = site.signed_in("bob");
    assert_eq!(bob.post("/confirm", "password=wrong").status, 401);
    assert_eq!(bob.post("/confirm", "password=bob").status, 303);
    assert_eq!(sign_in(&site.browser(), "bob", "").status, 409);
    let actor = site.signed_in("root");
    assert_eq!(actor.post("/admin/impersonate", "user=alice").status, 303);
    let all = audit(&site.signed_in("root"));
    for (word, details) in [
        ("authn_login_fail", ["bob", "Attempts left: 4"]),
        ("session_reauthenticated", ["bob", "127.0.0.1"]),
        ("excess_sessions_exceeded", ["bob", "127.0.0.1"]),
        ("session_created", ["alice", "Used by root"]),
    ] {
        let matches = |text: &str| details.iter().all(|detail| text.contains(detail));
        assert!(all.iter().any(|(other, text)| other == word && matches(text)), "{word}: {all:#?}");
    }
}

#[test]
fn audit_log_keeps_a_hundred_events_and_counts_dropped_ones() {
    let site = start(usual().max_sessions(0));
    for _ in 0..102 {
        site.clock.advance(seconds(1));
        site.signed_in("alice");
    }
    let page = site.signed_in("root").get("/admin/audit");
    let all = events(&page);
    assert_eq!(all.len(), 100);
    assert_contains(&all[0].1, &["root"]);
    assert!(page.body.contains("data-dropped=\"0\">No event was dropped."), "{}", page.body);
}

#[test]
fn audit_log_shows_forwarded_address_and_no_markup_of_clients() {
    let proxies = vec!["127.0.0.1".parse().unwrap()];
    let site = start_with(Settings { proxies, ..Settings::default() });
    let agent = "Mozilla/5.0 (X11; <script>alert(1)</script>) Firefox/140.0";
    let login = site.browser();
    let login = login.request("POST", "/login").header("user-agent", agent);
    let login = login.header("x-forwarded-for", "192.0.2.7");
    assert_eq!(login.form("username=alice&password=alice").send().status, 303);
    let page = site.signed_in("root").get("/admin/audit");
    assert!(page.body.contains("192.0.2.7") && !page.body.contains("<script>"), "{}", page.body);
}

#[test]
fn admin_pages_link_to_audit_log() {
    let site = start(usual());
    let root = site.signed_in("root");
    for path in ["/admin/", "/admin/users", "/admin/sessions"] {
        assert!(root.get(path).body.contains("<a href=\"/admin/audit\">"), "{path}");
    }
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/admin/audit").status, 403);
    site.clock.advance(minutes(2));
    assert_eq!(root.get("/admin/audit").redirect(), (303, "/login?next=/admin/audit"));
}
