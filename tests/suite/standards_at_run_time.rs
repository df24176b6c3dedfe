//! Checks of the policies of layers, logins and users against declared standards.

use std::sync::{Arc, Mutex};

use actix_identity::Identity;
use actix_web::{App, HttpResponse, HttpServer, get, rt::System, web};
use session_expire::{
    AtEnd, Event, Limit, Policy, PolicyPatch, SessionExpire, SessionExpireBuilder, SessionHandle,
    SessionVars, SignInError,
    compliance::{Standard, breaches},
    error::RegistryError,
    hours, minutes, seconds, session_policy,
};
use session_expire_tests::Site;

/// Idle timeouts are at most 1 h, absolute timeouts at most 24 h.
fn declare(builder: SessionExpireBuilder) -> SessionExpireBuilder {
    let reason = "the tests use plain HTTP";
    let builder = builder.complies_with([Standard::NistAal2, Standard::AsvsL1]);
    let builder = builder.deviates_from("NIST SP 800-63B-4 5.1.1 (1)", reason);
    builder
        .deviates_from("NIST SP 800-63B-4 5.1.1 (5)", reason)
        .deviates_from("ASVS 5.0 3.3.1 plain_http", reason)
}

const TOO_IDLE: &str = "breach: `idle` (3601s) is longer than 1h (NIST SP 800-63B-4 2.2.3, should)";

/// Starts a server with a layer. Returns `true` if it started.
fn starts(standard: Standard, app: Policy, layers: [PolicyPatch; 2]) -> bool {
    starts_with(SessionExpire::builder(app).complies_with([standard]), layers, 1)
}

fn starts_with(builder: SessionExpireBuilder, layers: [PolicyPatch; 2], workers: usize) -> bool {
    let expire = builder.build().unwrap();
    let app = move || {
        let [scope, page] = layers.clone();
        let page = web::resource("/page").wrap(page).to(HttpResponse::Ok);
        App::new().service(web::scope("/scope").wrap(scope).service(page)).wrap(expire.clone())
    };
    System::new().block_on(async {
        let server = HttpServer::new(app).workers(workers).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).unwrap().run();
        let handle = server.handle();
        let (result, ()) = tokio::join!(server, handle.stop(false));
        result.is_ok()
    })
}

#[test]
fn application_with_noncompliant_layer_does_not_start() {
    let (none, app) = (PolicyPatch::new, Policy::new().idle(minutes(15)));
    let at = |idle| none().idle(idle);
    for (scope, page, expected) in [
        (none(), none(), true),
        (none(), at(minutes(15)), true),
        (none(), at(minutes(15) + seconds(1)), false),
        (at(minutes(15) + seconds(1)), none(), false),
        (at(minutes(15) + seconds(1)), at(minutes(1)), false),
    ] {
        let shown = format!("{scope:?} {page:?}");
        assert_eq!(starts(Standard::PciDss4, app.clone(), [scope, page]), expected, "{shown}");
    }
}

#[test]
fn breach_of_a_mounted_layer_is_reported_once_with_its_patch() {
    let reported = Arc::new(Mutex::new(vec![]));
    let report = Arc::clone(&reported);
    let builder = SessionExpire::builder(Policy::new().idle(minutes(15)));
    let builder = builder.complies_with([Standard::PciDss4]).observer(move |event| {
        if let Event::PolicyBreach { breach, layer, .. } = event {
            report.lock().unwrap().push(format!("{breach} {}", layer.unwrap_or_default()));
        }
    });
    let layers = [PolicyPatch::new(), PolicyPatch::new().idle(minutes(16))];
    assert!(!starts_with(builder, layers, 4));
    let expected = r#"`idle` (16m) is longer than 15m (PCI DSS 4.0.1 8.2.8) {"idle":"16m"}"#;
    assert_eq!(*reported.lock().unwrap(), [expected]);
}

