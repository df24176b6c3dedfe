//! Challenges: the responses to requests that need a login and have none.

use actix_identity::Identity;
use actix_web::{HttpResponse, error::ErrorUnauthorized, web};
use session_expire::{PolicyPatch, SessionHandle, minutes};
use session_expire_tests::{Browser, Site};

fn expired(site: &Site) -> Browser {
    let browser = site.signed_in("alice");
    site.advance(minutes(10));
    browser
}

#[test]
fn script_gets_problem_with_reason() {
    let site = Site::start();
    let alice = expired(&site);
    let page = format!("{}/list?page=2", alice.base());
    let response = alice.request("GET", "/private").script().header("referer", &page).send();
    assert_eq!(response.status, 401);
    assert_eq!(response.header("content-type"), "application/problem+json");
    assert_eq!(response.header("x-session-expired"), "idle");
    let problem = response.json();
    assert_eq!(problem["status"], 401);
    assert_eq!(problem["reason"], "idle");
    // The user returns to the page of the script, not to the URL that the script requested.
    assert_eq!(problem["login_url"], "/login?next=/list%3Fpage%3D2");
    assert!(problem["detail"].as_str().unwrap().contains("not been active"), "{problem}");
}

#[test]
fn request_other_than_navigation_gets_problem() {
    for (name, value) in [
        ("accept", "application/json"),
        ("accept", "*/*"),
        ("x-requested-with", "XMLHttpRequest"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-mode", "no-cors"),
    ] {
        let site = Site::start();
        let alice = expired(&site);
        let request = alice.request("GET", "/private").without("sec-fetch-mode");
        assert_eq!(request.header(name, value).send().status, 401, "{name}: {value}");
    }
}

#[test]
fn browser_without_fetch_metadata_is_redirected() {
    let site = Site::start();
    let alice = expired(&site);
    let request = alice.request("GET", "/private").without("sec-fetch-mode");
    assert_eq!(request.header("accept", "text/html,*/*;q=0.8").send().status, 303);
}

#[test]
fn visitor_is_challenged_without_a_reason() {
    let site = Site::start();
    let page = site.browser().get("/private");
    assert_eq!(page.redirect(), (303, "/login?next=/private"));
    assert_eq!(page.header("x-session-expired"), "");
    let script = site.browser().fetch("/private");
    assert_eq!((script.status, script.json()["reason"].is_null()), (401, true));
    assert_eq!(script.json()["title"], "You are not signed in");
}

#[test]
fn challenge_of_visitors_can_be_switched_off() {
    let site = Site::builder().customise(|builder| builder.challenge_anonymous(false)).start();
    assert_eq!(site.browser().get("/private").status, 401);
    assert_eq!(expired(&site).get("/private").status, 303);
}

#[test]
fn challenge_keeps_other_headers_of_the_handler() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let response = || async {
            HttpResponse::Unauthorized()
                .insert_header(("access-control-allow-origin", "https://app.example"))
                .append_header(("set-cookie", "theme=dark"))
                .append_header(("set-cookie", "lang=de"))
                .insert_header(("etag", "\"1\""))
                .finish()
        };
        cfg.route("/cors", web::get().to(response));
    };
    let site = Site::builder().routes(routes).start();
    let response = site.browser().fetch("/cors");
    assert_eq!(response.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(response.cookies(), ["theme=dark", "lang=de"]);
    assert_eq!(response.header("etag"), "");
}

#[test]
fn kept_401_and_401_of_another_scheme_are_unchanged() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let basic = || async {
            HttpResponse::Unauthorized().insert_header(("www-authenticate", "Basic")).finish()
        };
        let login = |session: SessionHandle| async move {
            session.keep_response();
            HttpResponse::Unauthorized().body("wrong password")
        };
        cfg.route("/basic", web::get().to(basic)).route("/api/login", web::post().to(login));
    };
    let site = Site::builder().routes(routes).start();
    assert_eq!(site.browser().get("/basic").header("www-authenticate"), "Basic");
    for browser in [site.browser(), expired(&site)] {
        assert_eq!(browser.post("/api/login", "").body, "wrong password");
    }
}

