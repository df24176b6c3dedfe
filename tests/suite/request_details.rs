//! What is read of requests: who asks, from where, and how long a request may take.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse},
    error::{ErrorBadGateway, ErrorBadRequest},
    middleware::{Next, from_fn},
    web,
};
use session_expire::{Policy, PolicyPatch, hours, minutes, seconds};
use session_expire_tests::{Browser, Site};

async fn save(_user: Identity, session: Session, body: String) -> HttpResponse {
    session.insert("saved", body).unwrap();
    HttpResponse::Ok().body("saved")
}

async fn saved(session: Session) -> String {
    session.get::<String>("saved").unwrap().unwrap_or_default()
}

/// Reads an entry, changes it, and only then signs another user in.
async fn merge_cart(req: HttpRequest, session: Session, item: String) -> HttpResponse {
    let mut cart: Vec<String> = session.get("cart").unwrap().unwrap_or_default();
    cart.push(item);
    session.insert("cart", cart).unwrap();
    Identity::login(&req.extensions(), "bob".to_owned()).unwrap();
    HttpResponse::Ok().finish()
}

async fn add_to_cart(session: Session, item: String) -> HttpResponse {
    session.insert("cart", vec![item]).unwrap();
    HttpResponse::Ok().finish()
}

async fn cart(session: Session) -> String {
    session.get::<Vec<String>>("cart").unwrap().unwrap_or_default().join(",")
}

/// Counts in the session what passes the scope.
async fn count(
    session: Session,
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    let passed = session.get::<u32>("passed").unwrap().unwrap_or(0) + 1;
    session.insert("passed", passed).unwrap();
    next.call(req).await
}

async fn passed(session: Session) -> String {
    session.get::<u32>("passed").unwrap().unwrap_or(0).to_string()
}

fn routes(cfg: &mut web::ServiceConfig) {
    let (strict, lax) =
        (|| PolicyPatch::new().idle(minutes(1)), || PolicyPatch::new().idle(hours(1)));
    let counted = |path: &str, outer: PolicyPatch, inner: PolicyPatch| {
        web::scope(path)
            .service(web::resource("/page").wrap(inner).to(passed))
            .wrap(from_fn(count))
            .wrap(outer)
    };
    let renew = |session: Session| async move {
        session.renew();
        "renewed"
    };
    cfg.route("/save", web::post().to(save))
        .route("/renew", web::post().to(renew))
        .route("/saved", web::get().to(saved))
        .route("/merge-cart", web::post().to(merge_cart))
        .route("/add-to-cart", web::post().to(add_to_cart))
        .route("/cart", web::get().to(cart))
        .route("/passed", web::get().to(passed))
        .service(counted("/strict-then-lax", strict(), lax()))
        .service(counted("/lax-then-strict", lax(), strict()));
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

/// A request whose body comes when the test says so.
struct SlowPost(TcpStream);

impl SlowPost {
    fn start(browser: &Browser, path: &str, length: usize) -> Self {
        let host = browser.base().trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {}\r\ncontent-length: {length}\r\n\
             sec-fetch-mode: navigate\r\nsec-fetch-site: same-origin\r\nreferer: http://{host}/form\r\n\
             connection: close\r\n\r\n",
            browser.cookie()
        )
        .unwrap();
        Self(stream)
    }

    fn finish(mut self, body: &str) -> String {
        self.0.write_all(body.as_bytes()).unwrap();
        let mut response = String::new();
        self.0.read_to_string(&mut response).unwrap();
        response
    }
}

/// Waits until the head of a request has been read.
fn wait_for_load(site: &Site) {
    while !site.registry.asked().contains(&"load") {
        std::thread::yield_now();
    }
}

#[test]
fn form_whose_session_ends_on_its_way_saves_nothing() {
    let site = site();
    for end in ["sign-out", "expiry"] {
        let alice = site.signed_in("alice");
        site.registry.asked();
        let post = SlowPost::start(&alice, "/save", 6);
        wait_for_load(&site);
        match end {
            "sign-out" => drop(alice.stolen().post("/logout", "")),
            _ => site.pass(hours(9)),
        }
        site.pass(seconds(6));
        let response = post.finish("secret");
        assert!(response.starts_with("HTTP/1.1 303"), "{end}: {response}");
        assert!(response.contains("location: /login?next=/form"), "{end}: {response}");
        assert_eq!(site.signed_in("alice").get("/saved").body, "", "{end}");
    }
}

#[test]
fn slow_form_of_an_active_session_is_saved() {
    let site = site();
    let alice = site.signed_in("alice");
    site.registry.asked();
    let post = SlowPost::start(&alice, "/save", 6);
    wait_for_load(&site);
    site.pass(minutes(9));
    assert!(post.finish("secret").starts_with("HTTP/1.1 200"));
    assert_eq!(alice.get("/saved").body, "secret");
}

