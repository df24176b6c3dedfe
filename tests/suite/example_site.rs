//! Paths, forms, cookies and markup of the example site.

use std::{sync::mpsc, thread};

use actix_web::{cookie::Key, rt::System};
use example_site::{RegistryKind, Settings, Site};
use session_expire::{
    Overflow, Policy, clock::ManualClock, compliance::Standard, days, hours, minutes, seconds,
};
use session_expire_tests::{Browser, RedisServer, TestResponse};
use tempfile::TempDir;

pub(crate) const FIREFOX: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

pub(crate) struct Example {
    pub(crate) address: String,
    pub(crate) clock: ManualClock,
}

/// Runs `test` with each registry.
pub(crate) fn with_registries(test: impl Fn(RegistryKind)) {
    test(RegistryKind::Memory);
    let directory = TempDir::new().unwrap();
    test(RegistryKind::Sqlite(directory.path().join("sessions.sqlite")));
    let server = RedisServer::start();
    test(RegistryKind::Redis(server.url()));
}

pub(crate) fn start(policy: Policy) -> Example {
    start_with(Settings { policy, ..Settings::default() })
}

pub(crate) fn start_with(settings: Settings) -> Example {
    let clock = settings.clock.clone().unwrap_or_default();
    let settings = Settings { clock: Some(clock.clone()), ..settings };
    let (sender, address) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async {
            let site = Site::start(settings).await.unwrap();
            sender.send(format!("http://{}", site.address)).unwrap();
            site.server.await.unwrap();
        });
    });
    Example { address: address.recv().unwrap(), clock }
}

pub(crate) fn usual() -> Policy {
    Settings::default().policy
}

impl Example {
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address.clone())
    }

    pub(crate) fn signed_in(&self, user: &str) -> Browser {
        let browser = self.browser();
        let response = sign_in(&browser, user, "");
        assert_eq!(response.redirect(), (303, "/dashboard"), "{}", response.body);
        browser
    }
}

pub(crate) fn sign_in(browser: &Browser, user: &str, more: &str) -> TestResponse {
    browser.post("/login", &format!("username={user}&password={user}{more}"))
}

/// Returns the id of each session in the list of devices, and the rest of its tag.
pub(crate) fn devices(page: &TestResponse) -> Vec<(String, String)> {
    let tags = page.body.split("data-session=\"").skip(1);
    let ids = tags.filter_map(|rest| rest.split_once('"'));
    ids.map(|(id, rest)| (id.to_owned(), rest.split('>').next().unwrap().trim().to_owned()))
        .collect()
}

/// Returns the last message on the page. Notices of sign-ins in other browsers stand before it.
pub(crate) fn message(page: &TestResponse) -> String {
    let element = page.body.split("<p class=\"message ").skip(1).last();
    let text = element.and_then(|rest| rest.split_once('>')?.1.split("</p>").next());
    text.unwrap_or_default().to_owned()
}

pub(crate) fn current(browser: &Browser) -> String {
    let all = devices(&browser.get("/devices"));
    all.into_iter().find(|(_, tag)| tag == "data-current").unwrap().0
}