/// Sessions from before the declaration can have any number of timeouts.
#[test]
fn breaches_by_sessions_do_not_silence_those_of_handlers() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        cfg.route("/sign-in-for/{idle}", web::post().to(sign_in_for)).service(handler);
    };
    let before = Site::builder().routes(routes).start();
    let after =
        Site::builder().registry(before.registry.clone()).routes(routes).customise(declare).start();
    for idle in 0..110 {
        let browser = before.browser();
        browser.post(&format!("/sign-in-for/{}", 3_601 + idle), "");
        assert_eq!(browser.moved_to(&after).user_at("/private").as_deref(), Some("alice"));
    }
    let events = after.take_events();
    let breaches = events.iter().filter(|event| event.starts_with("breach")).count();
    assert!((1..=20).contains(&breaches), "{breaches}");
    let bob = after.signed_in("bob");
    assert_eq!(bob.user_at("/handler").as_deref(), Some("bob"));
    assert!(after.take_events().contains(&TOO_IDLE.to_owned()));
}

#[test]
fn layer_around_a_layer_may_make_it_compliant() {
    let app = Policy::new().idle(minutes(10)).absolute(hours(21));
    let (scope, page) = (PolicyPatch::new(), PolicyPatch::new().idle(hours(2)));
    assert!(!starts(Standard::Wcag22, app.clone(), [scope.clone(), page.clone()]));
    let scope = scope.absolute(hours(22));
    assert!(starts(Standard::Wcag22, app, [scope, page]));
}

#[test]
fn reason_of_a_layer_does_not_cover_the_timeout_of_another() {
    let app = Policy::new().idle(minutes(1)).absolute(hours(21));
    let reason = PolicyPatch::new().absolute_is_essential("an exam");
    let page = PolicyPatch::new().absolute(hours(2));
    assert!(!starts(Standard::Wcag22, app.clone(), [reason.clone(), page.clone()]));
    assert!(starts(Standard::Wcag22, app, [reason, page.absolute_is_essential("an exam")]));
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

#[get("/handler")]
#[session_policy(idle = "3601s", absolute = "never")]
async fn handler(user: Identity) -> actix_web::Result<String> {
    whoami(user).await
}

#[test]
fn first_request_reports_noncompliant_handler_and_stricter_limit_applies() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.service(handler);
        })
        .customise(declare)
        .start();
    let alice = site.signed_in("alice");
    site.take_events();
    site.advance(hours(1) - seconds(1));
    assert_eq!(alice.user_at("/handler").as_deref(), Some("alice"));
    let never =
        "breach: `absolute` (never) is no limit, but one is required (NIST SP 800-63B-4 2.1.3)";
    let events = site.take_events();
    assert!(
        [TOO_IDLE, never].iter().all(|event| events.contains(&(*event).to_owned())),
        "{events:?}"
    );
    site.advance(hours(1));
    assert_eq!(alice.fetch("/handler").header("x-session-expired"), "idle");
    let repeated = site.take_events().into_iter().filter(|event| event.starts_with("breach"));
    assert_eq!(repeated.count(), 0, "each breach is reported once");
}

#[test]
fn handler_without_absolute_timeout_gets_that_of_the_application() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.service(handler);
        })
        .customise(declare)
        .start();
    let alice = site.signed_in("alice");
    for _ in 0..9 {
        site.advance(minutes(48));
        assert_eq!(alice.user_at("/handler").as_deref(), Some("alice"));
    }
    site.advance(minutes(48));
    assert_eq!(alice.fetch("/handler").header("x-session-expired"), "absolute");
}

#[test]
fn first_request_reports_noncompliant_combination_of_layers() {
    let site = Site::builder()
        .policy(Policy::new().idle(minutes(10)).absolute(Limit::Off))
        .routes(|cfg| {
            let scope = PolicyPatch::new().absolute(hours(2)).absolute_is_essential("an exam");
            let page = PolicyPatch::new().idle(minutes(11));
            let page = web::resource("/page").wrap(page).to(HttpResponse::Ok);
            cfg.service(web::scope("/scope").wrap(scope).service(page));
        })
        .customise(|builder| builder.complies_with([Standard::Wcag22]))
        .start();
    for _ in 0..2 {
        site.browser().get("/scope/page");
    }
    let breaches = site.take_events().into_iter().filter(|event| event.starts_with("breach"));
    let breaches: Vec<_> = breaches.collect();
    let expected = "breach: `absolute` (2h) is shorter than 121m, which is 11 times `idle`";
    assert!(breaches.len() == 1 && breaches[0].starts_with(expected), "{breaches:?}");
}

