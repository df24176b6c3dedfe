//! Scopes, handlers and applications that require a login.

use actix_identity::Identity;
use actix_web::{
    FromRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
    web,
};
use session_expire::{Policy, PolicyPatch, minutes, session_policy};
use session_expire_tests::{Site, seal_anonymous_cookie};

async fn page() -> &'static str {
    "inside"
}

/// Extracts the user before the policy of the handler is known.
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
    let strict = web::scope("/strict")
        .service(web::resource("/page").to(page))
        .wrap(from_fn(guard))
        .wrap(PolicyPatch::new().idle(minutes(1)).require_login(true));
    cfg.service(closed())
        .route("/handler", web::get().to(handler))
        .service(module::closed)
        .service(module::open)
        .service(scope)
        .service(guarded)
        .service(strict)
        .default_service(web::to(HttpResponse::NotFound));
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

#[test]
fn visitor_is_challenged_on_all_paths_of_a_scope() {
    let site = site();
    let visitor = site.browser();
    for path in ["/closed/page", "/closed/nowhere"] {
        assert_eq!(visitor.get(path).redirect(), (303, &*format!("/login?next={path}")));
        let script = visitor.fetch(path);
        assert_eq!(
            (script.status, script.header("content-type")),
            (401, "application/problem+json")
        );
        assert!(!script.header("www-authenticate").is_empty());
    }
    assert_eq!(visitor.get("/handler").status, 303);
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/closed/page").body, "inside");
    assert_eq!(alice.get("/closed/nowhere").status, 404);
    assert_eq!(alice.get("/handler").body, "handler");
}

#[test]
fn expired_session_is_challenged_before_inner_guards() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(2));
    let response = alice.get("/closed/page");
    assert_eq!(response.redirect(), (303, "/login?next=/closed/page"));
    assert_eq!(response.header("x-session-expired"), "idle");
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    assert_eq!(alice.get("/strict/page").status, 303, "the layer outside the guard challenges");
}

#[test]
fn guard_sees_the_policy_outside_it_only() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    // The guard saw the user, and the handler sees none. `require_login` on the scope prevents
    // that.
    assert_eq!(alice.get("/guarded/page").body, "inside");
    assert_eq!(alice.get("/strict/page").redirect(), (303, "/login?next=/strict/page"));
}

#[test]
fn handler_of_a_module_can_be_open() {
    let site = site();
    let visitor = site.browser();
    assert_eq!(visitor.get("/module/closed").redirect(), (303, "/login?next=/module/closed"));
    assert_eq!(visitor.get("/module/open").body, "open");
}

#[test]
fn open_handler_in_a_closed_scope_is_an_error() {
    let site = site();
    assert_eq!(site.browser().get("/mixed/open").status, 303, "the scope is closed");
    assert_eq!(site.signed_in("alice").get("/mixed/open").status, 500);
}

#[test]
fn closed_scope_is_503_in_an_outage() {
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
fn closed_application_opens_its_login_page_only() {
    let site = closed_site();
    let (visitor, returning, expired) = (site.browser(), site.browser(), site.signed_in("alice"));
    returning.set_cookie(
        "anonymous",
        &seal_anonymous_cookie(r#"{"t":1767268800000,"d":{"e":[["a",1]]}}"#),
    );
    site.advance(minutes(10));
    for path in ["/public", "/nowhere", "/session/mine", "/login/help"] {
        for browser in [&visitor, &returning] {
            assert_eq!(browser.get(path).redirect(), (303, &*format!("/login?next={path}")));
            assert_eq!(browser.post(path, "").status, 303, "{path}");
            assert_eq!(browser.fetch(path).status, 401, "{path}");
        }
        // A laxer page accepts no session that the application rejects.
        assert_eq!(expired.copy().get("/laxer").status, 303, "{path}");
    }
    let script = visitor.fetch("/session/status");
    assert_eq!((script.status, &script.json()["state"]), (200, &"anonymous".into()));
    assert_eq!(visitor.get("/login").status, 200);
    visitor.sign_in("alice");
    assert_eq!(visitor.get("/public").body, "alice");
    assert_eq!(visitor.get("/nowhere").status, 404);
    let asset = visitor.get("/vars").json()["script"].as_str().unwrap().to_owned();
    let asset = asset.split('"').nth(1).unwrap();
    assert_eq!(returning.get(asset).status, 200, "{asset}");
}

#[test]
fn open_handler_in_a_closed_application_is_an_error() {
    let site = closed_site();
    assert_eq!(site.browser().get("/module/open").status, 303);
    assert_eq!(site.signed_in("alice").get("/module/open").status, 500);
}

#[test]
fn closed_application_is_503_in_an_outage() {
    let site = closed_site();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    assert_eq!(alice.get("/public").status, 503);
    assert_eq!(alice.get("/login").status, 200);
}
