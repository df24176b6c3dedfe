//! Guards of an application: middlewares that require a login or fail a request.

use actix_identity::Identity;
use actix_web::{
    HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::{ErrorBadGateway, ErrorForbidden, ErrorUnauthorized},
    middleware::{Next, from_fn},
    web,
};
use session_expire::{PolicyPatch, minutes};
use session_expire_tests::{Browser, Site};

fn expired(site: &Site) -> Browser {
    let browser = site.signed_in("alice");
    site.advance(minutes(10));
    browser
}

/// Requires a login. The query lets it fail before or after the handler.
async fn guard<B: MessageBody + 'static>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<B>> {
    match req.query_string() {
        "before=502" => Err(ErrorBadGateway("no")),
        "before=401" => Err(ErrorUnauthorized("no")),
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
        cfg.service(scope.route("/page", web::get().to(page)))
            .route("/forbidden", web::get().to(HttpResponse::Forbidden));
    };
    Site::builder().routes(routes).start()
}

#[test]
fn guard_without_identity_is_challenged() {
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
fn guard_inside_a_layer_uses_its_login_page() {
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
        assert_eq!(
            browser.get("/admin/enter").status,
            401,
            "the login page is not redirected to itself"
        );
    }
}

#[test]
fn request_failed_by_a_middleware_is_activity() {
    for path in ["/guarded/page?before=502", "/guarded/page?after=502", "/guarded/page?before=403"]
    {
        let site = guarded_site();
        let alice = site.signed_in("alice");
        for _ in 0..3 {
            site.advance(minutes(4));
            assert!(alice.get(path).status > 402, "{path}");
        }
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{path}");
    }
}

#[test]
fn forbidden_response_is_unchanged() {
    let site = guarded_site();
    for browser in [site.browser(), expired(&site), site.signed_in("alice")] {
        for path in ["/guarded/page?before=403", "/forbidden"] {
            let statuses = (browser.fetch(path).status, browser.get(path).status);
            assert_eq!(statuses, (403, 403), "{path}");
        }
    }
}

#[test]
fn expired_session_ends_when_a_middleware_fails() {
    let site = guarded_site();
    let alice = expired(&site);
    let response = alice.get("/guarded/page?before=401");
    assert_eq!(response.redirect(), (303, "/login?next=/guarded/page%3Fbefore%3D401"));
    assert_eq!(response.header("x-session-expired"), "idle");
    assert_eq!(site.take_events()[1..], ["alice ended: idle"]);
    assert!(alice.read_messages().starts_with("[warning idle]"));
}