#[test]
fn exempt_layer_has_the_limits_of_its_patch() {
    let site = Site::builder()
        .routes(|cfg| {
            let patch = PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off);
            let layer = patch.exempt_from_standards("public file");
            cfg.service(web::resource("/file").wrap(layer).to(whoami));
        })
        .customise(declare)
        .start();
    let alice = site.signed_in("alice");
    site.take_events();
    site.advance(hours(48));
    assert_eq!(alice.user_at("/file").as_deref(), Some("alice"));
    assert!(site.take_events().is_empty());
}

async fn vars(session: SessionVars) -> HttpResponse {
    let script = session.redirect_to_login_immediately.to_string();
    HttpResponse::Ok().body(script)
}

fn exempt(cfg: &mut web::ServiceConfig) {
    let layer = || {
        let patch = PolicyPatch::new().idle(hours(30)).absolute(Limit::Off);
        patch.exempt_from_standards("public file")
    };
    cfg.route("/sign-in-for/{idle}", web::post().to(sign_in_for))
        .service(web::resource("/file").wrap(layer()).to(whoami))
        .service(web::resource("/file-vars").wrap(layer()).to(vars));
}

fn exempt_site() -> Site {
    let policy = Policy::new().idle(minutes(15)).absolute(hours(24));
    let active = |_| async { PolicyPatch::new().passive(false) };
    let customise = move |builder| declare(builder).user_policy(active);
    Site::builder().policy(policy).routes(exempt).customise(customise).start()
}

#[test]
fn request_in_exempt_layer_does_not_extend_the_session() {
    let site = exempt_site();
    let alice = site.signed_in("alice");
    let kept = site.browser();
    assert_eq!(kept.post("/sign-in-for/3600", "").status, 200);
    site.advance(hours(23));
    for browser in [&alice, &kept] {
        assert_eq!(browser.user_at("/file").as_deref(), Some("alice"));
        assert_eq!(browser.user_at("/private"), None, "23 hours of inactivity under AAL2");
    }
}

#[test]
fn status_of_an_exempt_page_is_that_of_the_page() {
    let site = exempt_site();
    let alice = site.signed_in("alice");
    let script = alice.get("/file-vars").body;
    let query = script.split("status?").nth(1).unwrap().split('"').next().unwrap();
    let query = query.replace("&amp;", "&");
    site.advance(hours(2));
    site.take_events();
    let status = alice.fetch(&format!("/session/status?{query}")).json();
    assert_eq!(status["state"], "active");
    let body = format!("idle_for=0&{query}");
    assert_eq!(alice.post("/session/keep-alive", &body).status, 200);
    assert!(site.take_events().is_empty(), "neither a breach nor activity");
    assert_eq!(alice.user_at("/file").as_deref(), Some("alice"));
    assert_eq!(alice.user_at("/private"), None, "a keep-alive of the page is not activity");
}

#[test]
fn status_of_a_page_with_a_reason_of_its_own_reports_no_breach() {
    let site = Site::builder()
        .policy(Policy::new().idle(minutes(1)).absolute(hours(21)))
        .routes(|cfg| {
            let layer = PolicyPatch::new().absolute(hours(1)).absolute_is_essential("an exam");
            cfg.service(web::resource("/exam").wrap(layer).to(vars));
        })
        .customise(|builder| builder.complies_with([Standard::Wcag22]))
        .start();
    let alice = site.signed_in("alice");
    let script = alice.get("/exam").body;
    let query = script.split("status?").nth(1).unwrap().split('"').next().unwrap();
    site.take_events();
    let status = alice.fetch(&format!("/session/status?{}", query.replace("&amp;", "&"))).json();
    assert_eq!(status["seconds_until_session_end"], 3_600);
    assert!(site.take_events().is_empty());
}

async fn sign_in_for(
    session: SessionHandle,
    idle: web::Path<u64>,
) -> Result<HttpResponse, SignInError> {
    session.sign_in_with("alice", PolicyPatch::new().idle(seconds(*idle))).await?;
    Ok(HttpResponse::Ok().finish())
}

