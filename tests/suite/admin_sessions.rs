//! List of the sessions of all users in the example site: pages, filters, ends.

use example_site::{RegistryKind, Settings};
use session_expire::{hours, minutes, seconds};
use session_expire_tests::{Browser, TestResponse};

use crate::example_site::{
    Example, current, devices, message, start, start_with, usual, with_registries,
};

/// Returns the names of the users in the list, one for each session.
fn users(page: &TestResponse) -> Vec<&str> {
    assert_eq!(page.status, 200, "{}", page.body);
    let rows = page.body.split("<li class=\"device\"").skip(1);
    let names = rows.filter_map(|row| row.split_once("<h2>")?.1.split([' ', '<']).next());
    names.collect()
}

/// Returns the target of the link `Older`.
fn older(page: &TestResponse) -> Option<String> {
    let link = page.body.split("<a ").find(|link| link.contains(">Older</a>"))?;
    let path = link.split_once("href=\"")?.1.split('"').next()?;
    Some(path.replace("&amp;", "&"))
}

fn list(root: &Browser, query: &str) -> TestResponse {
    root.get(&format!("/admin/sessions?{query}"))
}

/// Signs `user` in from `address`, which a trusted proxy reports.
fn signed_in_from(site: &Example, user: &str, address: &str) -> Browser {
    let browser = site.browser();
    let form = format!("username={user}&password={user}");
    let login = browser.request("POST", "/login").header("x-forwarded-for", address);
    assert_eq!(login.form(&form).send().status, 303);
    browser
}

#[test]
fn superuser_lists_sessions_in_pages_and_ends_them() {
    let site = start(usual().max_sessions(0));
    let victim = site.signed_in("bob");
    let id = current(&victim);
    for _ in 0..24 {
        site.clock.advance(seconds(1));
        site.signed_in("alice");
    }
    let root = site.signed_in("root");
    let first = root.get("/admin/sessions");
    let next = first.body.split("href=\"/admin/sessions?").nth(1).unwrap().split('"').next();
    let second = root.get(&format!("/admin/sessions?{}", next.unwrap().replace("&amp;", "&")));
    let mut all = devices(&first);
    assert_eq!(all.len(), 20);
    all.extend(devices(&second));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 26, "no session is listed twice");
    let form = format!("user=bob&id={id}");
    assert_eq!(victim.post("/admin/sessions/end", &form).status, 403);
    assert_eq!(root.post("/admin/sessions/end", &form).redirect(), (303, "/admin/sessions"));
    assert_eq!(message(&root.get("/admin/sessions")), "You ended a session of bob.");
    assert_eq!(victim.get("/api/me").status, 401);
}

#[test]
fn each_filter_selects_its_sessions() {
    with_registries(assert_filters);
}

fn assert_filters(registry: RegistryKind) {
    let name = format!("{registry:?}");
    let proxies = vec!["127.0.0.1".parse().unwrap()];
    let policy = usual().max_sessions(0);
    let site = start_with(Settings { registry, proxies, policy, ..Settings::default() });
    let first = signed_in_from(&site, "root", "198.51.100.1");
    site.clock.advance(minutes(1));
    let _idle = signed_in_from(&site, "alice", "192.0.2.7");
    site.clock.advance(minutes(1));
    signed_in_from(&site, "bob", "2001:db8::7").post("/logout", "");
    site.clock.advance(minutes(7));
    first.get("/dashboard");
    site.clock.advance(minutes(2));
    let root = signed_in_from(&site, "root", "198.51.100.1");
    site.clock.advance(seconds(1));
    let victim = signed_in_from(&site, "bob", "192.0.3.7");
    root.post("/admin/sessions/end", &format!("user=bob&id={}", current(&victim)));
    let all = vec!["bob", "root", "bob", "alice", "root"];
    for (query, expected) in [
        ("", all.clone()),
        ("user=&reason=any&cause=&from=&to=&client=", all),
        ("user=bob", vec!["bob", "bob"]),
        ("user=+bob+", vec!["bob", "bob"]),
        ("user=Bob", vec![]),
        ("reason=open", vec!["root", "root"]),
        ("reason=idle", vec!["alice"]),
        ("reason=absolute", vec![]),
        ("reason=logged_out", vec!["bob"]),
        ("reason=revoked", vec!["bob"]),
        ("reason=bored", vec![]),
        ("cause=administrator", vec!["bob"]),
        ("cause=administrator&reason=idle", vec![]),
        ("cause=administrator&reason=open", vec![]),
        ("cause=incident", vec![]),
        ("client=192.0.2.7", vec!["alice"]),
        ("client=192.0.2.0/23", vec!["bob", "alice"]),
        ("client=192.0.3.", vec!["bob"]),
        ("client=2001:db8::/32", vec!["bob"]),
        ("client=2001%3Adb8%3A%3A7", vec!["bob"]),
        ("client=%3A%3Affff%3A192.0.2.7", vec!["alice"]),
        ("client=203.0.113.1", vec![]),
        ("client=192.0.2.0/23&user=bob&reason=revoked&cause=administrator", vec!["bob"]),
        ("client=192.0.2.0/23&user=bob&reason=open", vec![]),
    ] {
        let page = list(&root, query);
        assert_eq!(users(&page), expected, "{query} {name}");
        assert_eq!(page.body.contains("No session matches."), expected.is_empty(), "{query}");
    }
}

