//! The example site keeps its contract: paths, forms and markup.

use std::{sync::mpsc, thread, time::Instant};

use actix_web::rt::System;
use example_site::{RegistryKind, SessionsKind, Settings, Site};
use session_expire::{ManualClock, Overflow, Policy, hours, minutes, seconds};
use session_expire_tests::{Answer, Browser, RedisServer};

struct Example {
    address: String,
    clock: ManualClock,
}

fn start(policy: Policy) -> Example {
    start_with(Settings { policy, ..Settings::default() })
}

fn start_with(settings: Settings) -> Example {
    let clock = ManualClock::default();
    let settings = Settings { clock: Some(clock.clone()), ..settings };
    let (told, address) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async {
            let site = Site::start(settings).await.unwrap();
            told.send(format!("http://{}", site.address)).unwrap();
            site.server.await.unwrap();
        });
    });
    Example { address: address.recv().unwrap(), clock }
}

fn usual() -> Policy {
    Settings::default().policy
}

impl Example {
    fn browser(&self) -> Browser {
        Browser::new(self.address.clone())
    }

    fn signed_in(&self, user: &str) -> Browser {
        let browser = self.browser();
        let answer = sign_in(&browser, user, "");
        assert_eq!(answer.redirect(), (303, "/dashboard"), "{}", answer.body);
        browser
    }
}

fn sign_in(browser: &Browser, user: &str, more: &str) -> Answer {
    browser.post("/login", &format!("username={user}&password={user}{more}"))
}

/// The ids in the list of devices, each with the rest of its tag.
fn devices(page: &Answer) -> Vec<(String, String)> {
    let tags = page.body.split("data-session=\"").skip(1);
    let ids = tags.filter_map(|rest| rest.split_once('"'));
    ids.map(|(id, rest)| (id.to_owned(), rest.split('>').next().unwrap().trim().to_owned()))
        .collect()
}

fn message(page: &Answer) -> String {
    let told = page.body.split("<p class=\"message ").nth(1);
    let text = told.and_then(|rest| rest.split_once('>')?.1.split("</p>").next());
    text.unwrap_or_default().to_owned()
}

fn current(browser: &Browser) -> String {
    let all = devices(&browser.get("/devices"));
    all.into_iter().find(|(_, tag)| tag == "data-current").unwrap().0
}