#[test]
fn slow_form_follows_a_session_whose_key_is_renewed() {
    let site = site();
    for (end, status) in [("", "200"), ("/sign-out", "303")] {
        let alice = site.signed_in("alice");
        site.registry.asked();
        let post = SlowPost::start(&alice, "/save", 6);
        wait_for_load(&site);
        alice.post("/renew", "");
        if !end.is_empty() {
            alice.post(end, "");
        }
        site.pass(seconds(6));
        let response = post.finish("secret");
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{end}: {response}");
    }
}

/// A page that tells when the head of a request has passed the middleware.
fn announced(
    cfg: &mut web::ServiceConfig,
    path: &str,
    policy: PolicyPatch,
    arrived: &'static AtomicUsize,
) {
    let page = web::resource(path).route(web::post().to(save)).wrap_fn(|req, service| {
        arrived.fetch_add(1, Ordering::SeqCst);
        service.call(req)
    });
    cfg.service(page.wrap(policy));
}

fn wait_for_head(arrived: &AtomicUsize) {
    while arrived.swap(0, Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn slow_body_of_an_ended_session_fails_on_laxer_pages() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    let lax = |cfg: &mut web::ServiceConfig| {
        announced(cfg, "/save", PolicyPatch::new().idle(hours(1)), &ARRIVED);
        cfg.route("/saved", web::get().to(saved));
    };
    for minutes_before in [0, 15] {
        let site = Site::builder().routes(lax).start();
        let alice = site.signed_in("alice");
        site.pass(minutes(minutes_before)); // 15: expired for the application only
        let post = SlowPost::start(&alice, "/save", 6);
        wait_for_head(&ARRIVED);
        alice.stolen().post("/sign-out", "");
        site.pass(seconds(6));
        let response = post.finish("secret");
        assert!(response.starts_with("HTTP/1.1 303"), "{minutes_before}: {response}");
        assert_eq!(site.signed_in("alice").get("/saved").body, "", "{minutes_before}");
    }
}

#[test]
fn slow_body_during_an_outage_is_503() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    let routes = |cfg: &mut web::ServiceConfig| {
        announced(cfg, "/save", PolicyPatch::new(), &ARRIVED);
        cfg.route("/saved", web::get().to(saved));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    let post = SlowPost::start(&alice, "/save", 6);
    wait_for_head(&ARRIVED);
    site.pass(seconds(20));
    site.registry.set_down(true);
    let response = post.finish("secret");
    assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    site.registry.set_down(false);
    assert_eq!(alice.get("/saved").body, "", "and the session goes on");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn slow_body_that_a_middleware_cannot_read_is_challenged() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    async fn check_signature(
        mut req: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
        ARRIVED.fetch_add(1, Ordering::SeqCst);
        let read = req.extract::<web::Bytes>().await;
        let body = read.map_err(|_| ErrorBadRequest("unreadable"))?;
        req.set_payload(body.into());
        next.call(req).await
    }
    let routes = |cfg: &mut web::ServiceConfig| {
        let page = web::resource("/signed").route(web::post().to(save));
        cfg.service(page.wrap(from_fn(check_signature)));
    };
    let site = Site::builder().routes(routes).start();
    for ends in [false, true] {
        let alice = site.signed_in("alice");
        let post = SlowPost::start(&alice, "/signed", 6);
        wait_for_head(&ARRIVED);
        if ends {
            alice.stolen().post("/sign-out", "");
        }
        site.pass(seconds(6));
        let response = post.finish("secret");
        let status = if ends { "303" } else { "200" };
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{ends}: {response}");
        assert_eq!(response.contains("location: /login?next=/form"), ends, "{response}");
    }
}

#[test]
fn public_form_sent_slowly_in_an_outage_is_served() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    let routes = |cfg: &mut web::ServiceConfig| {
        let echo = |body: String| async move { body };
        let page = web::resource("/contact").route(web::post().to(echo));
        cfg.service(page.wrap_fn(|req, service| {
            ARRIVED.fetch_add(1, Ordering::SeqCst);
            service.call(req)
        }));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    site.pass(minutes(15));
    let post = SlowPost::start(&alice, "/contact", 6);
    wait_for_head(&ARRIVED);
    site.pass(seconds(6));
    site.registry.set_down(true);
    site.registry.asked();
    let response = post.finish("secret");
    assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("secret"), "{response}");
    assert_eq!(site.registry.asked(), ["load"], "the outage was noticed");
    site.registry.set_down(false);
    assert_eq!(alice.fetch("/private").header("x-session-expired"), "idle", "as before");
}