#[test]
fn dates_include_their_whole_days() {
    let site = start(usual());
    let _alice = site.signed_in("alice");
    site.clock.advance(hours(24));
    let root = site.signed_in("root");
    for (query, expected) in [
        ("from=2026-01-01", vec!["root", "alice"]),
        ("from=2026-01-02", vec!["root"]),
        ("to=2026-01-01", vec!["alice"]),
        ("to=2026-01-02", vec!["root", "alice"]),
        ("from=2026-01-01&to=2026-01-01", vec!["alice"]),
        ("from=2026-01-02&to=2026-01-01", vec![]),
        ("from=2026-01-02T12:00:00Z", vec!["root"]),
        ("from=2026-01-02T12:00:00.001Z", vec![]),
        ("to=2026-01-02T12:00:00Z", vec!["alice"]),
        ("to=2026-01-02T13:00:00%2B01:00", vec!["alice"]),
        ("to=2026-01-02T13:00:00+01:00", vec!["alice"]),
        ("from=0001-01-01&to=9999-12-31", vec!["root", "alice"]),
        ("from=%2B262142-12-31&to=-262143-01-01", vec![]),
    ] {
        assert_eq!(users(&list(&root, query)), expected, "{query}");
    }
}

#[test]
fn unreadable_field_gets_error_page() {
    let site = start(usual());
    let root = site.signed_in("root");
    for query in [
        "from=yesterday",
        "to=2026-02-30",
        "to=2026-01-01T12:00",
        "client=192.0.2.0/33",
        "client=localhost",
        "client=%27%3B--",
        "user=alice&user=bob",
    ] {
        let page = list(&root, query);
        assert_eq!(page.status, 400, "{query}");
        assert!(page.body.contains("<h1>This filter could not be read</h1>"), "{}", page.body);
        assert!(page.body.contains("<span data-user>root</span>"));
    }
    for query in [
        "user=%00%ff%f0%9f%a6%80",
        "cause=%22%3E%3Cscript%3E",
        "reason=%22%3E%3Cscript%3E",
        "reason=Open",
        "unknown=1&&&=",
        "at=1&id=%00",
        "at=-9223372036854775808&id=AAAAAAAAAAAAAAAA",
    ] {
        let page = list(&root, query);
        assert_eq!(page.status, 200, "{query}");
        assert!(!page.body.contains("<script>"), "{query}");
    }
}

#[test]
fn filters_stay_in_form_and_link_to_older_sessions() {
    let site = start(usual().max_sessions(0));
    for _ in 0..45 {
        site.clock.advance(seconds(1));
        site.signed_in("alice");
        site.signed_in("bob");
    }
    let root = site.signed_in("root");
    let query = "user=alice&reason=open&from=2026-01-01T00:00:00%2B00:00&to=2026-01-01&client=::/0";
    assert!(users(&list(&root, query)).is_empty(), "the clients have IPv4 addresses");
    let query = query.replace("::/0", "127.0.0.0/8");
    let (mut page, mut all, mut pages) = (list(&root, &query), vec![], 0);
    loop {
        assert!(users(&page).iter().all(|user| *user == "alice"));
        all.extend(devices(&page));
        pages += 1;
        for field in [
            "name=\"user\" value=\"alice\"",
            "<option value=\"open\" selected>",
            "type=\"text\" value=\"2026-01-01T00:00:00+00:00\"",
            "type=\"date\" value=\"2026-01-01\"",
            "name=\"client\" value=\"127.0.0.0/8\"",
        ] {
            assert!(page.body.contains(field), "{field} on page {pages}");
        }
        let Some(path) = older(&page) else { break };
        page = root.get(&path);
    }
    all.dedup();
    assert_eq!((all.len(), pages), (45, 3));
}

