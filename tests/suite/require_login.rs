//! A closed scope: requests without a login go no further than its layer.

use actix_identity::Identity;
use actix_web::{
    FromRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
    web,
};
use session_expire::{Policy, PolicyPatch, minutes, session_policy};
use session_expire_tests::{Site, sealed};

async fn page() -> &'static str {
    "inside"
}

/// A guard on the scope, as applications write it: it reads the user before the handler's policy.
async fn guard(
    mut req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    let (request, payload) = req.parts_mut();
    Identity::from_request(request, payload).await?;
    next.call(req).await
}

#[session_policy(idle = "2m", require_login)]
fn closed() -> actix_web::Scope {
    web::scope("/closed").route("/page", web::to(page))
}

#[session_policy(idle = "1m", require_login)]
async fn handler() -> &'static str {
    "handler"
}

#[session_policy(require_login)]
mod module {
    use actix_web::get;
    use session_expire::session_policy;

    #[get("/module/closed")]
    pub async fn closed() -> &'static str {
        "closed"
    }

    #[session_policy(require_login = false)]
    #[get("/module/open")]
    pub async fn open() -> &'static str {
        "open"
    }
}

fn routes(cfg: &mut web::ServiceConfig) {
    let open_inside = PolicyPatch::new().require_login(false);
    let scope = web::scope("/mixed")
        .service(web::resource("/open").wrap(open_inside).to(page))
        .wrap(PolicyPatch::new().require_login(true));
    let guarded = web::scope("/guarded")
        .service(web::resource("/page").wrap(PolicyPatch::new().idle(minutes(1))).to(page))
        .wrap(from_fn(guard));
    let tight = web::scope("/tight")
        .service(web::resource("/page").to(page))
        .wrap(from_fn(guard))
        .wrap(PolicyPatch::new().idle(minutes(1)).require_login(true));
    cfg.service(closed())
        .route("/handler", web::get().to(handler))
        .service(module::closed)
        .service(module::open)
        .service(scope)
        .service(guarded)
        .service(tight)
        .default_service(web::to(HttpResponse::NotFound));
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

#[test]
fn stranger_is_challenged_on_every_path_of_a_closed_scope() {
    let site = site();
    let stranger = site.browser();
    for path in ["/closed/page", "/closed/nowhere"] {
        assert_eq!(stranger.get(path).redirect(), (303, &*format!("/login?next={path}")));
        let script = stranger.fetch(path);
        assert_eq!(
            (script.status, script.header("content-type")),
            (401, "application/problem+json")
        );
        assert!(!script.header("www-authenticate").is_empty());
    }
    assert_eq!(stranger.get("/handler").status, 303);
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/closed/page").body, "inside");
    assert_eq!(alice.get("/closed/nowhere").status, 404);
    assert_eq!(alice.get("/handler").body, "handler");
}

#[test]
fn expired_session_is_challenged_before_anything_inside_runs() {
    let site = site();
    let alice = site.signed_in("alice");
    site.pass(minutes(2));
    let response = alice.get("/closed/page");
    assert_eq!(response.redirect(), (303, "/login?next=/closed/page"));
    assert_eq!(response.header("x-session-expired"), "idle");
    let alice = site.signed_in("alice");
    site.pass(minutes(5));
    assert_eq!(alice.get("/tight/page").status, 303, "before the guard reads the user");
}

#[test]
fn guard_outside_a_stricter_policy_needs_the_policy_outside() {
    let site = site();
    let alice = site.signed_in("alice");
    site.pass(minutes(5));
    // The guard has seen the user; the handler sees none. `require_login` on the scope closes this.
    assert_eq!(alice.get("/guarded/page").body, "inside");
    assert_eq!(alice.get("/tight/page").redirect(), (303, "/login?next=/tight/page"));
}

#[test]
fn handler_of_an_attributed_module_may_be_open() {
    let site = site();
    let stranger = site.browser();
    assert_eq!(stranger.get("/module/closed").redirect(), (303, "/login?next=/module/closed"));
    assert_eq!(stranger.get("/module/open").body, "open");
}

#[test]
fn open_handler_inside_a_closed_scope_is_an_error() {
    let site = site();
    assert_eq!(site.browser().get("/mixed/open").status, 303, "the scope is closed");
    assert_eq!(site.signed_in("alice").get("/mixed/open").status, 500);
}

#[test]
fn closed_scope_answers_503_in_an_outage() {
    let site = site();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    let response = alice.fetch("/closed/page");
    assert_eq!((response.status, response.header("retry-after")), (503, "5"));
    site.registry.set_down(false);
    assert_eq!(alice.get("/closed/page").body, "inside");
}

fn closed_site() -> Site {
    let policy = Policy::new().idle(minutes(10)).require_login(true);
    Site::builder().policy(policy).routes(routes).start()
}

#[test]
fn closed_application_challenges_all_but_its_login_page() {
    let site = closed_site();
    let (stranger, visitor, expired) = (site.browser(), site.browser(), site.signed_in("alice"));
    visitor.set_cookie("anonymous", &sealed(r#"{"t":1767268800000,"d":{"e":[["a",1]]}}"#));
    site.pass(minutes(10));
    for path in ["/public", "/nowhere", "/session/mine", "/login/help"] {
        for browser in [&stranger, &visitor] {
            assert_eq!(browser.get(path).redirect(), (303, &*format!("/login?next={path}")));
            assert_eq!(browser.post(path, "").status, 303, "{path}");
            assert_eq!(browser.fetch(path).status, 401, "{path}");
        }
        // The application is a floor: a laxer page accepts no more than it does.
        assert_eq!(expired.stolen().get("/looser").status, 303, "{path}");
    }
    let script = stranger.fetch("/session/status");
    assert_eq!((script.status, &script.json()["state"]), (200, &"anonymous".into()));
    assert_eq!(stranger.get("/login").status, 200);
    stranger.sign_in("alice");
    assert_eq!(stranger.get("/public").body, "alice");
    assert_eq!(stranger.get("/nowhere").status, 404);
    let asset = stranger.get("/vars").json()["script"].as_str().unwrap().to_owned();
    let asset = asset.split('"').nth(1).unwrap();
    assert_eq!(visitor.get(asset).status, 200, "{asset}");
}

#[test]
fn open_page_inside_a_closed_application_is_an_error() {
    let site = closed_site();
    assert_eq!(site.browser().get("/module/open").status, 303);
    assert_eq!(site.signed_in("alice").get("/module/open").status, 500);
}

#[test]
fn closed_application_answers_503_in_an_outage() {
    let site = closed_site();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    assert_eq!(alice.get("/public").status, 503);
    assert_eq!(alice.get("/login").status, 200);
}
