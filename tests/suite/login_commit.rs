//! A login is reserved, then committed; whatever fails in between takes it back.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
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
use session_expire_tests::{Browser, Probe, Server, Site, name_of_event, pages};

fn limited(overflow: Overflow) -> Policy {
    Policy::new().max_sessions(1).overflow(overflow)
}

fn routes(cfg: &mut web::ServiceConfig) {
    let failing = web::resource("/failing").wrap_fn(|req, service| {
        let inside = Service::call(service, req);
        async move {
            inside.await?;
            Err::<ServiceResponse<BoxBody>, _>(ErrorBadGateway("no"))
        }
    });
    cfg.service(failing.route(web::post().to(enter)))
        .route("/large", web::post().to(large))
        .route("/panicking", web::post().to(panicking))
        .route("/impatient", web::post().to(impatient));
}

async fn enter(handle: SessionHandle, user: String) -> HttpResponse {
    handle
        .sign_in(user)
        .await
        .map_or_else(HttpResponse::from_error, |_| HttpResponse::Ok().finish())
}

/// Signs in and stores `size` bytes.
async fn large(req: HttpRequest, session: Session, size: String) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    session.insert("large", "x".repeat(size.parse().unwrap())).unwrap();
    HttpResponse::Ok().finish()
}

async fn panicking(handle: SessionHandle, user: String) -> HttpResponse {
    handle.sign_in(user).await.unwrap();
    panic!("after the login");
}

async fn impatient(handle: SessionHandle, user: String) -> HttpResponse {
    let patience = Duration::from_millis(20);
    match actix_web::rt::time::timeout(patience, handle.sign_in(user)).await {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(_) => HttpResponse::GatewayTimeout().finish(),
    }
}

/// Waits until `user` can sign in: what a request dropped is cancelled beside it.
fn assert_slot_is_free(browser: &Browser, user: &str) {
    let start = Instant::now();
    while browser.post("/login", &format!("user={user}")).status != 303 {
        assert!(start.elapsed() < Duration::from_secs(20), "the slot of {user} is never free");
        std::thread::yield_now();
    }
    assert_eq!(browser.user_at("/private").as_deref(), Some(user));
}

#[test]
fn login_that_cannot_be_saved_holds_no_slot() {
    for (path, body, status) in [("/large", "70000", 500), ("/failing", "alice", 502)] {
        let site = Site::builder().policy(limited(Overflow::Refuse)).routes(routes).start();
        let answer = site.browser().post(path, body);
        assert_eq!((answer.status, answer.cookies().len()), (status, 0), "{path}");
        assert_slot_is_free(&site.browser(), "alice");
        assert_eq!(site.events(), ["alice signed in"], "{path}");
    }
}

#[test]
fn login_that_cannot_be_saved_evicts_no_session() {
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
        let answer = site.browser().post(path, body);
        assert_eq!((answer.status, answer.cookies().len()), (status, 0), "{path}");
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{path}");
        assert_eq!(site.events().iter().filter(|event| event.contains("ended")).count(), 0);
    }
}

#[test]
fn login_cookie_is_small_whatever_the_session_holds() {
    let site = Site::builder().routes(routes).start();
    let long_name = "n".repeat(15_000);
    for (path, body, user) in [
        ("/large", "3500".to_owned(), "alice"),
        ("/large", "60000".to_owned(), "alice"),
        ("/login", format!("user={long_name}"), &*long_name),
    ] {
        let browser = site.browser();
        let answer = browser.post(path, &body);
        let [cookie] = answer.cookies()[..] else { panic!("{path}: {answer:?}") };
        assert!(cookie.split(';').next().unwrap().len() < 100, "{cookie}");
        assert_eq!(browser.user_at("/private").as_deref(), Some(user), "{path}");
    }
}

