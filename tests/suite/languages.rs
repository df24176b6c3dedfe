//! Languages of the example site.

use example_site::Settings;
use session_expire::{Limit, minutes};
use session_expire_tests::{Browser, TestResponse};

use crate::example_site::{FIREFOX, current, devices, message, start, start_with, usual};

/// Pages of a signed-in user.
const PAGES: [&str; 9] = [
    "/",
    "/login",
    "/dashboard",
    "/editor",
    "/chat",
    "/devices",
    "/vault",
    "/settings",
    "/nowhere",
];

fn read(browser: &Browser, path: &str, languages: &str) -> TestResponse {
    browser.request("GET", path).header("accept-language", languages).send()
}

fn switch(browser: &Browser, language: &str, page: &str) -> TestResponse {
    let referer = format!("{}{page}", browser.base());
    let request = browser.request("POST", "/language").header("referer", &referer);
    request.form(&format!("language={language}")).send()
}

fn opens_with(page: &TestResponse, lang: &str, dir: &str) -> bool {
    page.body.starts_with(&format!("<!doctype html>\n<html lang=\"{lang}\" dir=\"{dir}\">"))
}

#[test]
fn page_is_in_the_language_of_the_header() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    for path in PAGES {
        for (header, lang, dir) in [
            ("de", "de", "ltr"),
            ("pl-PL,pl;q=0.9", "pl", "ltr"),
            ("ar-EG", "ar", "rtl"),
            ("it", "en", "ltr"),
            ("de;q=0, ../../fr\"><", "en", "ltr"),
        ] {
            let page = read(&alice, path, header);
            assert!(opens_with(&page, lang, dir), "{path} {header}: {}", page.body);
            assert!(page.body.contains(&format!("value=\"{lang}\" lang=\"{lang}\" selected")));
        }
        assert!(opens_with(&alice.get(path), "en", "ltr"), "{path}");
    }
    assert!(read(&alice, "/login", "de").body.contains("<h1>Anmelden</h1>"));
    let visitor = read(&site.browser(), "/", "de");
    let vary = visitor.headers.get_all("vary").iter().map(|value| value.to_str().unwrap());
    let vary = vary.collect::<Vec<_>>().join(", ");
    assert!(vary.contains("Accept-Language") && vary.contains("Cookie"), "{vary}");
}

#[test]
fn markup_for_scripts_and_tests_is_the_same_in_all_languages() {
    let alice = start(usual()).signed_in("alice");
    for language in ["de", "fr", "es", "pl", "ar"] {
        assert!(read(&alice, "/", language).body.contains("<span data-user>alice</span>"));
        let english = devices(&alice.get("/devices"));
        assert_eq!(devices(&read(&alice, "/devices", language)), english, "{language}");
        let dashboard = read(&alice, "/dashboard", language).body;
        assert!(dashboard.contains("{\"sessionEnd\": 28800, \"idleEnd\": 600}"), "{language}");
        let wrong = alice.request("POST", "/confirm").header("accept-language", language);
        let wrong = wrong.form("password=wrong").send();
        assert!(wrong.body.contains("<p class=\"message error\" role=\"alert\""), "{language}");
        // A wrong password counts as an attempt. A correct one resets the count.
        assert_eq!(alice.post("/confirm", "password=alice").status, 303);
    }
}

#[test]
fn switch_sets_a_cookie_that_precedes_the_header_and_returns() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let response = switch(&alice, "pl", "/devices?past=1");
    assert_eq!(response.redirect(), (303, "/devices?past=1"));
    let [cookie] = response.cookies()[..] else { panic!("{:?}", response.cookies()) };
    assert_eq!(cookie, "language=pl; HttpOnly; SameSite=Lax; Path=/; Max-Age=31536000");
    for path in PAGES {
        assert!(opens_with(&read(&alice, path, "de"), "pl", "ltr"), "{path}");
    }
    alice.post("/logout", "");
    let login = read(&alice, "/login", "de");
    assert!(opens_with(&login, "pl", "ltr"), "the choice remains after the session");
    assert_eq!(switch(&alice, "en", "/login").redirect(), (303, "/login"));
    assert!(opens_with(&read(&alice, "/login", "de"), "en", "ltr"));
}

#[test]
fn switch_refuses_unknown_languages_and_other_origins() {
    let alice = start(usual()).signed_in("alice");
    for language in ["xx", "", "EN", "de%0d%0aset-cookie:x", "../de"] {
        let response = switch(&alice, language, "/");
        assert_eq!((response.status, response.cookies().len()), (400, 0), "{language}");
    }
    let foreign = alice.request("POST", "/language").without("sec-fetch-site");
    let foreign = foreign.header("origin", "https://evil.example").form("language=de").send();
    assert_eq!((foreign.status, foreign.cookies().len()), (403, 0));
    let unknown_page = alice.request("POST", "/language").form("language=de").send();
    assert_eq!(unknown_page.redirect(), (303, "/"));
}

#[test]
fn switch_leads_to_a_page_after_any_form() {
    let site = start(usual());
    let root = site.signed_in("root");
    for target in [
        "/login",
        "/logout",
        "/language",
        "/confirm",
        "/editor",
        "/settings/password",
        "/settings/display",
        "/devices/end-others",
        "/devices/AAAAAAAAAAAAAAAA/end",
        "/admin/impersonate",
        "/admin/sessions/end",
    ] {
        let response = switch(&root, "de", target);
        let page = root.get(response.header("location"));
        assert_eq!((response.status, page.status), (303, 200), "{target}: {}", page.body);
    }
}

/// Returns the URL to which the main form of a page is sent.
fn form_target(page: &TestResponse) -> String {
    let form = page.body.split("<form class=\"form\" method=\"post\" action=\"").nth(1).unwrap();
    form.split('"').next().unwrap().replace("&#38;", "&")
}