#[test]
fn every_page_answers_whom_it_should_and_under_a_strict_content_policy() {
    let site = start(usual());
    let (nobody, alice, root) = (site.browser(), site.signed_in("alice"), site.signed_in("root"));
    for (path, anonymous, member, superuser) in [
        ("/", 200, 200, 200),
        ("/login", 200, 200, 200),
        ("/dashboard", 303, 200, 200),
        ("/editor", 303, 200, 200),
        ("/vault", 303, 200, 200),
        ("/devices", 303, 200, 200),
        ("/admin/", 303, 403, 200),
        ("/admin/users", 303, 403, 200),
        ("/admin/sessions", 303, 403, 200),
        ("/api/me", 401, 200, 200),
        ("/nowhere", 404, 404, 404),
        ("/devices/x/end", 405, 405, 405),
        ("/devices/end-others", 405, 405, 405),
    ] {
        for (browser, status) in [(&nobody, anonymous), (&alice, member), (&root, superuser)] {
            let page = browser.get(path);
            assert_eq!(page.status, status, "{path}");
            let policy = page.header("content-security-policy");
            assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"));
            if page.body.contains("data-user") {
                assert!(page.body.contains("action=\"/logout\""), "no way out of {path}");
            }
        }
    }
    assert_eq!(nobody.get("/vault").redirect(), (303, "/login?next=/vault"));
    let (shown, markup) = (alice.get("/dashboard").body, "<span data-user>alice</span>");
    assert!(shown.contains(markup) && shown.contains("\"sessionEnd\": 28800, \"idleEnd\": 600"));
    assert_eq!(alice.fetch("/api/me").body, r#"{"user":"alice"}"#);
    assert_eq!(nobody.fetch("/api/me").header("content-type"), "application/problem+json");
}

#[test]
fn a_page_says_what_to_do_while_the_registry_is_away() {
    let mut server = RedisServer::start();
    let registry = RegistryKind::Redis(server.url());
    let alice = start_with(Settings { registry, ..Settings::default() }).signed_in("alice");
    server.stop();
    let page = alice.get("/dashboard");
    assert_eq!((page.status, page.header("retry-after"), page.cookies().len()), (503, "5", 0));
    assert!(page.body.contains(">Try again</a>") && !page.body.contains("You are not signed in"));
    assert!(page.header("content-security-policy").starts_with("default-src 'self'"));
    assert_eq!(alice.get("/").status, 200);
}

#[test]
fn a_session_store_that_is_away_keeps_nobody_waiting() {
    let mut server = RedisServer::start();
    let sessions = SessionsKind::Redis(server.url());
    let alice = start_with(Settings { sessions, ..Settings::default() }).signed_in("alice");
    server.stop();
    let began = Instant::now();
    assert_eq!(alice.get("/").status, 500);
    assert!(began.elapsed() < seconds(4), "{:?}", began.elapsed());
}

#[test]
fn a_form_is_taken_from_pages_of_this_site_only() {
    let alice = start(usual()).signed_in("alice");
    for path in ["/login", "/logout", "/editor", "/devices/end-others", "/devices/x/end"] {
        for (name, value) in
            [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "same-site")]
        {
            let form = "username=bob&password=bob";
            let post = alice.request("POST", path).without("sec-fetch-site").header(name, value);
            assert_eq!(post.form(form).send().status, 403, "{path} {value}");
        }
    }
    assert_eq!(alice.fetch("/api/me").body, r#"{"user":"alice"}"#);
}

#[test]
fn a_wrong_password_is_told_and_nothing_else() {
    let site = start(usual().max_sessions(1).overflow(Overflow::Refuse));
    let _holder = site.signed_in("alice");
    let page = site.browser().post("/login", "username=alice&password=wrong");
    assert_eq!((page.status, page.cookies().len()), (401, 0));
    assert_eq!(message(&page), "Name and password do not match. Check both and try again.");
    assert!(devices(&page).is_empty(), "who signs in with a wrong password learns of no session");
}

#[test]
fn signing_out_says_so_once() {
    let alice = start(usual()).signed_in("alice");
    assert_eq!(alice.post("/logout", "").redirect(), (303, "/login"));
    let told = "<p class=\"message success\">You have signed out.</p>";
    assert!(alice.get("/login").body.contains(told));
    assert!(!alice.get("/login").body.contains(told));
}

#[test]
fn the_devices_page_shows_where_one_is_signed_in_and_why_one_was_signed_out() {
    let site = start(usual().max_sessions(2));
    let (first, second) = (site.signed_in("alice"), site.signed_in("alice"));
    let victim = current(&first);
    site.clock.advance(seconds(1));
    let third = site.signed_in("alice");
    let listed = devices(&third.get("/devices"));
    assert_eq!(listed[0], (current(&third), "data-current".to_owned()));
    assert_eq!(listed[1], (current(&second), String::new()));
    assert_eq!(listed[2], (victim, "data-ended-reason=\"evicted\"".to_owned()));
    let (page, cookie) = (third.get("/devices"), third.cookie());
    assert!(!page.body.contains(cookie.split_once('=').unwrap().1));
    assert_eq!(first.get("/devices").status, 303, "the evicted one is out");
}

#[test]
fn one_session_or_all_others_are_ended_from_the_devices_page() {
    let site = start(usual());
    let all = [(); 3].map(|()| site.signed_in("alice"));
    let [here, there, elsewhere] = &all;
    let path = format!("/devices/{}/end", current(there));
    assert_eq!(here.post(&path, "").redirect(), (303, "/devices"));
    assert!(message(&here.get("/devices")).starts_with("Signed out on "));
    assert_eq!((there.get("/api/me").status, elsewhere.get("/api/me").status), (401, 200));
    assert!(there.get("/login").body.contains("class=\"message"), "and is told why");
    here.post(&path, "");
    assert!(message(&here.get("/devices")).ends_with("was over already."));
    assert_eq!(here.post("/devices/end-others", "").redirect(), (303, "/devices"));
    assert_eq!(message(&here.get("/devices")), "Signed out on one other device.");
    assert_eq!((elsewhere.get("/api/me").status, here.get("/api/me").status), (401, 200));
    let own = format!("/devices/{}/end", current(here));
    assert_eq!(here.post(&own, "").redirect(), (303, "/login"));
    assert_eq!(message(&here.get("/login")), "You have signed out.");
}

#[test]
fn another_users_session_is_as_unknown_as_one_that_never_was() {
    let site = start(usual());
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    let theirs = alice.post(&format!("/devices/{}/end", current(&bob)), "");
    for id in ["AAAAAAAAAAAAAAAA", "x", "%00", "..%2f", &"A".repeat(500)] {
        let unknown = alice.post(&format!("/devices/{id}/end"), "");
        assert_eq!((unknown.status, &unknown.body), (404, &theirs.body), "{id}");
    }
    assert_eq!(theirs.status, 404);
    assert_eq!(bob.get("/api/me").status, 200);
}

#[test]
fn a_form_of_another_site_ends_nothing() {
    let site = start(usual());
    let (here, there) = (site.signed_in("alice"), site.signed_in("alice"));
    for path in ["/devices/end-others".to_owned(), format!("/devices/{}/end", current(&there))] {
        for from in ["cross-site", "same-site"] {
            let forged = here.request("POST", &path).header("sec-fetch-site", from).form("");
            assert_eq!(forged.send().status, 403, "{path} {from}");
        }
    }
    assert_eq!(there.get("/api/me").status, 200);
}

#[test]
fn whoever_is_refused_can_end_a_session_with_the_right_password() {
    let site = start(usual().max_sessions(1).overflow(Overflow::Refuse));
    let (holder, new) = (site.signed_in("alice"), site.browser());
    let page = sign_in(&new, "alice", "&next=/editor");
    assert_eq!((page.status, page.cookies().len()), (409, 0));
    let (id, _) = devices(&page).remove(0);
    assert_eq!(id, current(&holder));
    assert!(page.body.contains(&format!("name=\"end\" value=\"{id}\"")));
    assert!(
        page.body.contains("name=\"next\" value=\"/editor\"")
            && !page.body.contains("value=\"alice\" type=\"password\"")
    );
    let wrong = new.post("/login", &format!("username=alice&password=no&end={id}"));
    assert_eq!((wrong.status, holder.get("/api/me").status), (401, 200));
    let other = sign_in(&site.browser(), "bob", &format!("&end={id}"));
    assert_eq!((other.status, holder.get("/api/me").status), (303, 200), "not Bob's to end");
    let entered = sign_in(&new, "alice", &format!("&end={id}&next=/editor"));
    assert_eq!(entered.redirect(), (303, "/editor"));
    assert_eq!((new.get("/api/me").status, holder.get("/api/me").status), (200, 401));
}

#[test]
fn a_program_that_is_refused_gets_a_problem_report() {
    let site = start(usual().max_sessions(1).overflow(Overflow::Refuse));
    let (_holder, program) = (site.signed_in("alice"), site.browser());
    let asked = program.request("POST", "/login").script().header("accept", "application/json");
    let answer = asked.form("username=alice&password=alice").send();
    assert_eq!((answer.status, answer.cookies().len()), (409, 0));
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["type"], "urn:session-expire:too-many-sessions");
}

