//! Devices page: pages of its lists, and the question before a sign-out everywhere else.

use example_site::Settings;
use session_expire::{Limit, minutes, seconds};
use session_expire_tests::{Browser, TestResponse};

use crate::example_site::{Example, current, devices, start, start_with, usual};

const OTHERS: &str = "/devices/others";

/// Returns the URL of the link with this text in the list with this heading.
fn link(page: &TestResponse, heading: &str, text: &str) -> Option<String> {
    let section = page.body.split(&format!("aria-labelledby=\"{heading}\"")).nth(1)?;
    let section = section.split("</section>").next()?;
    let before = section.split(&format!("\">{text}</a>")).next().filter(|b| *b != section)?;
    let url = before.rsplit("href=\"").next()?;
    Some(url.replace("&#38;", "&").replace("&amp;", "&"))
}

/// Returns the ids of a list.
fn ids(page: &TestResponse, is_past: bool) -> Vec<String> {
    let listed = devices(page).into_iter();
    listed.filter(|(_, tag)| tag.contains("ended") == is_past).map(|(id, _)| id).collect()
}

/// Follows the links "Older" of a list. Returns the ids of its pages.
fn follow(browser: &Browser, heading: &str) -> Vec<Vec<String>> {
    let mut page = browser.get("/devices");
    let mut pages = vec![ids(&page, heading == "past")];
    while let Some(url) = link(&page, heading, "Older") {
        page = browser.get(&url);
        pages.push(ids(&page, heading == "past"));
    }
    pages
}

fn unlimited() -> Example {
    let policy = usual().max_sessions(Limit::Off);
    start_with(Settings { policy, log_limit: Limit::Off, ..Settings::default() })
}

/// Signs in `count` times, one second apart.
fn sign_in_often(site: &Example, user: &str, count: usize) {
    for _ in 0..count {
        site.signed_in(user);
        site.clock.advance(seconds(1));
    }
}

#[test]
fn past_sessions_are_paged() {
    let site = unlimited();
    sign_in_often(&site, "alice", 45);
    let alice = site.signed_in("alice");
    assert_eq!(alice.post("/devices/end-others", "").status, 303);
    let pages = follow(&alice, "past");
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 5]);
    let mut all = pages.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 45);
    let second = alice.get(&link(&alice.get("/devices"), "past", "Older").unwrap());
    let third = alice.get(&link(&second, "past", "Older").unwrap());
    let back = alice.get(&link(&third, "past", "Newer").unwrap());
    assert_eq!(ids(&back, true), pages[1]);
    assert_eq!(link(&back, "past", "Newer").as_deref(), Some("/devices#past"));
    assert_eq!(ids(&third, false), [current(&alice)]);
}

#[test]
fn active_sessions_are_paged_after_the_current_one() {
    let site = unlimited();
    let first = site.signed_in("root");
    site.clock.advance(seconds(1));
    sign_in_often(&site, "root", 105);
    let own = current(&first);
    let pages = follow(&first, "active");
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 6]);
    let mut all = pages.concat();
    assert_eq!(all[0], own);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 106);
    let page = first.get("/devices");
    assert!(page.body.contains("data-question=\"Sign out 105 other sessions?\""));
    assert_eq!(link(&page, "active", "Newer"), None);
}

#[test]
fn current_session_is_first_also_behind_many_newer_ones() {
    let site = unlimited();
    let first = site.signed_in("root");
    sign_in_often(&site, "root", 230);
    let page = first.get("/devices");
    assert_eq!(devices(&page)[0], (current(&first), "data-current".to_owned()));
    assert!(page.body.contains("data-question=\"Sign out all other sessions?\""));
}

#[test]
fn expired_session_is_listed_as_past_one() {
    let site = unlimited();
    sign_in_often(&site, "alice", 2);
    site.clock.advance(minutes(10));
    let page = site.signed_in("alice").get("/devices");
    assert_eq!((ids(&page, false).len(), ids(&page, true).len()), (1, 2));
    assert!(!page.body.contains("data-question="));
}