#[test]
fn login_before_a_slow_body_in_an_outage_gets_no_other_entry() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    async fn switch(req: HttpRequest, body: web::Payload) -> HttpResponse {
        Identity::login(&req.extensions(), "bob".to_owned()).unwrap();
        ARRIVED.fetch_add(1, Ordering::SeqCst);
        HttpResponse::Ok().body(body.to_bytes().await.unwrap())
    }
    let routes = |cfg: &mut web::ServiceConfig| {
        let entries = |session: Session| async move { format!("{:?}", session.entries()) };
        cfg.route("/switch", web::post().to(switch)).route("/entries", web::get().to(entries));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    let post = SlowPost::start(&alice, "/switch", 6);
    wait_for_head(&ARRIVED);
    site.pass(seconds(6));
    site.registry.fail_next("load");
    let response = post.finish("secret");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let cookie = response.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let bob = site.browser().request("GET", "/entries").header("cookie", cookie).send();
    assert_eq!(bob.body, r#"{"actix_identity.user_id": "\"bob\""}"#);
}

#[test]
fn long_request_that_a_middleware_fails_is_activity() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    let routes = |cfg: &mut web::ServiceConfig| {
        let page = web::resource("/fails").route(web::post().to(save)).wrap_fn(|req, service| {
            ARRIVED.fetch_add(1, Ordering::SeqCst);
            let inside = service.call(req);
            async move {
                inside.await?;
                Err::<ServiceResponse<BoxBody>, _>(ErrorBadGateway("no"))
            }
        });
        cfg.service(page);
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    let post = SlowPost::start(&alice, "/fails", 6);
    wait_for_head(&ARRIVED);
    site.pass(minutes(8));
    assert!(post.finish("secret").starts_with("HTTP/1.1 502"));
    site.pass(minutes(8)); // counted from the end of the request
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn request_longer_than_the_idle_timeout_does_not_sign_out() {
    let site = site();
    let alice = site.signed_in("alice");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| alice.get("/slow"));
        site.wait_for_slow(1);
        site.pass(minutes(11));
        site.release_slow();
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn login_of_another_user_gets_nothing_derived_from_the_first() {
    let site = site();
    let browser = site.signed_in("alice");
    browser.request("POST", "/add-to-cart").json("gold").send();
    browser.request("POST", "/merge-cart").json("silver").send();
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
    assert_eq!(browser.get("/cart").body, "");
}

#[test]
fn write_between_two_layers_is_kept_when_the_session_is_restored() {
    let site = site();
    let alice = site.signed_in("alice");
    site.pass(minutes(5));
    assert_eq!(alice.get("/strict-then-lax/page").body, "1");
    assert_eq!(alice.get("/passed").body, "1");
}

#[test]
fn write_before_a_stricter_layer_is_kept_when_the_session_goes_on() {
    let site = site();
    let alice = site.signed_in("alice");
    site.pass(minutes(5));
    assert_eq!(alice.fetch("/lax-then-strict/page").body, "0", "hidden there");
    assert_eq!(alice.get("/passed").body, "1");
}

#[test]
fn replay_of_an_ended_session_is_an_event_whatever_it_asks_for() {
    let site = site();
    let alice = site.signed_in("alice");
    let thief = alice.stolen();
    alice.post("/logout", "");
    let image = |request: session_expire_tests::Request<'_>| {
        let request = request.header("sec-fetch-mode", "no-cors");
        request.header("sec-fetch-dest", "image").send();
    };
    site.events();
    image(thief.request("GET", "/public"));
    assert_eq!(site.events(), ["refused: logged_out"]);
    thief.fetch("/session/status");
    assert_eq!(site.events(), ["refused: logged_out"]);
    thief.request("HEAD", "/public").send();
    assert_eq!(site.events(), ["refused: logged_out"]);
}

#[test]
fn browsers_are_recognised_by_any_spelling_and_web_views_are_browsers() {
    let site = site();
    let stranger = site.browser();
    let bare =
        || stranger.request("GET", "/private").without("sec-fetch-mode").without("sec-fetch-site");
    let html = || bare().header("accept", "TEXT/HTML,*/*");
    assert_eq!(html().send().status, 303);
    assert_eq!(html().header("x-requested-with", "com.example.app").send().status, 303);
    assert_eq!(html().header("x-requested-with", "XMLHttpRequest").send().status, 401);
}

#[test]
fn location_of_a_challenge_stays_short() {
    let site = site();
    let path = format!("/private?q={}", "%F0".repeat(600));
    let response = site.browser().get(&path);
    assert_eq!(response.status, 303);
    assert!(response.header("location").len() <= 2_048);
}

#[test]
fn every_401_of_ours_names_a_scheme() {
    let site = site();
    let alice = site.signed_in("alice");
    let stranger = site.browser().fetch("/private");
    assert_eq!(stranger.header("www-authenticate"), "Session realm=\"application\"");
    site.pass(minutes(10));
    for response in
        [alice.fetch("/private"), alice.request("POST", "/session/keep-alive").script().send()]
    {
        assert_eq!(response.status, 401);
        assert!(response.header("www-authenticate").starts_with("Session"), "{response:?}");
    }
}

#[test]
fn empty_message_says_nothing() {
    let site = Site::builder().policy(Policy::new().idle(minutes(10)).message("")).start();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    assert_eq!(alice.get("/login").body, "");
}