#[test]
fn page_has_status_per_user_and_strict_content_policy() {
    let site = start(usual());
    let (visitor, alice, root) = (site.browser(), site.signed_in("alice"), site.signed_in("root"));
    for (path, anonymous, member, superuser) in [
        ("/", 200, 200, 200),
        ("/login", 200, 200, 200),
        ("/dashboard", 303, 200, 200),
        ("/editor", 303, 200, 200),
        ("/vault", 303, 200, 200),
        ("/devices", 303, 200, 200),
        ("/confirm", 303, 200, 200),
        ("/settings", 303, 200, 200),
        ("/admin/", 303, 403, 200),
        ("/admin/users", 303, 403, 200),
        ("/admin/sessions", 303, 403, 200),
        ("/admin/audit", 303, 403, 200),
        ("/admin", 303, 403, 200),
        ("/admin/nowhere", 303, 403, 404),
        ("/admin/sessions/end", 303, 403, 405),
        ("/api/me", 401, 200, 200),
        ("/nowhere", 404, 404, 404),
        ("/devices/x/end", 405, 405, 405),
        ("/devices/end-others", 405, 405, 405),
        ("/settings/display", 405, 405, 405),
    ] {
        for (browser, status) in [(&visitor, anonymous), (&alice, member), (&root, superuser)] {
            let page = browser.get(path);
            assert_eq!(page.status, status, "{path}");
            let policy = page.header("content-security-policy");
            assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"));
            if page.body.contains("data-user") {
                assert!(page.body.contains("action=\"/logout\""), "{path} has no sign-out form");
            }
        }
    }
    assert_eq!(visitor.get("/vault").redirect(), (303, "/login?next=/vault"));
    let (shown, markup) = (alice.get("/dashboard").body, "<span data-user>alice</span>");
    assert!(shown.contains(markup) && shown.contains("\"sessionEnd\": 28800, \"idleEnd\": 600"));
    assert_eq!(alice.fetch("/api/me").body, r#"{"user":"alice"}"#);
    assert_eq!(visitor.fetch("/api/me").header("content-type"), "application/problem+json");
}

#[test]
fn outage_shows_page_with_retry() {
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
fn form_from_other_origin_is_refused() {
    let alice = start(usual()).signed_in("alice");
    for path in [
        "/login",
        "/logout",
        "/editor",
        "/devices/end-others",
        "/devices/x/end",
        "/confirm",
        "/settings/password",
        "/settings/display",
        "/admin/sessions/end",
        "/admin/impersonate",
        "/session/keep-alive",
        "/session/logout",
        "/nowhere",
    ] {
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
fn wrong_password_shows_form_and_no_sessions() {
    let site = start(usual().max_sessions(1).overflow(Overflow::Refuse));
    let _holder = site.signed_in("alice");
    let page = site.browser().post("/login", "username=alice&password=wrong");
    assert_eq!((page.status, page.cookies().len()), (401, 0));
    assert_eq!(message(&page), "Your name and password do not match. Check both and try again.");
    assert!(devices(&page).is_empty());
}

#[test]
fn sign_out_shows_message_once() {
    let alice = start(usual()).signed_in("alice");
    assert_eq!(alice.post("/logout", "").redirect(), (303, "/login"));
    let message = "<p class=\"message success\">You have signed out.</p>";
    assert!(alice.get("/login").body.contains(message));
    assert!(!alice.get("/login").body.contains(message));
}

#[test]
fn devices_page_lists_current_other_and_evicted_sessions() {
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
    assert_eq!(first.get("/devices").status, 303);
}

#[test]
fn devices_page_ends_one_session_or_all_others() {
    let site = start(usual());
    let all = [(); 3].map(|()| site.signed_in("alice"));
    let [here, there, elsewhere] = &all;
    let path = format!("/devices/{}/end", current(there));
    assert_eq!(here.post(&path, "").redirect(), (303, "/devices"));
    assert!(message(&here.get("/devices")).starts_with("You ended the session on "));
    assert_eq!((there.get("/api/me").status, elsewhere.get("/api/me").status), (401, 200));
    assert!(there.get("/login").body.contains("class=\"message"));
    here.post(&path, "");
    assert!(message(&here.get("/devices")).ends_with("had already ended."));
    assert_eq!(here.post("/devices/end-others", "").redirect(), (303, "/devices"));
    assert_eq!(message(&here.get("/devices")), "You ended one other session.");
    assert_eq!((elsewhere.get("/api/me").status, here.get("/api/me").status), (401, 200));
    let own = format!("/devices/{}/end", current(here));
    assert_eq!(here.post(&own, "").redirect(), (303, "/login"));
    assert_eq!(message(&here.get("/login")), "You have signed out.");
}

#[test]
fn session_of_other_user_looks_like_unknown_one() {
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

/// Returns the form of a refused login: its fields and the sessions that can be ended.
fn offered(page: &TestResponse) -> (String, Vec<String>) {
    assert_eq!(page.status, 409, "{}", page.body);
    let field = |tag: &str| {
        let name = tag.split_once("name=\"")?.1.split('"').next()?;
        let value = tag.split_once("value=\"")?.1.split('"').next()?;
        Some(format!("{name}={value}"))
    };
    let hidden = page.body.split("<input type=\"hidden\" ").skip(1).filter_map(field);
    let ids = devices(page).into_iter().map(|(id, _)| id);
    (hidden.collect::<Vec<_>>().join("&"), ids.collect())
}

fn refusing() -> Policy {
    usual().max_sessions(1).overflow(Overflow::Refuse)
}

#[test]
fn refused_login_continues_with_ticket_and_chosen_session() {
    let site = start(refusing());
    let (holder, new) = (site.signed_in("alice"), site.browser());
    let page = sign_in(&new, "alice", "&next=/editor");
    let (fields, ids) = offered(&page);
    assert_eq!(ids, [current(&holder)]);
    assert!(page.body.contains(&format!("name=\"end\" value=\"{}\"", ids[0])));
    assert!(page.body.contains("<a href=\"/\">Cancel</a>"), "{}", page.body);
    for absent in ["type=\"password\"", "127.0.0.1", "name=\"username\""] {
        assert!(!page.body.contains(absent), "{absent}");
    }
    let form = format!("{fields}&end={}", ids[0]);
    assert_eq!(site.browser().post("/login", &form).status, 409, "another browser");
    assert_eq!(holder.get("/api/me").status, 200);
    site.clock.advance(minutes(5) - seconds(1));
    assert_eq!(new.post("/login", &form).redirect(), (303, "/editor"));
    assert_eq!((new.get("/api/me").status, holder.get("/api/me").status), (200, 401));
    assert_eq!(new.post("/login", &form).status, 409, "a spent ticket");
}

#[test]
fn late_choice_shows_login_form() {
    let site = start(refusing());
    let (holder, new) = (site.signed_in("alice"), site.browser());
    let (fields, ids) = offered(&sign_in(&new, "alice", "&next=/editor"));
    site.clock.advance(minutes(5));
    let page = new.post("/login", &format!("{fields}&end={}", ids[0]));
    assert_eq!(page.status, 409);
    assert!(message(&page).starts_with("You were not signed in"), "{}", page.body);
    assert!(page.body.contains("name=\"next\" value=\"/editor\""));
    assert_eq!((new.get("/api/me").status, holder.get("/api/me").status), (401, 200));
}

#[test]
fn kept_login_stays_kept_after_a_refusal() {
    let site = start(refusing());
    let (_holder, new) = (site.signed_in("alice"), site.browser());
    let (fields, ids) = offered(&sign_in(&new, "alice", "&keep=yes"));
    let entered = new.post("/login", &format!("{fields}&end={}", ids[0]));
    assert!(entered.cookies().iter().any(|cookie| cookie.contains("Max-Age=2592000")));
}

#[test]
fn refused_api_login_gets_problem_details() {
    let site = start(usual().max_sessions(1).overflow(Overflow::Refuse));
    let (_holder, client) = (site.signed_in("alice"), site.browser());
    let request = client.request("POST", "/login").script().header("accept", "application/json");
    let response = request.form("username=alice&password=alice").send();
    assert_eq!((response.status, response.cookies().len()), (409, 0));
    assert_eq!(response.header("content-type"), "application/problem+json");
    assert_eq!(response.json()["type"], "urn:session-expire:too-many-sessions");
}

#[test]
fn kept_login_has_longer_timeouts_except_in_vault() {
    let site = start(usual());
    let kept = || {
        let browser = site.browser();
        let response = sign_in(&browser, "alice", "&keep=yes");
        assert!(response.cookies()[0].contains("Max-Age=2592000"), "{:?}", response.cookies());
        browser
    };
    let (busy, in_vault, idle) = (kept(), kept(), kept());
    site.clock.advance(hours(2));
    assert_eq!((busy.get("/dashboard").status, busy.get("/editor").status), (200, 200));
    assert_eq!(busy.post("/editor", "title=t").cookies(), [""; 0]);
    assert_eq!(in_vault.get("/vault").status, 303);
    assert!(busy.get("/dashboard").body.contains("after 30 days without activity"));
    site.clock.advance(days(30));
    assert_eq!(idle.get("/dashboard").status, 303);
}

#[test]
fn other_sessions_show_a_notice_of_a_login() {
    let site = start(usual());
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    let new = site.browser();
    let login = new.request("POST", "/login").header("user-agent", FIREFOX);
    assert_eq!(login.form("username=alice&password=alice").send().status, 303);
    let notice = message(&alice.get("/dashboard"));
    assert!(notice.starts_with("New sign-in from Firefox on Linux."), "{notice}");
    for browser in [&alice, &bob, &new] {
        assert_eq!(message(&browser.get("/dashboard")), "");
    }
    sign_in(&new, "alice", "");
    assert_eq!(message(&new.get("/dashboard")), "", "a login that replaces its own session");
}

#[test]
fn refused_ticket_shows_no_notice() {
    let site = start(usual().max_sessions(2).overflow(Overflow::Refuse));
    let (_first, _second, new) = (site.signed_in("alice"), site.signed_in("alice"), site.browser());
    let page = sign_in(&new, "alice", "");
    assert_eq!(page.status, 409);
    let value = |name: &str| {
        let field = page.body.split(&format!("name=\"{name}\"")).nth(1).unwrap();
        field.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let form = format!("ticket={}&end={}", value("ticket"), value("end"));
    let replay = new.copy();
    assert_eq!(new.post("/login", &form).status, 303);
    assert_eq!(replay.post("/login", &form).status, 409);
    assert_eq!(message(&new.get("/dashboard")), "");
}

#[test]
fn devices_page_marks_first_login_from_a_device() {
    let site = start(usual());
    let count = |browser: &Browser| browser.get("/devices").body.matches("New device").count();
    let alice = site.signed_in("alice");
    assert_eq!(count(&alice), 0, "the first login of all");
    site.clock.advance(seconds(1));
    site.signed_in("alice");
    assert_eq!(count(&alice), 0);
    site.clock.advance(seconds(1));
    let new = site.browser();
    let login = new.request("POST", "/login").header("user-agent", FIREFOX);
    assert_eq!(login.form("username=alice&password=alice").send().status, 303);
    assert_eq!(count(&alice), 1);
}

#[test]
fn superuser_acts_as_member_with_banner_on_every_page() {
    let site = start(usual());
    let (alice, root) = (site.signed_in("alice"), site.signed_in("root"));
    assert!(root.get("/admin/users").body.contains("aria-label=\"Act as alice\""));
    assert_eq!(root.post("/admin/impersonate", "user=alice").redirect(), (303, "/dashboard"));
    for path in ["/", "/login", "/dashboard", "/editor", "/devices", "/vault", "/nowhere"] {
        let page = root.get(path).body;
        assert!(page.contains("You are acting as <strong>alice</strong>"), "{path}");
        assert!(!alice.get(path).body.contains("You are acting"), "{path}");
    }
    assert_eq!(root.get("/admin/").status, 403);
    assert!(alice.get("/devices").body.contains("Used by root"));
    assert_eq!(root.post("/logout", "").redirect(), (303, "/login"));
    assert_eq!(alice.get("/api/me").status, 200);
}

#[test]
fn impersonated_session_cannot_open_settings_or_confirm() {
    let root = start(usual()).signed_in("root");
    root.post("/admin/impersonate", "user=alice");
    assert_eq!(root.get("/settings").redirect(), (303, "/confirm?next=/settings"));
    assert_eq!(root.get("/confirm?next=/settings").status, 403);
    assert_eq!(root.post("/confirm", "password=alice").status, 403);
    assert_eq!(root.fetch("/api/me").body, r#"{"user":"alice"}"#);
}

#[test]
fn only_superusers_impersonate_and_only_members() {
    let site = start(usual());
    let (alice, root) = (site.signed_in("alice"), site.signed_in("root"));
    for (browser, user) in [(&alice, "bob"), (&root, "root"), (&root, "carol")] {
        let response = browser.post("/admin/impersonate", &format!("user={user}"));
        assert_eq!((response.status, response.cookies().len()), (403, 0), "{user}");
    }
}

#[test]
fn poll_is_no_activity() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    for _ in 0..11 {
        site.clock.advance(minutes(1));
        alice.fetch("/api/poll");
    }
    assert_eq!(alice.get("/dashboard").status, 303);
}

#[test]
fn sign_in_leaves_one_small_cookie() {
    let site = start(usual());
    let browser = site.browser();
    site.clock.advance(minutes(1));
    assert_eq!(
        browser.post("/logout", "").cookies().len(),
        1,
        "the message is in the anonymous cookie"
    );
    let response = sign_in(&browser, "alice", "");
    let session = response.cookies().into_iter().find(|cookie| cookie.starts_with("id=")).unwrap();
    assert!(session.ends_with("; HttpOnly; SameSite=Lax; Path=/"), "{session}");
    let left = browser.cookie();
    assert!(left.starts_with("id=") && !left.contains(';') && left.len() < 100, "{left}");
    assert!(response.header("cache-control").contains("no-store"));
    for path in ["/dashboard", "/editor", "/devices", "/api/me", "/nowhere"] {
        assert_eq!(browser.get(path).cookies(), [""; 0], "{path}");
    }
    let out = browser.post("/logout", "");
    assert!(out.cookies().iter().any(|cookie| cookie.starts_with("id=; ")), "{:?}", out.cookies());
    assert!(browser.cookie().starts_with("anonymous="));
    assert_eq!(message(&browser.get("/login")), "You have signed out.");
    assert_eq!(browser.cookie(), "");
}

#[test]
fn sign_out_of_expired_session_shows_no_reason() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    site.clock.advance(minutes(10));
    assert_eq!(alice.post("/logout", "").redirect(), (303, "/login"));
    let page = alice.get("/login");
    assert_eq!(message(&page), "You have signed out.");
    assert_eq!(page.body.matches("<p class=\"message ").count(), 1, "{}", page.body);
}

#[test]
fn reason_is_shown_once_and_login_returns_to_the_page() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    site.clock.advance(minutes(10));
    assert_eq!(alice.get("/devices?x=1").redirect(), (303, "/login?next=/devices%3Fx%3D1"));
    let page = alice.get("/login?next=/devices%3Fx%3D1");
    assert!(page.body.contains("<p class=\"message warning idle\">"), "{}", page.body);
    assert!(page.body.contains("name=\"next\" value=\"/devices?x=1\""));
    assert_eq!(message(&alice.get("/login")), "");
    let entered = sign_in(&alice, "alice", "&next=/devices%3Fx%3D1");
    assert_eq!(entered.redirect(), (303, "/devices?x=1"));
}

#[test]
fn next_never_leads_to_other_site_or_to_login() {
    let site = start(usual());
    for next in ["//evil.example", "https://evil.example/", "/login", "/logout", "/session/status"]
    {
        let entered = sign_in(&site.browser(), "root", &format!("&next={next}"));
        assert_eq!(entered.redirect(), (303, "/dashboard"), "{next}");
    }
}

#[test]
fn lost_key_signs_no_user_out() {
    let server = RedisServer::start();
    let settings = || {
        let registry = RegistryKind::Redis(server.url());
        Settings { registry, key: Key::generate(), ..Settings::default() }
    };
    let (first, second) = (start_with(settings()), start_with(settings()));
    let alice = first.signed_in("alice").at(&second.address);
    assert_eq!(alice.get("/dashboard").status, 200);
}

#[test]
fn declared_standard_offers_no_long_sessions() {
    let standards = vec![Standard::AsvsL2];
    let (usual, strict) = (start(usual()), start_with(Settings { standards, ..<_>::default() }));
    for (site, is_offered) in [(&usual, true), (&strict, false)] {
        let browser = site.browser();
        let page = browser.get("/login").body;
        assert_eq!(page.contains("name=\"keep\""), is_offered);
        assert_eq!(page.contains("Keep me signed in"), is_offered);
        sign_in(&browser, "alice", "&keep=yes");
        site.clock.advance(hours(1));
        assert_eq!(browser.get("/dashboard").status == 200, is_offered);
        let wrong = sign_in(&browser, "alice", "-wrong&keep=yes").body;
        assert_eq!(wrong.contains("name=\"keep\""), is_offered);
    }
}
