//! Whoever is not signed in any more is told in a way they can use.

use actix_identity::Identity;
use actix_web::{
    HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::{ErrorBadGateway, ErrorForbidden, ErrorUnauthorized},
    middleware::{Next, from_fn},
    web,
};
use session_expire::{PolicyPatch, SessionHandle, minutes};
use session_expire_tests::{Browser, Site};

fn expired(site: &Site) -> Browser {
    let browser = site.signed_in("alice");
    site.pass(minutes(10));
    browser
}

#[test]
fn a_browser_is_sent_to_the_login_page_with_the_way_back() {
    let site = Site::start();
    let alice = expired(&site);
    let answer = alice.get("/private?a=1&b=%2F");
    assert_eq!(answer.redirect(), (303, "/login?next=/private%3Fa%3D1%26b%3D%252F"));
    assert_eq!(answer.header("x-session-expired"), "idle");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[test]
fn the_way_back_leads_back() {
    let site = Site::start();
    let alice = expired(&site);
    assert_eq!(alice.get("/private?a=1").status, 303);
    let answer = alice.post("/login", "user=alice&next=/private%3Fa%3D1");
    assert_eq!(answer.redirect(), (303, "/private?a=1"));
}

#[test]
fn a_form_that_comes_too_late_returns_to_its_page_and_not_to_its_target() {
    let site = Site::start();
    let alice = expired(&site);
    assert_eq!(alice.post("/private", "x=1").redirect(), (303, "/login?next=/form"));
    let no_referer = site.browser().request("POST", "/private").form("x=1").send();
    assert_eq!(no_referer.redirect(), (303, "/login"));
    for foreign in
        ["https://evil.example/form", "//evil.example", "/form", "javascript:alert(1)", "\u{fc}"]
    {
        let browser = site.browser();
        let post = browser.request("POST", "/private").header("referer", foreign);
        assert_eq!(post.form("x=1").send().redirect(), (303, "/login"), "{foreign}");
    }
}

#[test]
fn a_path_that_a_browser_could_read_as_another_host_is_no_way_back() {
    let site = Site::start();
    for path in ["//evil.example/private", "/private//evil.example"] {
        let answer = site.browser().get(path);
        assert!(!answer.header("location").contains("evil"), "{path}: {answer:?}");
    }
}

#[test]
fn a_script_gets_a_problem_that_names_the_reason() {
    let site = Site::start();
    let alice = expired(&site);
    let page = format!("{}/list?page=2", alice.base());
    let answer = alice.request("GET", "/private").script().header("referer", &page).send();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("x-session-expired"), "idle");
    let problem = answer.json();
    assert_eq!(problem["status"], 401);
    assert_eq!(problem["reason"], "idle");
    // Where a person reads on, and not what the script asked for.
    assert_eq!(problem["login_url"], "/login?next=/list%3Fpage%3D2");
    assert!(problem["detail"].as_str().unwrap().contains("not been active"), "{problem}");
}