#[test]
fn noncompliant_login_policy_is_500_and_no_login() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/sign-in-for/{idle}", web::post().to(sign_in_for));
        })
        .customise(declare)
        .start();
    let browser = site.browser();
    let refused = browser.post("/sign-in-for/3601", "");
    assert_eq!((refused.status, refused.header("retry-after")), (500, ""));
    assert_eq!(site.take_events(), [TOO_IDLE]);
    assert_eq!(browser.post("/sign-in-for/3601", "").status, 500);
    assert_eq!(site.take_events(), [TOO_IDLE], "each refused login is reported");
    assert_eq!(browser.user_at("/private"), None);
    assert_eq!(browser.post("/sign-in-for/3600", "").status, 200);
    assert_eq!(browser.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn noncompliant_user_policy_is_500_and_no_login() {
    let site = Site::builder()
        .customise(|builder| {
            declare(builder).user_policy(|user| async move {
                match user.as_str() {
                    "root" => PolicyPatch::new().absolute(Limit::Off),
                    _ => PolicyPatch::new().absolute(hours(24)),
                }
            })
        })
        .start();
    assert_eq!(site.browser().post("/login", "user=root").status, 500);
    let events = site.take_events();
    assert!(!events.is_empty() && events.iter().all(|event| event.starts_with("breach")));
    assert_eq!(site.registry.record_count(), 0);
    assert_eq!(site.signed_in("alice").user_at("/private").as_deref(), Some("alice"));
}

/// Login policy and user policy each meet WCAG 2.2.1. Together they do not.
#[test]
fn login_and_user_policy_are_checked_together() {
    let app = Policy::new().idle(minutes(10)).absolute(Limit::Off);
    let user = || PolicyPatch::new().absolute(hours(21));
    for patch in [PolicyPatch::new().idle(hours(2)), user()] {
        assert!(breaches([Standard::Wcag22], &patch.over(&app)).is_empty());
    }
    let site = Site::builder()
        .policy(app)
        .routes(|cfg| {
            cfg.route("/sign-in-for/{idle}", web::post().to(sign_in_for))
                .route("/refresh", web::post().to(refresh));
        })
        .customise(move |builder| {
            let is_first = std::sync::atomic::AtomicBool::new(true);
            builder.complies_with([Standard::Wcag22]).user_policy(move |_| {
                let is_first = is_first.swap(false, std::sync::atomic::Ordering::Relaxed);
                let patch = if is_first { PolicyPatch::new() } else { user() };
                async move { patch }
            })
        })
        .start();
    let alice = site.browser();
    assert_eq!(alice.post("/sign-in-for/7200", "").status, 200);
    site.take_events();
    let expected = "breach: `absolute` (21h) is shorter than 22h";
    let is_expected = |events: Vec<String>| events.len() == 1 && events[0].starts_with(expected);
    assert_eq!(alice.post("/refresh", "").status, 500, "with the login policy of the session");
    assert!(is_expected(site.take_events()));
    assert_eq!(site.browser().post("/sign-in-for/7200", "").status, 500);
    assert!(is_expected(site.take_events()));
    assert_eq!(site.browser().post("/sign-in-for/1200", "").status, 200);
}

async fn refresh(session: SessionHandle) -> Result<HttpResponse, RegistryError> {
    session.refresh_policy().await?;
    Ok(HttpResponse::Ok().finish())
}

/// Returns a user policy of 25 hours from the second evaluation on.
fn changing_policy(builder: SessionExpireBuilder) -> SessionExpireBuilder {
    use std::sync::atomic::{AtomicBool, Ordering};
    let is_changed = AtomicBool::new(false);
    builder.user_policy(move |_| {
        let limit = if is_changed.swap(true, Ordering::Relaxed) { hours(25) } else { hours(1) };
        async move { PolicyPatch::new().absolute(limit) }
    })
}

#[test]
fn noncompliant_policy_is_not_refreshed() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/refresh", web::post().to(refresh));
        })
        .customise(|builder| changing_policy(declare(builder)))
        .start();
    let alice = site.signed_in("alice");
    site.take_events();
    assert_eq!(alice.post("/refresh", "").status, 500);
    let expected = "breach: `absolute` (25h) is longer than 24h (NIST SP 800-63B-4 2.2.3, should)";
    assert_eq!(site.take_events(), [expected]);
    site.advance(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "the old policy applies");
}

