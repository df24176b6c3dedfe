//! What is read of requests: who asks, from where, and how long a request may take.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
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
    cfg.route("/save", web::post().to(save))
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