/// What an outer middleware does, by a header of the request.
async fn outer<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<EitherBody<B>>> {
    let act = req.headers().get("x-outer").and_then(|act| act.to_str().ok()).map(str::to_owned);
    let act = act.unwrap_or_default();
    if act == "err before" {
        return Err(ErrorImATeapot("outside"));
    }
    let patience = Duration::from_millis(if act == "hasty" { 50 } else { 60_000 });
    let Ok(res) = actix_web::rt::time::timeout(patience, next.call(req)).await else {
        return Err(ErrorGatewayTimeout("too slow"));
    };
    let mut res = res?;
    match act.as_str() {
        "err after" => return Err(ErrorImATeapot("outside")),
        "write" => res.request().get_session().insert("late", "outside").unwrap(),
        "clear" => res.request().get_session().clear(),
        "purge" => res.request().get_session().purge(),
        _ => {}
    }
    let user = res.request().get_identity().ok().and_then(|user| user.id().ok());
    let user = HeaderValue::from_str(&user.unwrap_or_default()).unwrap();
    res.headers_mut().insert(HeaderName::from_static("x-outer-user"), user);
    Ok(res.map_into_left_body())
}

struct Outside {
    server: Server,
    registry: Probe,
    events: Arc<Mutex<Vec<String>>>,
}

/// A server of one worker with a middleware outside of SessionExpire.
fn with_outer_middleware(policy: Policy) -> Outside {
    let events = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&events);
    let registry = Probe::default();
    let builder = SessionExpire::builder(policy).plain_http(true).registry(registry.clone());
    let observed = builder.observer(move |event| log.lock().unwrap().push(name_of_event(event)));
    let expire = observed.build().unwrap();
    let server = Server::start(move |listener, tell| {
        let app = move || App::new().configure(pages).wrap(expire.clone()).wrap(from_fn(outer));
        actix_web::rt::System::new().block_on(async {
            let server = HttpServer::new(app).workers(1).listen(listener).unwrap();
            let server = server.disable_signals().run();
            tell.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    Outside { server, registry, events }
}

#[test]
fn error_of_an_outer_middleware_disables_no_login() {
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
fn outer_middleware_that_writes_late_destroys_no_login() {
    for act in ["write", "clear", "purge"] {
        let site = with_outer_middleware(Policy::new());
        let browser = site.server.browser();
        let login = browser.request("POST", "/login").header("x-outer", act).form("user=alice");
        let answer = login.send();
        assert_eq!((answer.status, answer.cookies().len()), (303, 1), "{act}: {answer:?}");
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

/// A server in a tokio runtime: without an actix `System`.
fn in_tokio(probe: &Probe) -> Server {
    let builder = SessionExpire::builder(limited(Overflow::Refuse)).registry(probe.clone());
    let expire = builder.plain_http(true).cookie_key(Key::generate()).build().unwrap();
    Server::start(move |listener, tell| {
        let app = move || App::new().configure(routes).configure(pages).wrap(expire.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert!(actix_web::rt::System::try_current().is_none());
            let server = HttpServer::new(app).workers(2).listen(listener).unwrap();
            let server = server.disable_signals().run();
            tell.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    })
}

#[test]
fn failed_login_is_rolled_back_without_an_actix_system() {
    let probe = Probe::default();
    let server = in_tokio(&probe);
    for (path, status) in [("/failing", 502), ("/panicking", 0), ("/impatient", 504)] {
        let user = path.trim_start_matches('/');
        probe.leave_unanswered((path == "/impatient").then_some("reserve"));
        assert_eq!(server.browser().post(path, user).status, status, "{path}");
        probe.leave_unanswered(None);
        assert_slot_is_free(&server.browser(), user);
    }
}

#[test]
fn login_dropped_during_its_commit_is_rolled_back() {
    for path in ["/login", "/sign-in"] {
        let site = with_outer_middleware(limited(Overflow::Refuse));
        site.registry.leave_unanswered(Some("commit"));
        let browser = site.server.browser();
        let login = browser.request("POST", path).header("x-outer", "hasty").form("user=alice");
        assert_eq!(login.send().status, 504, "{path}");
        site.registry.leave_unanswered(None);
        assert_slot_is_free(&site.server.browser(), "alice");
    }
}