#[test]
fn everything_that_is_no_navigation_gets_the_problem() {
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
fn an_old_browser_is_known_by_what_it_accepts() {
    let site = Site::start();
    let alice = expired(&site);
    let request = alice.request("GET", "/private").without("sec-fetch-mode");
    assert_eq!(request.header("accept", "text/html,*/*;q=0.8").send().status, 303);
}

#[test]
fn htmx_is_told_where_to_go_and_to_come_back_to_the_page_and_not_the_fragment() {
    let site = Site::start();
    let alice = expired(&site);
    let page = format!("{}/list?page=2", alice.base());
    let request = alice.request("GET", "/private").script().header("hx-request", "true");
    let answer = request.header("hx-current-url", &page).send();
    assert_eq!(
        (answer.status, answer.header("hx-redirect")),
        (401, "/login?next=/list%3Fpage%3D2")
    );
}

#[test]
fn a_stranger_gets_the_same_challenge_without_a_reason() {
    let site = Site::start();
    let page = site.browser().get("/private");
    assert_eq!(page.redirect(), (303, "/login?next=/private"));
    assert_eq!(page.header("x-session-expired"), "");
    let script = site.browser().fetch("/private");
    assert_eq!((script.status, script.json()["reason"].is_null()), (401, true));
    assert_eq!(script.json()["title"], "You are not signed in");
}

#[test]
fn the_challenge_of_strangers_can_be_switched_off() {
    let site = Site::builder().customise(|builder| builder.challenge_anonymous(false)).start();
    assert_eq!(site.browser().get("/private").status, 401);
    assert_eq!(expired(&site).get("/private").status, 303);
}

#[test]
fn a_wrong_password_stays_what_the_login_page_says_it_is() {
    let site = Site::start();
    for browser in [site.browser(), expired(&site)] {
        let answer = browser.post("/login", "user=wrong");
        assert_eq!((answer.status, answer.body.as_str()), (401, "wrong password"));
    }
}

#[test]
fn a_stranger_s_401_with_words_of_its_own_is_left_alone() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        cfg.route(
            "/words",
            web::get().to(|| async { HttpResponse::Unauthorized().body("Ask Bob.") }),
        );
        cfg.route("/forbidden", web::get().to(|| async { HttpResponse::Forbidden().finish() }));
    };
    let site = Site::builder().routes(routes).start();
    assert_eq!(site.browser().get("/words").body, "Ask Bob.");
    let alice = expired(&site);
    assert_eq!(alice.get("/forbidden").status, 403);
}

#[test]
fn other_headers_of_the_handler_survive_the_challenge() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let answer = || async {
            HttpResponse::Unauthorized()
                .insert_header(("access-control-allow-origin", "https://app.example"))
                .append_header(("set-cookie", "theme=dark"))
                .append_header(("set-cookie", "lang=de"))
                .insert_header(("etag", "\"1\""))
                .finish()
        };
        cfg.route("/cors", web::get().to(answer));
    };
    let site = Site::builder().routes(routes).start();
    let answer = site.browser().fetch("/cors");
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(answer.cookies(), ["theme=dark", "lang=de"]);
    assert_eq!(answer.header("etag"), "");
}

#[test]
fn a_401_of_another_scheme_and_one_that_is_meant_as_it_is_are_left_alone() {
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

/// A guard as applications write it: it wants an identity, and fails for other reasons, too.
async fn guard<B: MessageBody + 'static>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<B>> {
    match req.query_string() {
        "before=502" => Err(ErrorBadGateway("no")),
        "before=403" => Err(ErrorForbidden("no")),
        "after=502" => next.call(req).await.and_then(|_| Err(ErrorBadGateway("no"))),
        _ => {
            req.extract::<Identity>().await?;
            next.call(req).await
        }
    }
}

fn guarded_site() -> Site {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let page = |user: Option<Identity>| async move {
            user.map(|user| user.id().unwrap()).unwrap_or_default()
        };
        let scope = web::scope("/guarded").wrap(from_fn(guard::<actix_web::body::BoxBody>));
        cfg.service(scope.route("/page", web::get().to(page)));
    };
    Site::builder().routes(routes).start()
}

#[test]
fn guard_that_extracts_an_identity_is_challenged_like_a_handler() {
    let site = guarded_site();
    let visited = site.browser();
    visited.get("/visits");
    for (browser, reason) in [(site.browser(), ""), (visited, ""), (expired(&site), "idle")] {
        let script = browser.fetch("/guarded/page");
        assert_eq!((script.status, script.header("x-session-expired")), (401, reason));
        assert_eq!(script.header("content-type"), "application/problem+json");
        assert!(!script.header("www-authenticate").is_empty());
        let page = browser.get("/guarded/page?a=1");
        assert_eq!(page.redirect(), (303, "/login?next=/guarded/page%3Fa%3D1"), "{reason}");
    }
    assert_eq!(site.signed_in("alice").get("/guarded/page").body, "alice");
}

