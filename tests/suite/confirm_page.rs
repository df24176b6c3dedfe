//! Confirmation page and settings of the example site.

use example_site::{RegistryKind, Settings};
use session_expire::{Limit, days, minutes};
use session_expire_tests::{Browser, RedisServer, TestResponse};

use crate::example_site::{
    Example, FIREFOX, current, devices, message, sign_in, start, start_with, usual, with_registries,
};

/// Submits a form of the page `page`.
fn post_from(browser: &Browser, page: &str, path: &str, form: &str) -> TestResponse {
    let referer = format!("{}{page}", browser.base());
    browser.request("POST", path).header("referer", &referer).form(form).send()
}

fn confirm(browser: &Browser, password: &str) -> TestResponse {
    let form = format!("password={password}&next=/settings");
    post_from(browser, "/confirm?next=/settings", "/confirm", &form)
}

/// Moves the clock by eleven minutes, in which `browser` is active.
fn stay_active(site: &Example, browser: &Browser) {
    for _ in 0..11 {
        site.clock.advance(minutes(1));
        assert_eq!(browser.get("/dashboard").status, 200);
    }
}

fn stale(user: &str) -> (Example, Browser) {
    stale_with(RegistryKind::Memory, user)
}

fn stale_with(registry: RegistryKind, user: &str) -> (Example, Browser) {
    let site = start_with(Settings { registry, ..Settings::default() });
    let browser = site.signed_in(user);
    stay_active(&site, &browser);
    (site, browser)
}

#[test]
fn active_user_confirms_after_ten_minutes_and_returns() {
    with_registries(|registry| {
        let site = start_with(Settings { registry, ..Settings::default() });
        let alice = site.signed_in("alice");
        assert_eq!(alice.get("/settings").status, 200);
        stay_active(&site, &alice);
        let asked = alice.get("/settings?tab=2");
        assert_eq!(asked.redirect(), (303, "/confirm?next=/settings%3Ftab%3D2"));
        let form = alice.get("/confirm?next=/settings%3Ftab%3D2");
        assert!(form.body.contains("name=\"next\" value=\"/settings?tab=2\""), "{}", form.body);
        let done = alice.post("/confirm", "password=alice&next=/settings%3Ftab%3D2");
        assert_eq!(done.redirect(), (303, "/settings?tab=2"));
        assert_eq!(alice.get("/settings?tab=2").status, 200);
    });
}

#[test]
fn only_settings_and_ends_ask_for_the_password() {
    let (_site, root) = stale("root");
    for (method, path, status) in [
        ("GET", "/settings", 303),
        ("HEAD", "/settings", 303),
        ("POST", "/settings/password", 303),
        ("POST", "/devices/AAAAAAAAAAAAAAAA/end", 303),
        ("POST", "/devices/end-others", 303),
        ("GET", "/devices", 200),
        ("GET", "/admin/sessions", 200),
        ("GET", "/dashboard", 200),
        ("GET", "/login", 200),
        ("GET", "/confirm", 200),
    ] {
        let response = root.request(method, path).send();
        assert_eq!(response.status, status, "{method} {path}");
        if status == 303 {
            assert!(response.header("location").starts_with("/confirm?next="), "{method} {path}");
        }
    }
    let end = root.post("/admin/sessions/end", "user=bob&id=AAAAAAAAAAAAAAAA");
    assert_eq!(end.redirect(), (303, "/admin/sessions"));
}

#[test]
fn never_fresh_flag_asks_for_nothing() {
    let site = start_with(Settings { settings_fresh: Limit::Off, ..Settings::default() });
    let alice = site.signed_in("alice");
    stay_active(&site, &alice);
    assert_eq!(alice.get("/settings").status, 200);
    assert_eq!(alice.post("/devices/end-others", "").redirect(), (303, "/devices"));
}

