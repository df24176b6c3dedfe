//! Flash messages. A page shows each of them once, in order.

use actix_identity::Identity;
use actix_web::{
    FromRequest, HttpResponse,
    body::BoxBody,
    dev::{Service, ServiceRequest, ServiceResponse},
    error::{ErrorBadGateway, ErrorUnauthorized},
    web,
};
use session_expire::{
    FlashMessages, PolicyPatch, hours, minutes,
    page::{FlashLevel, FlashMessage},
};
use session_expire_tests::Site;

#[test]
fn messages_keep_their_order_through_redirects() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for text in ["first", "second", "third"] {
        alice.request("POST", "/push").form(text).send();
    }
    alice.get("/private");
    alice.get("/public");
    assert_eq!(alice.read_messages(), "[success] first|[success] second|[success] third");
    assert_eq!(alice.read_messages(), "");
}

#[test]
fn visitor_has_messages() {
    let site = Site::start();
    let browser = site.browser();
    browser.request("POST", "/push").form("hello").send();
    assert_eq!(browser.read_messages(), "[success] hello");
    assert_eq!(browser.read_messages(), "");
}

#[test]
fn message_pushed_after_showing_waits_for_next_page() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let page = |messages: FlashMessages| async move {
            messages.push(FlashMessage::new(FlashLevel::Debug, "before").with_tags("a b"));
            let shown = messages.show();
            messages.error("after");
            HttpResponse::Ok().body(shown.iter().map(FlashMessage::tags).collect::<String>())
        };
        cfg.route("/mixed", web::get().to(page));
    };
    let site = Site::builder().routes(routes).start();
    let browser = site.browser();
    assert_eq!(browser.get("/mixed").body, "debug a b");
    assert_eq!(browser.read_messages(), "[error] after");
}

/// Pages that read the messages, inside middlewares that fail.
fn failing_routes(cfg: &mut web::ServiceConfig) {
    let page = |path| web::resource(path).route(web::get().to(show));
    let failing = page("/failing").wrap_fn(|req, service| {
        let inner = service.call(req);
        async move {
            inner.await?;
            Err::<ServiceResponse<BoxBody>, _>(ErrorBadGateway("no"))
        }
    });
    let unauthorized = page("/unauthorized").wrap_fn(|req, service| {
        let inner = service.call(req);
        async move {
            inner.await?;
            Err::<ServiceResponse<BoxBody>, _>(ErrorUnauthorized(""))
        }
    });
    cfg.service(failing).service(unauthorized);
}

#[test]
fn messages_of_a_failed_request_stay_unread() {
    let site = Site::builder().routes(failing_routes).start();
    for browser in [site.browser(), site.signed_in("alice")] {
        browser.post("/push", "saved");
        assert_eq!(browser.get("/failing").status, 502);
        assert_eq!(browser.read_messages(), "[success] saved");
        assert_eq!(browser.read_messages(), "");
    }
}

#[test]
fn messages_of_a_challenged_request_stay_unread() {
    let site = Site::builder().routes(failing_routes).start();
    let expired = site.signed_in("alice");
    site.advance(minutes(10));
    for browser in [site.browser(), expired] {
        browser.fetch("/visits");
        browser.request("POST", "/push").script().form("saved").send();
        assert_eq!(browser.get("/unauthorized").status, 303);
        assert!(browser.read_messages().starts_with("[success] saved"));
        assert_eq!(browser.read_messages(), "");
    }
}

#[test]
fn sign_out_drops_older_messages_and_keeps_its_own() {
    for order in ["message first", "logout first"] {
        let site = Site::builder()
            .routes(|cfg| {
                cfg.route("/bye", web::post().to(bye));
            })
            .start();
        let browser = site.signed_in("alice");
        browser.post("/push", "You sent 9,000 to Carol");
        browser.post("/bye", order);
        assert_eq!(browser.read_messages(), "[info] Bye.", "{order}");
    }
}

async fn bye(user: Identity, messages: FlashMessages, order: String) -> HttpResponse {
    let push = || messages.info("Bye.");
    if order == "message first" {
        push();
    }
    user.logout();
    if order == "logout first" {
        push();
    }
    HttpResponse::Ok().finish()
}

/// A middleware outside the policy layers pushes a message.
#[test]
fn suspended_messages_return_with_the_session() {
    for (path, after, shown) in
        [("/outer/strict", minutes(5), false), ("/outer/lax", minutes(15), true)]
    {
        let site = Site::builder().routes(outer).start();
        let browser = site.signed_in("alice");
        browser.post("/push", "You sent 9,000 to Carol");
        site.advance(after);
        let body = browser.get(path).body;
        assert!(body.contains("hello") && body.contains("Carol") == shown, "{path}: {body}");
    }
}

fn outer(cfg: &mut web::ServiceConfig) {
    let page = |path, idle| {
        web::resource(path).wrap(PolicyPatch::new().idle(idle)).route(web::get().to(show))
    };
    let push = |req: ServiceRequest, service: &_| {
        let messages = FlashMessages::extract(req.request()).into_inner();
        messages.unwrap().info("hello");
        Service::call(service, req)
    };
    let scope = web::scope("/outer").wrap_fn(push);
    cfg.service(scope.service(page("/strict", minutes(1))).service(page("/lax", hours(1))));
}

async fn show(messages: FlashMessages) -> String {
    messages.into_iter().map(|message| message.to_string()).collect::<Vec<_>>().join("|")
}