#[test]
fn handler_401_with_a_body_gains_the_reason() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let response = || async { HttpResponse::Unauthorized().body("no access") };
        let error = || async { Err::<&str, _>(ErrorUnauthorized("no access")) };
        cfg.route("/response", web::get().to(response)).route("/error", web::get().to(error));
    };
    let site = Site::builder().routes(routes).start();
    for path in ["/response", "/error"] {
        for (browser, reason) in [(site.browser(), ""), (expired(&site), "idle")] {
            for response in [browser.get(path), browser.fetch(path)] {
                assert_eq!((response.status, response.body.as_str()), (401, "no access"), "{path}");
                assert_eq!(response.header("x-session-expired"), reason, "{path}");
            }
        }
    }
}

#[test]
fn challenge_sets_no_cookie() {
    let site = Site::start();
    for browser in [site.browser(), expired(&site)] {
        for path in ["/private", "/stricter", "/poll"] {
            for response in [browser.get(path), browser.fetch(path)] {
                assert!(response.cookies().is_empty(), "{path}: {response:?}");
            }
        }
    }
}

/// Login page that redirects a signed-in user to the return path.
async fn forwarding_login(
    user: Option<Identity>,
    next: web::Query<std::collections::HashMap<String, String>>,
) -> HttpResponse {
    match user {
        Some(_) => {
            let next = next.get("next").map_or("/", String::as_str);
            HttpResponse::SeeOther().insert_header(("location", next)).finish()
        }
        None => HttpResponse::Ok().body("the login form"),
    }
}

fn forwarding(cfg: &mut web::ServiceConfig) {
    let page = |path, patch: PolicyPatch| {
        web::resource(path).wrap(patch.absolute(minutes(1))).route(web::get().to(whoami))
    };
    cfg.route("/login", web::get().to(forwarding_login))
        .route("/vault/login", web::get().to(forwarding_login))
        .service(page("/safe", PolicyPatch::new()))
        .service(page("/board", PolicyPatch::new().passive(true)))
        .service(page("/vault", PolicyPatch::new().login_url("/vault/login")));
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

/// The login page gets an anonymous visitor even if the challenge does not end the session.
#[test]
fn forwarding_login_page_does_not_loop() {
    for (page, login) in [
        ("/stricter", "/login"),
        ("/safe", "/login"),
        ("/board", "/login"),
        ("/vault", "/vault/login"),
    ] {
        for (initiator, pause) in [
            ("cross-site", 5),
            ("same-site", 5),
            ("same-origin", 5),
            ("none", 5),
            ("cross-site", 30),
            ("same-origin", 30),
        ] {
            let case = format!("{page} {initiator} {pause}");
            let site = Site::builder().routes(forwarding).start();
            let alice = site.signed_in("alice");
            assert_eq!(alice.get("/login?next=/public").redirect(), (303, "/public"));
            site.advance(minutes(pause));
            // A browser sends the same `Sec-Fetch-Site` with every request of a redirect chain.
            let follow =
                |path: &str| alice.request("GET", path).header("sec-fetch-site", initiator).send();
            let challenge = follow(page);
            assert_eq!(challenge.redirect(), (303, &*format!("{login}?next={page}")), "{case}");
            assert_eq!(follow(challenge.header("location")).body, "the login form", "{case}");
        }
    }
}

#[test]
fn web_view_is_redirected_like_a_browser() {
    let site = Site::start();
    let visitor = site.browser();
    let bare =
        || visitor.request("GET", "/private").without("sec-fetch-mode").without("sec-fetch-site");
    let html = || bare().header("accept", "TEXT/HTML,*/*");
    assert_eq!(html().send().status, 303);
    assert_eq!(html().header("x-requested-with", "com.example.app").send().status, 303);
    assert_eq!(html().header("x-requested-with", "XMLHttpRequest").send().status, 401);
}

#[test]
fn own_401_names_a_scheme() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let visitor = site.browser().fetch("/private");
    assert_eq!(visitor.header("www-authenticate"), "Session realm=\"application\"");
    site.advance(minutes(10));
    for response in
        [alice.fetch("/private"), alice.request("POST", "/session/keep-alive").script().send()]
    {
        assert_eq!(response.status, 401);
        assert!(response.header("www-authenticate").starts_with("Session"), "{response:?}");
    }
}