#[test]
fn post_that_was_not_fresh_returns_to_its_page() {
    with_registries(|registry| {
        let (site, alice) = stale_with(registry, "alice");
        let other = site.signed_in("alice");
        let path = format!("/devices/{}/end", current(&other));
        let asked = post_from(&alice, "/devices", &path, "");
        assert_eq!(asked.redirect(), (303, "/confirm?next=/devices"));
        assert_eq!(other.get("/api/me").status, 200);
        let without_page = alice.request("POST", &path).send();
        assert_eq!(without_page.redirect(), (303, "/confirm?next=/"));
        let done = alice.post("/confirm", "password=alice&next=/devices");
        assert_eq!(done.redirect(), (303, "/devices"));
        assert_eq!(post_from(&alice, "/devices", &path, "").redirect(), (303, "/devices"));
        assert_eq!(other.get("/api/me").status, 401);
    });
}

#[test]
fn other_tab_stays_signed_in_and_is_fresh() {
    with_registries(|registry| {
        let (_site, alice) = stale_with(registry, "alice");
        let tab = alice.clone();
        assert_eq!(tab.get("/settings").status, 303);
        assert_eq!(confirm(&alice, "alice").status, 303);
        assert_eq!(tab.get("/settings").status, 200);
        assert_eq!(confirm(&tab, "alice").status, 303);
        assert_eq!(alice.get("/settings").status, 200);
    });
}

#[test]
fn fresh_pages_of_a_new_version_sign_no_user_out() {
    with_registries(|registry| {
        let settings = |settings_fresh| {
            let registry = registry.clone();
            Settings { registry, settings_fresh, ..Settings::default() }
        };
        if registry == RegistryKind::Memory {
            return; // it does not survive the restart
        }
        let before = start_with(settings(Limit::Off));
        let alice = before.signed_in("alice");
        stay_active(&before, &alice);
        let after = start_with(Settings {
            clock: Some(before.clock.clone()),
            ..settings(Limit::At(minutes(10)))
        });
        let alice = alice.at(after.browser().base());
        assert_eq!(alice.get("/dashboard").status, 200);
        assert_eq!(alice.get("/settings").redirect(), (303, "/confirm?next=/settings"));
    });
}

#[test]
fn api_client_that_is_not_fresh_gets_max_age_and_confirm_url() {
    let (_site, alice) = stale("alice");
    let response = alice.fetch("/settings");
    assert_eq!(response.status, 401);
    assert_eq!(
        response.header("www-authenticate"),
        "Bearer error=\"insufficient_user_authentication\", max_age=\"600\""
    );
    assert_eq!(response.json()["confirm_url"], "/confirm?next=/");
    assert!(response.json().get("reason").is_none());
    assert_eq!(response.header("x-session-expired"), "");
}

#[test]
fn wrong_password_shows_form_with_attempts_left() {
    let alice = start(usual()).signed_in("alice");
    for left in ["4 more times", "3 more times", "2 more times", "once more"] {
        let page = confirm(&alice, "wrong");
        assert_eq!((page.status, page.cookies().len()), (401, 0));
        let text = message(&page);
        assert!(text.starts_with("The password is wrong.") && text.contains(left), "{text}");
        assert!(page.body.contains("autocomplete=\"current-password\""));
        assert!(page.body.contains("name=\"next\" value=\"/settings\""));
        assert!(page.body.contains("action=\"/confirm?next=%2Fsettings\""), "{}", page.body);
    }
    assert_eq!(confirm(&alice, "alice").redirect(), (303, "/settings"));
    assert!(message(&confirm(&alice, "")).contains("4 more times"));
}

#[test]
fn fifth_wrong_password_ends_session_with_its_cause() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let id = current(&alice);
    for _ in 0..4 {
        confirm(&alice, "wrong");
    }
    let response = confirm(&alice, "wrong");
    assert_eq!(response.redirect(), (303, "/login?next=/settings"));
    let text = message(&alice.get("/login"));
    assert!(text.contains("too many failed attempts"), "{text}");
    let listed = devices(&site.signed_in("alice").get("/devices"));
    let (_, tag) = listed.into_iter().find(|(other, _)| *other == id).unwrap();
    assert_eq!(tag, "data-ended-reason=\"revoked\" data-ended-cause=\"too_many_attempts\"");
}