#[test]
fn switch_keeps_the_return_path_after_a_wrong_password() {
    let site = start(usual());
    for (browser, page, path) in [
        (site.browser(), "/login", "/vault?a=b&c"),
        (site.signed_in("alice"), "/confirm", "/vault"),
    ] {
        let next = path.replace('&', "%26");
        let failed = browser.post(page, &format!("username=alice&password=wrong&next={next}"));
        let target = form_target(&failed);
        assert!(failed.status == 401 && target.starts_with(&format!("{page}?next=")), "{target}");
        // The browser shows the target as the URL of the page.
        let failed = browser.post(&target, &format!("username=alice&password=wrong&next={next}"));
        assert_eq!((failed.status, form_target(&failed)), (401, target.clone()));
        assert_eq!(switch(&browser, "de", &target).redirect(), (303, &*target));
        let form = browser.get(&target).body;
        let field = format!("name=\"next\" value=\"{}\"", path.replace('&', "&#38;"));
        assert!(form.contains(&field), "{form}");
        let done = browser.post(&target, &format!("username=alice&password=alice&next={next}"));
        assert_eq!(done.redirect(), (303, path));
    }
}

#[test]
fn login_form_is_sent_to_a_return_path_of_the_site_only() {
    let site = start(usual());
    for next in ["//evil.example", "https://evil.example/", "/%5Cevil.example", "/logout", ""] {
        let form = site.browser().get(&format!("/login?next={next}"));
        assert_eq!(form_target(&form), "/login", "{next}");
        let sent = format!("/login?next={next}");
        let login = site.browser().post(&sent, "username=alice&password=alice");
        assert_eq!(login.redirect(), (303, "/dashboard"), "{next}");
    }
    let form = "username=alice&password=alice&next=/editor";
    let login = site.browser().post("/login?next=/vault", form);
    assert_eq!(login.redirect(), (303, "/editor"), "the field decides");
}

#[test]
fn switch_neither_extends_nor_ends_the_session() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    for _ in 0..10 {
        site.clock.advance(minutes(1));
        assert_eq!(switch(&alice, "de", "/dashboard").status, 303);
    }
    let page = alice.get("/dashboard");
    assert_eq!(page.status, 303);
    assert!(message(&alice.get("/login")).starts_with("Sie wurden abgemeldet"), "{}", page.body);
}

#[test]
fn notice_of_a_login_is_in_the_language_of_its_reader() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let other = site.browser();
    let login = other.request("POST", "/login").header("accept-language", "ar");
    let login = login.header("user-agent", FIREFOX).form("username=alice&password=alice").send();
    assert_eq!(login.status, 303);
    let notice = message(&read(&alice, "/dashboard", "de"));
    assert!(notice.starts_with("Neue Anmeldung mit Firefox"), "{notice}");
}

#[test]
fn numbers_have_the_plural_form_of_the_language() {
    let site = start(usual().max_sessions(Limit::Off));
    let alice = site.signed_in("alice");
    switch(&alice, "pl", "/");
    for (others, text) in [
        (1, "Zakończono 1 inną sesję."),
        (3, "Zakończono 3 inne sesje."),
        (5, "Zakończono 5 innych sesji."),
    ] {
        let _others: Vec<_> = (0..others).map(|_| site.signed_in("alice")).collect();
        alice.post("/devices/end-others", "");
        assert_eq!(message(&alice.get("/devices")), text);
    }
}

#[test]
fn administrators_pages_are_in_english() {
    let root = start(usual()).signed_in("root");
    for path in ["/admin/", "/admin/users", "/admin/sessions", "/admin/audit"] {
        let page = read(&root, path, "ar");
        assert!(opens_with(&page, "ar", "rtl"), "{path}");
        assert!(page.body.contains("<main id=\"main\" tabindex=\"-1\" lang=\"en\" dir=\"ltr\">"));
    }
    let overview = read(&root, "/admin/", "ar").body;
    assert!(overview.contains("You will be signed out after 2 minutes without activity."));
}

#[test]
fn text_of_a_lost_device_is_translated() {
    let site = start(usual());
    let (alice, root) = (site.signed_in("alice"), site.signed_in("root"));
    let form = format!("user=alice&cause=lost_device&id={}", current(&alice));
    assert_eq!(root.post("/admin/sessions/end", &form).status, 303);
    assert_eq!(read(&alice, "/dashboard", "de").status, 303);
    let text = message(&read(&alice, "/login", "de"));
    assert!(text.contains("als verloren gemeldet"), "{text}");
}

#[test]
fn arabic_page_separates_and_isolates_names_addresses_and_amounts() {
    let proxies = vec!["127.0.0.1".parse().unwrap()];
    let site = start_with(Settings { proxies, ..Settings::default() });
    let (alice, moved) = (site.signed_in("alice"), site.signed_in("alice"));
    site.clock.advance(minutes(1));
    let request = moved.request("GET", "/dashboard").header("x-forwarded-for", "192.0.2.7");
    assert_eq!(request.header("user-agent", FIREFOX).send().status, 200);
    let page = read(&alice, "/devices", "ar").body;
    for text in [
        "aria-label=\"تسجيل الخروج من \u{2068}جهاز غير معروف\u{2069}، \u{2068}127.0.0.1\u{2069}\"",
        "\u{2068}\u{200f}Firefox على Linux\u{2069}، \u{2068}192.0.2.7\u{2069}",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let english = alice.get("/devices").body;
    assert!(english.contains("aria-label=\"Sign out on Unknown device, 127.0.0.1\""), "{english}");
    let vault = read(&alice, "/vault", "ar").body;
    assert!(vault.contains("<bdi dir=\"ltr\">48,210.77 €</bdi>"), "{vault}");
}
