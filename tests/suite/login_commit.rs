//! Reservation and commit of logins. A failure between them rolls the login back.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_identity::{Identity, IdentityExt};
use actix_session::{Session, SessionExt};
use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse, HttpServer,
    body::{BoxBody, EitherBody, MessageBody},
    cookie::Key,
    dev::{Service, ServiceRequest, ServiceResponse},
    error::{ErrorBadGateway, ErrorGatewayTimeout, ErrorImATeapot},
    http::header::{HeaderName, HeaderValue},
    middleware::{Next, from_fn},
    web,
};
use session_expire::{Overflow, Policy, SessionExpire, SessionHandle};
use session_expire_tests::{CONNECTION_TIMEOUT, Server, Site, TestRegistry, describe_event, pages};

fn limited(overflow: Overflow) -> Policy {
    Policy::new().max_sessions(1).overflow(overflow)
}

fn routes(cfg: &mut web::ServiceConfig) {
    let failing = web::resource("/failing").wrap_fn(|req, service| {
        let inner = Service::call(service, req);
        async move {
            inner.await?;
            Err::<ServiceResponse<BoxBody>, _>(ErrorBadGateway("no"))
        }
    });
    cfg.service(failing.route(web::post().to(enter)))
        .route("/large", web::post().to(large))
        .route("/panicking", web::post().to(panicking))
        .route("/time-limit", web::post().to(time_limit));
}

async fn enter(handle: SessionHandle, user: String) -> HttpResponse {
    handle
        .sign_in(user)
        .await
        .map_or_else(HttpResponse::from_error, |_| HttpResponse::Ok().finish())
}

/// Signs in, and stores an entry of `size` bytes.
async fn large(req: HttpRequest, session: Session, size: String) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    session.insert("large", "x".repeat(size.parse().unwrap())).unwrap();
    HttpResponse::Ok().finish()
}

async fn panicking(handle: SessionHandle, user: String) -> HttpResponse {
    handle.sign_in(user).await.unwrap();
    panic!("after the login");
}

async fn time_limit(handle: SessionHandle, user: String) -> HttpResponse {
    let limit = Duration::from_millis(20);
    match actix_web::rt::time::timeout(limit, handle.sign_in(user)).await {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(_) => HttpResponse::GatewayTimeout().finish(),
    }
}

#[test]
fn login_that_cannot_be_stored_takes_no_slot() {
    let site = Site::builder().policy(limited(Overflow::Refuse)).routes(routes).start();
    let response = site.browser().post("/large", "70000");
    assert_eq!((response.status, response.cookies().len()), (500, 0));
    site.browser().sign_in_when_free("alice");
    let logins = site.take_events().iter().filter(|event| event.ends_with("signed in")).count();
    assert_eq!(logins, 1);
}

#[test]
fn login_that_cannot_be_stored_evicts_no_session() {
    for (path, body, status) in [
        ("/large", "70000", 500),
        ("/failing", "alice", 502),
        ("/panicking", "alice", 0),
        ("/login", "user=alice", 503),
        ("/sign-in", "user=alice", 503),
    ] {
        let site = Site::builder().policy(limited(Overflow::Evict)).routes(routes).start();
        let alice = site.signed_in("alice");
        if status == 503 {
            site.registry.fail_next("commit");
        }
        let response = site.browser().post(path, body);
        assert_eq!((response.status, response.cookies().len()), (status, 0), "{path}");
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{path}");
        assert_eq!(site.take_events().iter().filter(|event| event.contains("ended")).count(), 0);
    }
}

#[test]
fn login_cookie_is_small_for_any_session() {
    let site = Site::builder().routes(routes).start();
    let long_name = "n".repeat(15_000);
    for (path, body, user) in [
        ("/large", "3500".to_owned(), "alice"),
        ("/large", "60000".to_owned(), "alice"),
        ("/login", format!("user={long_name}"), &*long_name),
    ] {
        let browser = site.browser();
        let response = browser.post(path, &body);
        let [cookie] = response.cookies()[..] else { panic!("{path}: {response:?}") };
        assert!(cookie.split(';').next().unwrap().len() < 100, "{cookie}");
        assert_eq!(browser.user_at("/private").as_deref(), Some(user), "{path}");
    }
}

/// Acts as the header `x-outer` says. The response header `x-outer-user` has the user it sees.
async fn outer<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<EitherBody<B>>> {
    let act = req.headers().get("x-outer").and_then(|act| act.to_str().ok()).map(str::to_owned);
    let act = act.unwrap_or_default();
    if act == "err before" {
        return Err(ErrorImATeapot("no"));
    }
    let limit = Duration::from_millis(if act == "time limit" { 50 } else { 60_000 });
    let Ok(res) = actix_web::rt::time::timeout(limit, next.call(req)).await else {
        return Err(ErrorGatewayTimeout("no"));
    };
    let mut res = res?;
    match act.as_str() {
        "err after" => return Err(ErrorImATeapot("no")),
        "write" => res.request().get_session().insert("late", true).unwrap(),
        "clear" => res.request().get_session().clear(),
        "purge" => res.request().get_session().purge(),
        _ => {}
    }
    let user = res.request().get_identity().ok().and_then(|user| user.id().ok());
    let user = HeaderValue::from_str(&user.unwrap_or_default()).unwrap();
    res.headers_mut().insert(HeaderName::from_static("x-outer-user"), user);
    Ok(res.map_into_left_body())
}