#[test]
fn confirmed_session_has_one_new_cookie_and_old_one_is_renewed() {
    with_registries(|registry| {
        let site = start_with(Settings { registry, ..Settings::default() });
        let alice = site.signed_in("alice");
        let old = alice.copy();
        let response = confirm(&alice, "alice");
        assert_eq!(response.cookies().len(), 1);
        assert!(response.header("cache-control").contains("no-store"));
        assert_ne!(alice.cookie(), old.cookie());
        let status = old.fetch("/session/status");
        assert_eq!(
            (&status.json()["state"], &status.json()["reason"]),
            (&"expired".into(), &"renewed".into())
        );
        assert_eq!(old.get("/dashboard").cookies(), [""; 0]);
        let listed = devices(&alice.get("/devices"));
        assert_eq!(listed, [(current(&alice), "data-current".to_owned())]);
    });
}

#[test]
fn password_of_other_user_confirms_nothing() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let form = "username=bob&user=bob&password=bob&next=/settings";
    assert_eq!(alice.post("/confirm", form).status, 401);
    assert_eq!(alice.fetch("/api/me").body, r#"{"user":"alice"}"#);
}

#[test]
fn stranger_at_confirm_page_is_sent_to_sign_in() {
    let site = start(usual());
    let visitor = site.browser();
    for (path, login) in [
        ("/confirm", "/login"),
        ("/confirm?next=/settings", "/login?next=/settings"),
        ("/settings", "/login?next=/settings"),
    ] {
        assert_eq!(visitor.get(path).redirect(), (303, login));
    }
    let posted = confirm(&visitor, "alice");
    assert!(posted.status == 303 && posted.header("location").starts_with("/login"));
    assert_eq!(visitor.fetch("/api/me").status, 401);
}

#[test]
fn return_path_is_local_and_not_the_form_itself() {
    let alice = start(usual()).signed_in("alice");
    for next in
        ["//evil.example", "https://evil.example/", "/confirm", "/logout", "/session/status", ""]
    {
        let done = alice.post("/confirm", &format!("password=alice&next={next}"));
        assert_eq!(done.redirect(), (303, "/dashboard"), "{next}");
    }
    for path in ["/confirm", "/confirm?next=//evil.example", "/confirm?next=/confirm"] {
        let form = alice.get(path);
        assert!(form.body.contains("name=\"next\" value=\"/dashboard\""), "{path}");
    }
}

#[test]
fn login_after_expiry_on_confirm_page_leads_to_the_page_behind_it() {
    let visitor = start(usual()).browser();
    let entered = sign_in(&visitor, "alice", "&next=/confirm%3Fnext%3D/settings");
    assert_eq!(entered.redirect(), (303, "/settings"));
}

#[test]
fn changed_password_signs_user_out_elsewhere() {
    let site = start(usual());
    let [here, there] = [(); 2].map(|()| site.signed_in("alice"));
    let theirs = current(&there);
    let changed = here.post("/settings/password", "new_password=s3cret");
    assert_eq!(changed.redirect(), (303, "/settings"));
    let text = message(&here.get("/settings"));
    assert_eq!(text, "Your password was changed. You were signed out on one other device.");
    let ended = there.fetch("/session/status").json();
    assert_eq!(
        (&ended["reason"], &ended["cause"]),
        (&"revoked".into(), &"password_changed".into())
    );
    assert_eq!(there.fetch("/api/me").json()["cause"], "password_changed");
    assert_eq!(there.get("/dashboard").status, 303);
    assert!(message(&there.get("/login")).contains("your password was changed"));
    let listed = devices(&here.get("/devices"));
    let (_, tag) = listed.into_iter().find(|(id, _)| *id == theirs).unwrap();
    assert_eq!(tag, "data-ended-reason=\"revoked\" data-ended-cause=\"password_changed\"");
    assert_eq!(sign_in(&site.browser(), "alice", "").status, 401);
    let new = site.browser().post("/login", "username=alice&password=s3cret");
    assert_eq!(new.status, 303);
    assert_eq!(confirm(&here, "s3cret").status, 303);
}