#[test]
fn session_from_before_the_declaration_gets_the_stricter_limit() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        cfg.route("/sign-in-for/{idle}", web::post().to(sign_in_for));
    };
    let before = Site::builder().routes(routes).start();
    let alice = before.browser();
    assert_eq!(alice.post("/sign-in-for/3601", "").status, 200);
    let after = Site::builder().registry(before.registry.clone()).customise(declare).start();
    let alice = alice.moved_to(&after);
    after.advance(hours(1) - seconds(1));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert!(after.take_events().contains(&TOO_IDLE.to_owned()));
    after.advance(hours(1));
    assert_eq!(alice.user_at("/private"), None);
}

const LOCKS: &str = "breach: `at_end` (lock) keeps the content of the page in the browser when the \
                     session has ended (ASVS 5.0 14.3.1)";

fn lock() -> PolicyPatch {
    PolicyPatch::new().at_end(AtEnd::Lock)
}

#[test]
fn application_with_a_layer_that_locks_does_not_start() {
    for (scope, page, expected) in [
        (lock(), PolicyPatch::new(), false),
        (PolicyPatch::new(), lock(), false),
        (PolicyPatch::new(), lock().at_end(AtEnd::Leave).lock_for(hours(2)), true),
    ] {
        let shown = format!("{scope:?} {page:?}");
        let app = Policy::new();
        assert_eq!(starts(Standard::AsvsL1, app, [scope, page]), expected, "{shown}");
    }
    let declared = || SessionExpire::builder(Policy::new()).complies_with([Standard::AsvsL3]);
    let layers = || [PolicyPatch::new(), lock()];
    assert!(!starts_with(declared(), layers(), 1));
    assert!(starts_with(declared().deviates_from("ASVS 5.0 14.3.1", "long forms"), layers(), 1));
}

#[get("/locks")]
#[session_policy(at_end = "lock")]
async fn locks(session: SessionVars) -> String {
    session.warning_dialog.to_string()
}

async fn sign_in_locking(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    session.sign_in_with("alice", lock()).await?;
    Ok(HttpResponse::Ok().finish())
}

fn locking(cfg: &mut web::ServiceConfig) {
    cfg.service(locks).route("/sign-in-locking", web::post().to(sign_in_locking)).route(
        "/dialog",
        web::get().to(|session: SessionVars| async move { session.warning_dialog.to_string() }),
    );
}

#[test]
fn handler_that_locks_is_reported_and_leaves() {
    let site = Site::builder().routes(locking).customise(declare).start();
    let alice = site.signed_in("alice");
    site.take_events();
    assert!(!alice.get("/locks").body.contains("lock"), "neither attributes nor texts");
    assert_eq!(site.take_events(), [LOCKS]);
    let before = Site::builder().routes(locking).start();
    assert!(before.signed_in("alice").get("/locks").body.contains("data-lock=\"3600\""));
}

#[test]
fn login_policy_that_locks_is_500_and_older_sessions_leave() {
    let before = Site::builder().routes(locking).start();
    let alice = before.browser();
    assert_eq!(alice.post("/sign-in-locking", "").status, 200);
    assert!(alice.get("/dialog").body.contains("data-lock=\"3600\""));
    let after = Site::builder().registry(before.registry.clone());
    let after = after.routes(locking).customise(declare).start();
    assert!(!alice.moved_to(&after).get("/dialog").body.contains("lock"));
    assert_eq!(after.take_events(), [LOCKS]);
    let refused = after.browser();
    assert_eq!(refused.post("/sign-in-locking", "").status, 500);
    assert_eq!(refused.user_at("/private"), None);
}

#[test]
fn user_policy_that_locks_is_500_and_no_login() {
    let customise = |builder| {
        declare(builder).user_policy(|_| async { PolicyPatch::new().at_end(AtEnd::Lock) })
    };
    let site = Site::builder().customise(customise).start();
    assert_eq!(site.browser().post("/login", "user=alice").status, 500);
    assert!(site.take_events().contains(&LOCKS.to_owned()));
    assert_eq!(site.registry.record_count(), 0);
}