#[test]
fn guard_inside_a_layer_leads_to_the_login_page_of_the_layer() {
    let site = Site::builder()
        .routes(|cfg| {
            let page = || web::get().to(HttpResponse::Ok);
            let scope = web::scope("/admin")
                .wrap(from_fn(guard::<actix_web::body::BoxBody>))
                .wrap(PolicyPatch::new().login_url("/admin/enter"));
            cfg.service(scope.route("/page", page()).route("/enter", page()));
        })
        .start();
    let visited = site.browser();
    visited.get("/visits");
    for browser in [site.browser(), visited] {
        let page = browser.get("/admin/page");
        assert_eq!(page.redirect(), (303, "/admin/enter?next=/admin/page"));
        assert_eq!(browser.get("/admin/enter").status, 401, "no redirect to itself");
    }
}

#[test]
fn request_that_a_middleware_fails_is_activity() {
    for path in ["/guarded/page?before=502", "/guarded/page?after=502", "/guarded/page?before=403"]
    {
        let site = guarded_site();
        let alice = site.signed_in("alice");
        for _ in 0..3 {
            site.pass(minutes(4));
            assert!(alice.get(path).status > 402, "{path}");
        }
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{path}");
    }
}

#[test]
fn forbidden_stays_forbidden_for_every_visitor() {
    let site = guarded_site();
    for browser in [site.browser(), expired(&site), site.signed_in("alice")] {
        for request in [
            browser.request("GET", "/guarded/page?before=403").script(),
            browser.request("GET", "/guarded/page?before=403"),
        ] {
            assert_eq!(request.send().status, 403);
        }
    }
}

#[test]
fn own_401_with_a_body_stays_and_gains_the_reason() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let words = || async { HttpResponse::Unauthorized().body("Ask Bob.") };
        let error = || async { Err::<&str, _>(ErrorUnauthorized("Ask Bob.")) };
        cfg.route("/words", web::get().to(words)).route("/error", web::get().to(error));
    };
    let site = Site::builder().routes(routes).start();
    for path in ["/words", "/error"] {
        for (browser, reason) in [(site.browser(), ""), (expired(&site), "idle")] {
            for answer in [browser.get(path), browser.fetch(path)] {
                assert_eq!((answer.status, answer.body.as_str()), (401, "Ask Bob."), "{path}");
                assert_eq!(answer.header("x-session-expired"), reason, "{path}");
            }
        }
    }
}

#[test]
fn challenge_sets_no_cookie() {
    let site = Site::start();
    for browser in [site.browser(), expired(&site)] {
        for path in ["/private", "/stricter", "/poll"] {
            for answer in [browser.get(path), browser.fetch(path)] {
                assert!(answer.cookies().is_empty(), "{path}: {answer:?}");
            }
        }
    }
}

/// A login page that forwards users who are signed in.
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

/// Also where the challenge ends nothing: the login page sees an anonymous visitor all the same.
#[test]
fn login_page_that_forwards_users_does_not_loop() {
    for (page, login) in [
        ("/stricter", "/login"),
        ("/safe", "/login"),
        ("/board", "/login"),
        ("/vault", "/vault/login"),
    ] {
        for (site_of_link, pause) in [
            ("cross-site", 5),
            ("same-site", 5),
            ("same-origin", 5),
            ("none", 5),
            ("cross-site", 30),
            ("same-origin", 30),
        ] {
            let case = format!("{page} {site_of_link} {pause}");
            let site = Site::builder().routes(forwarding).start();
            let alice = site.signed_in("alice");
            assert_eq!(alice.get("/login?next=/public").redirect(), (303, "/public"));
            site.pass(minutes(pause));
            // A browser sends the same `Sec-Fetch-Site` with all requests of a chain of redirects.
            let follow = |path: &str| {
                alice.request("GET", path).header("sec-fetch-site", site_of_link).send()
            };
            let challenge = follow(page);
            assert_eq!(challenge.redirect(), (303, &*format!("{login}?next={page}")), "{case}");
            assert_eq!(follow(challenge.header("location")).body, "the login form", "{case}");
        }
    }
}