#[test]
fn session_with_security_stamp_of_old_password_ends() {
    let server = RedisServer::start();
    let site = || {
        let registry = RegistryKind::Redis(server.url());
        start_with(Settings { registry, ..Settings::default() })
    };
    // Passwords are in memory, so the other process accepts the old one.
    let (site, other_process) = (site(), site());
    let alice = site.signed_in("alice");
    assert_eq!(alice.post("/settings/password", "new_password=s3cret").status, 303);
    let outdated = other_process.signed_in("alice").at(&site.address);
    assert_eq!(outdated.fetch("/session/status").json()["cause"], "credential_changed");
    assert_eq!(outdated.get("/dashboard").status, 303);
    assert_eq!(outdated.get("/").status, 200);
    for address in [&site.address, &other_process.address] {
        assert_eq!(alice.at(address).get("/dashboard").status, 200);
    }
}

#[test]
fn unusable_password_changes_nothing() {
    let site = start(usual());
    let [here, there] = [(); 2].map(|()| site.signed_in("alice"));
    for form in ["", "new_password=", &format!("new_password={}", "x".repeat(129))] {
        let page = here.post("/settings/password", form);
        assert_eq!(page.status, 400);
        assert!(message(&page).ends_with("The password was not changed."), "{}", page.body);
    }
    assert_eq!(there.get("/api/me").status, 200);
    assert_eq!(sign_in(&site.browser(), "alice", "").status, 303);
}

#[test]
fn kept_session_that_comes_back_confirms_despite_a_recent_login() {
    let fresh = Limit::At(days(1));
    let site = start_with(Settings { settings_fresh: fresh, ..Settings::default() });
    let (kept, other) = (site.browser(), site.signed_in("alice"));
    sign_in(&kept, "alice", "&keep=yes");
    site.clock.advance(minutes(9));
    assert_eq!((kept.get("/settings").status, other.get("/settings").status), (200, 200));
    site.clock.advance(minutes(11));
    assert_eq!(kept.get("/dashboard").status, 200);
    assert_eq!(kept.get("/settings").redirect(), (303, "/confirm?next=/settings"));
    assert_eq!(confirm(&kept, "alice").redirect(), (303, "/settings"));
    assert_eq!(kept.get("/settings").status, 200);
}

#[test]
fn devices_page_shows_last_client_where_it_differs() {
    let proxies = vec!["127.0.0.1".parse().unwrap()];
    let site = start_with(Settings { proxies, ..Settings::default() });
    let alice = site.signed_in("alice");
    assert!(!alice.get("/devices").body.contains("Last used from"));
    site.clock.advance(minutes(1));
    let moved = alice.request("GET", "/dashboard").header("x-forwarded-for", "192.0.2.7");
    assert_eq!(moved.header("user-agent", FIREFOX).send().status, 200);
    let page = alice.get("/devices");
    assert!(page.body.contains("Last used from Firefox on Linux, 192.0.2.7"), "{}", page.body);
}

#[test]
fn superuser_cannot_change_the_password_of_an_impersonated_user() {
    for settings_fresh in [Limit::Off, Settings::default().settings_fresh] {
        let site = start_with(Settings { settings_fresh, ..Settings::default() });
        let root = site.signed_in("root");
        let response = root.post("/admin/impersonate", "user=alice");
        assert_eq!(response.redirect(), (303, "/dashboard"), "{response:?}");
        let status = root.post("/settings/password", "new_password=stolen").status;
        assert_eq!(status, if settings_fresh == Limit::Off { 403 } else { 303 });
        assert_eq!(
            sign_in(&site.browser(), "alice", "").status,
            303,
            "the password is the old one"
        );
    }
}