#[test]
fn kept_signed_in_means_everywhere_but_in_the_vault() {
    let site = start(usual());
    let kept = || {
        let browser = site.browser();
        let answer = sign_in(&browser, "alice", "&keep=yes");
        assert!(answer.cookies()[0].contains("Max-Age=2678400"), "{:?}", answer.cookies());
        browser
    };
    let (busy, to_vault, rests) = (kept(), kept(), kept());
    let (others, usual) = (site.browser(), site.browser());
    assert!(!sign_in(&usual, "bob", "").cookies()[0].contains("Max-Age"), "goes with the browser");
    assert!(sign_in(&others, "bob", "&keep=yes").cookies()[0].contains("Max-Age"));
    assert!(others.post("/logout", "").cookies().iter().all(|c| !c.contains("Max-Age=2678400")));
    site.clock.advance(hours(2));
    assert_eq!((busy.get("/dashboard").status, busy.get("/editor").status), (200, 200));
    let saved = busy.post("/editor", "title=t");
    assert!(
        saved.cookies().iter().all(|cookie| cookie.contains("Max-Age=2678400")),
        "and stays so"
    );
    assert_eq!(to_vault.get("/vault").status, 303);
    assert!(busy.get("/dashboard").body.contains("after 7 days without activity"));
    site.clock.advance(hours(7 * 24));
    assert_eq!(rests.get("/dashboard").status, 303);
}

#[test]
fn the_superuser_sees_all_sessions_page_by_page_and_can_end_them() {
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
    assert_eq!(all.len(), 26, "each of them once");
    let form = format!("user=bob&id={id}");
    assert_eq!(victim.post("/admin/sessions/end", &form).status, 403);
    assert_eq!(root.post("/admin/sessions/end", &form).redirect(), (303, "/admin/sessions"));
    assert_eq!(message(&root.get("/admin/sessions")), "Signed bob out there.");
    assert_eq!(victim.get("/api/me").status, 401);
}

#[test]
fn a_poll_keeps_nobody_signed_in() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    for _ in 0..11 {
        site.clock.advance(minutes(1));
        alice.fetch("/api/poll");
    }
    assert_eq!(alice.get("/dashboard").status, 303);
}