struct OuterSite {
    server: Server,
    registry: TestRegistry,
    events: Arc<Mutex<Vec<String>>>,
}

/// Starts a server with one worker, and a middleware outside of [`SessionExpire`].
fn with_outer_middleware(policy: Policy) -> OuterSite {
    let events = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&events);
    let registry = TestRegistry::default();
    let builder = SessionExpire::builder(policy).plain_http(true).registry(registry.clone());
    let observed = builder.observer(move |event| log.lock().unwrap().push(describe_event(event)));
    let expire = observed.build().unwrap();
    let server = Server::start(move |listener, sender| {
        let app = move || App::new().configure(pages).wrap(expire.clone()).wrap(from_fn(outer));
        actix_web::rt::System::new().block_on(async {
            let server = HttpServer::new(app)
                .workers(1)
                .keep_alive(CONNECTION_TIMEOUT)
                .client_request_timeout(CONNECTION_TIMEOUT);
            let server = server.listen(listener).unwrap().disable_signals().run();
            sender.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    OuterSite { server, registry, events }
}

#[test]
fn error_of_outer_middleware_disables_no_login() {
    let site = with_outer_middleware(Policy::new());
    for act in ["err before", "err after"] {
        for path in ["/public", "/private", "/login"] {
            let browser = site.server.browser();
            let method = if path == "/login" { "POST" } else { "GET" };
            let request = browser.request(method, path).header("x-outer", act).form("user=alice");
            assert_eq!(request.send().status, 418, "{act} {path}");
            for path in ["/login", "/sign-in"] {
                let browser = site.server.browser();
                assert_eq!(browser.post(path, "user=bob").status, 303, "{act} {path}");
                assert_eq!(browser.user_at("/private").as_deref(), Some("bob"), "{act} {path}");
            }
        }
    }
}

#[test]
fn write_of_outer_middleware_keeps_the_login() {
    for act in ["write", "clear", "purge"] {
        let site = with_outer_middleware(Policy::new());
        let browser = site.server.browser();
        let login = browser.request("POST", "/login").header("x-outer", act).form("user=alice");
        let response = login.send();
        assert_eq!((response.status, response.cookies().len()), (303, 1), "{act}: {response:?}");
        assert_eq!(browser.user_at("/private").as_deref(), Some("alice"), "{act}");
        let later = browser.request("GET", "/public").header("x-outer", act).send();
        assert_eq!((later.body.as_str(), later.cookies().len()), ("alice", 0), "{act}");
        assert_eq!(browser.user_at("/private").as_deref(), Some("alice"), "{act}");
        assert_eq!(*site.events.lock().unwrap(), ["alice signed in"], "{act}");
    }
}

#[test]
fn outer_middleware_sees_no_user_of_a_refused_login() {
    let site = with_outer_middleware(limited(Overflow::Refuse));
    let accepted = site.server.browser().post("/login", "user=alice");
    assert_eq!(accepted.header("x-outer-user"), "alice");
    for path in ["/login", "/sign-in"] {
        let refused = site.server.browser().post(path, "user=alice");
        assert_eq!((refused.status, refused.header("x-outer-user")), (409, ""), "{path}");
    }
}

/// Starts a server in a tokio runtime, without an actix `System`.
fn start_in_tokio(registry: &TestRegistry) -> Server {
    let builder = SessionExpire::builder(limited(Overflow::Refuse)).registry(registry.clone());
    let expire = builder.plain_http(true).cookie_key(Key::generate()).build().unwrap();
    Server::start(move |listener, sender| {
        let app = move || App::new().configure(routes).configure(pages).wrap(expire.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert!(actix_web::rt::System::try_current().is_none());
            let server = HttpServer::new(app)
                .workers(2)
                .keep_alive(CONNECTION_TIMEOUT)
                .client_request_timeout(CONNECTION_TIMEOUT);
            let server = server.listen(listener).unwrap().disable_signals().run();
            sender.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    })
}

#[test]
fn failed_login_is_rolled_back_without_actix_system() {
    let registry = TestRegistry::default();
    let server = start_in_tokio(&registry);
    for (path, status) in [("/failing", 502), ("/panicking", 0), ("/time-limit", 504)] {
        let user = path.trim_start_matches('/');
        registry.set_hanging((path == "/time-limit").then_some("reserve"));
        assert_eq!(server.browser().post(path, user).status, status, "{path}");
        registry.set_hanging(None);
        server.browser().sign_in_when_free(user);
    }
}

#[test]
fn login_dropped_during_its_commit_is_rolled_back() {
    for path in ["/login", "/sign-in"] {
        let site = with_outer_middleware(limited(Overflow::Refuse));
        site.registry.set_hanging(Some("commit"));
        let browser = site.server.browser();
        let login =
            browser.request("POST", path).header("x-outer", "time limit").form("user=alice");
        assert_eq!(login.send().status, 504, "{path}");
        site.registry.set_hanging(None);
        site.server.browser().sign_in_when_free("alice");
    }
}