#[test]
fn rare_session_is_found_behind_many_others() {
    let site = start(usual().max_sessions(0));
    site.signed_in("bob");
    site.clock.advance(minutes(10));
    for _ in 0..205 {
        site.signed_in("alice");
    }
    let page = list(&site.signed_in("root"), "reason=idle");
    assert_eq!((users(&page), older(&page)), (vec!["bob"], None));
}

#[test]
fn end_by_administrator_is_named_so() {
    let site = start(usual());
    let (root, alice) = (site.signed_in("root"), site.signed_in("alice"));
    let (id, other) = (current(&alice), site.signed_in("alice"));
    let form = format!("user=alice&id={id}&filters=user%3Dalice%26reason%3Dopen");
    let response = root.post("/admin/sessions/end", &form);
    assert_eq!(response.redirect(), (303, "/admin/sessions?user=alice&reason=open"));
    let tag = "data-ended-reason=\"revoked\" data-ended-cause=\"administrator\"".to_owned();
    for page in [list(&root, "cause=administrator"), other.get("/devices")] {
        assert!(devices(&page).contains(&(id.clone(), tag.clone())), "{}", page.body);
        assert!(page.body.contains("Ended by an administrator"), "{}", page.body);
    }
    let problem = alice.fetch("/api/me");
    assert_eq!((problem.status, &problem.json()["cause"]), (401, &"administrator".into()));
    for text in [problem.json()["detail"].as_str().unwrap(), &message(&alice.get("/login"))] {
        assert!(text.contains("administrator") && !text.contains("device"), "{text}");
    }
}

#[test]
fn administrator_chooses_the_cause_of_an_end() {
    let site = start(usual());
    let root = site.signed_in("root");
    for (field, cause, text) in [
        ("", "administrator", "An administrator has signed you out. Please sign in again."),
        (
            "&cause=administrator",
            "administrator",
            "An administrator has signed you out. Please sign in again.",
        ),
        (
            "&cause=lost_device",
            "lost_device",
            "You were signed out because this device was reported as lost.",
        ),
    ] {
        let alice = site.signed_in("alice");
        let id = current(&alice);
        root.post("/admin/sessions/end", &format!("user=alice&id={id}{field}"));
        assert_eq!(alice.fetch("/session/status").json()["cause"], cause, "{field}");
        assert_eq!(alice.get("/dashboard").status, 303);
        assert_eq!(message(&alice.get("/login")), text, "{field}");
        let tag = format!("data-ended-reason=\"revoked\" data-ended-cause=\"{cause}\"");
        for page in [root.get("/admin/sessions"), site.signed_in("alice").get("/devices")] {
            assert!(devices(&page).contains(&(id.clone(), tag.clone())), "{}", page.body);
        }
    }
    assert_eq!(
        root.get("/admin/sessions").body.matches("Device reported as lost</span>").count(),
        1
    );
    let alice = site.signed_in("alice");
    let unknown = format!("user=alice&id={}&cause=boredom", current(&alice));
    assert_eq!(root.post("/admin/sessions/end", &unknown).status, 400);
    assert_eq!(alice.get("/api/me").status, 200);
}

#[test]
fn twenty_ended_sessions_of_a_user_are_kept() {
    with_registries(|registry| {
        let policy = usual().max_sessions(1);
        let site = start_with(Settings { registry, policy, ..Settings::default() });
        for _ in 0..22 {
            site.clock.advance(seconds(1));
            site.signed_in("alice");
        }
        let root = site.signed_in("root");
        let page = list(&root, "user=alice&reason=evicted");
        assert_eq!((users(&page).len(), older(&page)), (20, None));
    });
}
