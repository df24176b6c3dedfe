//! Bodies that arrive long after the head of their request. The session is checked again.

use std::{
    io::{Read, Write},
    net::TcpStream,
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
use session_expire::{PolicyPatch, hours, minutes, seconds};
use session_expire_tests::{Barrier, Browser, Site};

async fn save(_user: Identity, session: Session, body: String) -> HttpResponse {
    session.insert("saved", body).unwrap();
    HttpResponse::Ok().body("saved")
}

async fn saved(session: Session) -> String {
    session.get::<String>("saved").unwrap().unwrap_or_default()
}

/// Counts the request, whose head has been read by now.
fn arrive(req: &ServiceRequest) {
    req.app_data::<web::Data<Barrier>>().unwrap().arrive();
}

/// Adds a form at `/save` with a policy of its own.
fn add_form(cfg: &mut web::ServiceConfig, policy: PolicyPatch) {
    let form = web::resource("/save").route(web::post().to(save)).wrap_fn(|req, service| {
        arrive(&req);
        service.call(req)
    });
    cfg.service(form.wrap(policy)).route("/saved", web::get().to(saved));
}

fn routes(cfg: &mut web::ServiceConfig) {
    let renew = |session: Session| async move {
        session.renew();
        "renewed"
    };
    add_form(cfg, PolicyPatch::new());
    cfg.route("/renew", web::post().to(renew));
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

/// A POST request with the head sent.
struct SlowPost(TcpStream);

impl SlowPost {
    fn send_head(browser: &Browser, path: &str) -> Self {
        let host = browser.base().trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {}\r\ncontent-length: 6\r\n\
             sec-fetch-mode: navigate\r\nsec-fetch-site: same-origin\r\nreferer: http://{host}/form\r\n\
             connection: close\r\n\r\n",
            browser.cookie()
        )
        .unwrap();
        Self(stream)
    }

    fn send_body(mut self) -> String {
        self.0.write_all(b"secret").unwrap();
        let mut response = String::new();
        self.0.read_to_string(&mut response).unwrap();
        response
    }
}

#[test]
fn slow_form_of_an_ended_session_is_challenged() {
    let site = site();
    for (n, end) in ["sign-out", "expiry"].into_iter().enumerate() {
        let alice = site.signed_in("alice");
        let post = SlowPost::send_head(&alice, "/save");
        site.wait_for_arrivals(n + 1);
        match end {
            "sign-out" => drop(alice.copy().post("/logout", "")),
            _ => site.advance(hours(9)),
        }
        site.advance(seconds(6));
        let response = post.send_body();
        assert!(response.starts_with("HTTP/1.1 303"), "{end}: {response}");
        assert!(response.contains("location: /login?next=/form"), "{end}: {response}");
        assert_eq!(site.signed_in("alice").get("/saved").body, "", "{end}");
    }
}

#[test]
fn slow_form_of_an_active_session_is_saved() {
    let site = site();
    let alice = site.signed_in("alice");
    let post = SlowPost::send_head(&alice, "/save");
    site.wait_for_arrivals(1);
    site.advance(minutes(9));
    assert!(post.send_body().starts_with("HTTP/1.1 200"));
    assert_eq!(alice.get("/saved").body, "secret");
}

#[test]
fn slow_form_follows_a_session_whose_key_is_renewed() {
    let site = site();
    for (n, (ends, status)) in [(false, "200"), (true, "303")].into_iter().enumerate() {
        let alice = site.signed_in("alice");
        let post = SlowPost::send_head(&alice, "/save");
        site.wait_for_arrivals(n + 1);
        alice.post("/renew", "");
        if ends {
            alice.post("/sign-out", "");
        }
        site.advance(seconds(6));
        let response = post.send_body();
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{ends}: {response}");
    }
}

#[test]
fn slow_body_of_an_ended_session_fails_on_laxer_pages() {
    for minutes_before in [0, 15] {
        let laxer = Site::builder().routes(|cfg| add_form(cfg, PolicyPatch::new().idle(hours(1))));
        let site = laxer.start();
        let alice = site.signed_in("alice");
        site.advance(minutes(minutes_before)); // after 15, it is expired for the application
        let post = SlowPost::send_head(&alice, "/save");
        site.wait_for_arrivals(1);
        alice.copy().post("/sign-out", "");
        site.advance(seconds(6));
        let response = post.send_body();
        assert!(response.starts_with("HTTP/1.1 303"), "{minutes_before}: {response}");
        assert_eq!(site.signed_in("alice").get("/saved").body, "", "{minutes_before}");
    }
}

#[test]
fn slow_body_during_an_outage_is_503() {
    let site = site();
    let alice = site.signed_in("alice");
    let post = SlowPost::send_head(&alice, "/save");
    site.wait_for_arrivals(1);
    site.advance(seconds(20));
    site.registry.set_down(true);
    let response = post.send_body();
    assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    site.registry.set_down(false);
    assert_eq!(alice.get("/saved").body, "");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn slow_body_read_by_a_middleware_is_challenged() {
    async fn check_signature(
        mut req: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
        arrive(&req);
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
    for (n, ends) in [false, true].into_iter().enumerate() {
        let alice = site.signed_in("alice");
        let post = SlowPost::send_head(&alice, "/signed");
        site.wait_for_arrivals(n + 1);
        if ends {
            alice.copy().post("/sign-out", "");
        }
        site.advance(seconds(6));
        let response = post.send_body();
        let status = if ends { "303" } else { "200" };
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{ends}: {response}");
        assert_eq!(response.contains("location: /login?next=/form"), ends, "{response}");
    }
}

#[test]
fn slow_public_form_is_served_in_an_outage() {
    let routes = |cfg: &mut web::ServiceConfig| {
        let echo = |body: String| async move { body };
        let page = web::resource("/contact").route(web::post().to(echo));
        cfg.service(page.wrap_fn(|req, service| {
            arrive(&req);
            service.call(req)
        }));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    site.advance(minutes(15));
    let post = SlowPost::send_head(&alice, "/contact");
    site.wait_for_arrivals(1);
    site.advance(seconds(6));
    site.registry.set_down(true);
    site.registry.take_operations();
    let response = post.send_body();
    assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("secret"), "{response}");
    assert_eq!(site.registry.take_operations(), ["load"], "the session is checked again");
    site.registry.set_down(false);
    assert_eq!(alice.fetch("/private").header("x-session-expired"), "idle");
}

#[test]
fn login_before_a_slow_body_gets_no_old_entry() {
    async fn switch(req: HttpRequest, body: web::Payload) -> HttpResponse {
        Identity::login(&req.extensions(), "bob".to_owned()).unwrap();
        req.app_data::<web::Data<Barrier>>().unwrap().arrive();
        HttpResponse::Ok().body(body.to_bytes().await.unwrap())
    }
    let routes = |cfg: &mut web::ServiceConfig| {
        let entries = |session: Session| async move { format!("{:?}", session.entries()) };
        cfg.route("/switch", web::post().to(switch)).route("/entries", web::get().to(entries));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    let post = SlowPost::send_head(&alice, "/switch");
    site.wait_for_arrivals(1);
    site.advance(seconds(6));
    site.registry.fail_next("load");
    let response = post.send_body();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let cookie = response.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let bob = site.browser().request("GET", "/entries").header("cookie", cookie).send();
    assert_eq!(bob.body, r#"{"actix_identity.user_id": "\"bob\""}"#);
}

#[test]
fn slow_body_of_a_failed_request_is_activity() {
    let routes = |cfg: &mut web::ServiceConfig| {
        let page = web::resource("/failing").route(web::post().to(save)).wrap_fn(|req, service| {
            arrive(&req);
            let inner = service.call(req);
            async move {
                inner.await?;
                Err::<ServiceResponse<BoxBody>, _>(ErrorBadGateway("no"))
            }
        });
        cfg.service(page);
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    let post = SlowPost::send_head(&alice, "/failing");
    site.wait_for_arrivals(1);
    site.advance(minutes(8));
    assert!(post.send_body().starts_with("HTTP/1.1 502"));
    site.advance(minutes(8)); // less than the idle timeout since the end of the request
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}