#[test]
fn lists_of_the_script_are_those_of_the_page() {
    let site = unlimited();
    sign_in_often(&site, "root", 55);
    let root = site.signed_in("root");
    let url = link(&root.get("/devices"), "active", "Older").unwrap();
    let page = root.get(&url);
    let source = page.body.split("data-lists=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(source.starts_with("/devices/lists?active="), "{source}");
    let lists = root.fetch(source);
    assert!(lists.status == 200 && page.body.contains(lists.body.trim()), "{}", lists.body);
}

#[test]
fn unreadable_position_shows_first_page() {
    let alice = start(usual()).signed_in("alice");
    for query in ["past=x", "past=%00", "past=1.%3Cb%3E", "active=~~", "past=a&past=b", "%"] {
        let page = alice.get(&format!("/devices?{query}"));
        assert_eq!((page.status, devices(&page).len()), (200, 1), "{query}");
        assert!(page.body.contains("data-lists=\"/devices/lists\""), "{query}");
    }
}

#[test]
fn page_asks_before_a_sign_out_everywhere_else() {
    let site = start(usual());
    let [here, there] = [(); 2].map(|()| site.signed_in("alice"));
    let page = here.get("/devices").body;
    assert!(
        page.contains("action=\"/devices/others\" data-question=\"Sign out one other session?\"")
    );
    let question = here.get(OTHERS);
    assert_eq!(question.status, 200);
    assert!(question.body.contains("<h1>Sign out one other session?</h1>"), "{}", question.body);
    assert!(question.body.contains("method=\"post\" action=\"/devices/end-others\""));
    assert_eq!(there.get("/api/me").status, 200);
    assert_eq!(here.post("/devices/end-others", "").redirect(), (303, "/devices"));
    assert_eq!(there.get("/api/me").status, 401);
    assert!(here.get(OTHERS).body.contains("You have no other sessions"));
    site.clock.advance(minutes(9));
    here.get("/dashboard");
    site.clock.advance(minutes(2));
    assert_eq!(here.get(OTHERS).redirect(), (303, "/confirm?next=/devices/others"));
    let confirm = here.get("/confirm?next=/devices/others").body;
    assert!(confirm.contains("You are about to sign out everywhere else."), "{confirm}");
}

#[test]
fn error_of_browser_is_page_and_of_script_is_not() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    for (method, path, status, text) in [
        ("GET", "/devices/end-others", 405, "This address is not a page"),
        ("POST", "/dashboard", 405, "This page does not accept forms"),
        ("PUT", "/editor", 405, "Your request could not be read"),
        ("GET", "/nowhere", 404, "This page does not exist"),
        ("GET", "/confirm?next=/&next=/", 400, "Your request could not be read"),
        ("POST", "/settings/password", 413, "Your form is too large"),
    ] {
        let body = "x".repeat(if status == 413 { 600 * 1024 } else { 0 });
        let request = alice.request(method, path).header("accept", "text/html");
        let page = if status == 413 { request.form(&body).send() } else { request.send() };
        assert_eq!(page.status, status, "{path}");
        let vary = page.headers.get_all("vary").iter().any(|vary| vary == "Accept-Language");
        assert!(vary, "{path}: {:?}", page.headers);
        assert!(page.body.contains(text) && page.body.contains("href=\"/dashboard\""), "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    }
    let script = alice.request("GET", "/devices/end-others").script().send();
    assert_eq!((script.status, script.body.as_str()), (405, ""));
}

#[test]
fn lists_of_the_script_are_no_activity() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    site.clock.advance(minutes(9));
    assert_eq!(alice.fetch("/devices/lists").status, 200);
    site.clock.advance(minutes(2));
    assert_eq!(alice.get("/dashboard").status, 303);
}

#[test]
fn active_session_behind_expired_ones_is_on_first_page() {
    let site = unlimited();
    let (first, second) = (site.signed_in("root"), site.signed_in("root"));
    sign_in_often(&site, "root", 205);
    for _ in 0..2 {
        site.clock.advance(minutes(6));
        first.get("/dashboard");
        second.get("/dashboard");
    }
    assert_eq!(follow(&first, "active"), [[current(&first), current(&second)]]);
}

#[test]
fn expired_sessions_are_paged_with_ended_ones() {
    let site = unlimited();
    for count in [25, 5] {
        sign_in_often(&site, "root", count);
        let ended = site.signed_in("root");
        ended.post("/logout", "");
        site.clock.advance(seconds(1));
    }
    sign_in_often(&site, "root", 230);
    site.clock.advance(minutes(11));
    let pages = follow(&site.signed_in("root"), "past");
    assert!(pages.iter().all(|page| page.len() <= 20), "{pages:?}");
    assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 262);
    let mut all = pages.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 262);
}
