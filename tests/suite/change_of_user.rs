//! What one request leaves to the next, and one user to whoever comes after them.

use std::thread;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse,
    dev::{self, ServiceRequest},
    web,
};
use session_expire::{FlashMessages, PolicyPatch, SessionHandle, hours, minutes, seconds};
use session_expire_tests::Site;

/// An upload in one tab, work in another.
#[test]
fn slow_request_undoes_no_activity_of_other_tabs() {
    for upload_takes in [9, 11] {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.pass(seconds(30)); // more than the write interval: the upload is activity
        thread::scope(|scope| {
            let upload = scope.spawn(|| alice.stolen().get("/slow"));
            site.wait_for_slow(1);
            for _ in 0..upload_takes {
                site.pass(minutes(1));
                assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
            }
            site.release_slow();
            assert_eq!(upload.join().unwrap().status, 200);
        });
        site.pass(minutes(1));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{upload_takes}");
    }
}

#[test]
fn next_user_finds_no_data_of_the_one_before() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    (0..3).for_each(|_| drop(browser.get("/visits")));
    browser.sign_in("bob"); // alice never signed out
    assert_eq!(browser.get("/visits").body, "1");
}

#[test]
fn what_the_login_itself_writes_stays_also_over_another_users_session() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/enter", web::post().to(enter)).route("/hall", web::get().to(hall));
        })
        .start();
    for how in ["identity", "handle"] {
        let browser = site.signed_in("alice");
        browser.post("/push", "for alice");
        browser.post("/enter", how);
        assert_eq!(browser.get("/hall").body, r#"bob, "bob's", None"#, "{how}");
        assert_eq!(browser.messages(), "[success] welcome, bob", "{how}");
    }
}

/// Writes before and after the login.
async fn enter(
    req: HttpRequest,
    session: Session,
    handle: SessionHandle,
    messages: FlashMessages,
    how: String,
) -> HttpResponse {
    session.insert("hat", "bob's").unwrap();
    match how.as_str() {
        "handle" => drop(handle.sign_in("bob").await.unwrap()),
        _ => drop(Identity::login(&req.extensions(), "bob".to_owned()).unwrap()),
    }
    messages.success("welcome, bob");
    HttpResponse::Ok().finish()
}

async fn hall(user: Identity, session: Session) -> String {
    let text = |key| session.get::<String>(key).unwrap();
    format!("{}, {:?}, {:?}", user.id().unwrap(), text("hat").unwrap_or_default(), text("visits"))
}

#[test]
fn the_same_user_who_signs_in_again_keeps_what_was_theirs() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    (0..3).for_each(|_| drop(browser.get("/visits")));
    browser.post("/push", "for alice");
    browser.sign_in("alice");
    assert_eq!(browser.get("/visits").body, "4");
    assert_eq!(browser.messages(), "[success] for alice");
}

#[test]
fn a_message_for_one_user_is_shown_to_no_other() {
    for expires in [true, false] {
        let site = Site::start();
        let browser = site.signed_in("alice");
        browser.post("/push", "9,000 were sent to Carol");
        if expires {
            site.pass(hours(1));
            let stranger = browser.stolen().messages();
            assert!(!stranger.contains("Carol"), "{stranger}");
        }
        browser.sign_in("bob");
        assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
        assert!(!browser.messages().contains("Carol"), "expired first: {expires}");
    }
}

#[test]
fn login_over_an_expired_session_takes_over_no_messages() {
    for user in ["alice", "bob"] {
        for path in ["/login", "/sign-in"] {
            let site = Site::start();
            let browser = site.signed_in("alice");
            browser.post("/push", "9,000 were sent to Carol");
            site.pass(minutes(10));
            browser.post(path, &format!("user={user}"));
            assert_eq!(browser.user_at("/private").as_deref(), Some(user));
            assert_eq!(browser.messages(), "", "{path} {user}");
        }
    }
}

/// A page polls with htmx or a script; the answer to a poll comes late.
#[test]
fn a_late_answer_to_an_expired_poll_does_not_replace_a_login() {
    for htmx in [true, false] {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.pass(hours(1));
        thread::scope(|scope| {
            let late = scope.spawn(|| {
                let request = alice.request("GET", "/slow-public").script();
                let request = if htmx { request.header("hx-request", "true") } else { request };
                request.send()
            });
            site.wait_for_slow(1);
            alice.sign_in("alice");
            site.release_slow();
            assert_eq!(late.join().unwrap().status, 200);
        });
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "htmx: {htmx}");
    }
}

/// Memory that was freed is used again: where an entry lies says nothing about who wrote it.
#[test]
fn login_keeps_its_writes_at_any_address() {
    for length in (0..4).chain(100..140) {
        for over in ["clear", "overwrite"] {
            let site = Site::builder().routes(careful_logins).start();
            let browser = site.signed_in("alice");
            browser.post("/note", &"x".repeat(length));
            browser.post("/careful", over);
            assert_eq!(browser.get("/second-factor").body, "Some(true)", "{over} {length}");
        }
    }
}

#[test]
fn what_is_written_after_signing_in_is_kept_whatever_the_other_user_had() {
    for (wait, page) in [(1, "/in"), (15, "/lax/in")] {
        let site = Site::builder().routes(careful_logins).start();
        let browser = site.signed_in("alice");
        browser.post("/flag", "true");
        site.pass(minutes(wait));
        browser.post(page, "");
        assert_eq!(browser.get("/second-factor").body, "Some(true)", "{page}");
        assert_eq!(browser.messages(), "[success] welcome", "{page}");
    }
}

async fn sign_in_and_flag(
    session: Session,
    handle: SessionHandle,
    messages: FlashMessages,
) -> HttpResponse {
    handle.sign_in("bob").await.unwrap();
    session.insert("needs_second_factor", true).unwrap();
    messages.success("welcome");
    HttpResponse::Ok().finish()
}

async fn flag(session: Session, flag: String) -> HttpResponse {
    if flag == "true" {
        session.insert("needs_second_factor", true).unwrap();
    }
    HttpResponse::Ok().finish()
}

fn careful_logins(cfg: &mut web::ServiceConfig) {
    let lax = |path| web::resource(path).wrap(PolicyPatch::new().idle(hours(1)));
    cfg.service(lax("/lax/careful").route(web::post().to(careful)))
        .service(lax("/lax/in").route(web::post().to(sign_in_and_flag)))
        .route("/in", web::post().to(sign_in_and_flag))
        .route("/flag", web::post().to(flag))
        .route("/careful", web::post().to(careful))
        .route("/note", web::post().to(note))
        .route("/second-factor", web::get().to(second_factor));
}

async fn note(session: Session, text: String) -> HttpResponse {
    session.insert("note", text).unwrap();
    HttpResponse::Ok().finish()
}

async fn careful(req: HttpRequest, session: Session, how: String) -> HttpResponse {
    match how.as_str() {
        "clear" => session.clear(),
        _ => session.insert("note", "").unwrap(),
    }
    session.insert("needs_second_factor", true).unwrap();
    Identity::login(&req.extensions(), "bob".to_owned()).unwrap();
    HttpResponse::Ok().finish()
}

async fn second_factor(session: Session) -> String {
    format!("{:?}", session.get::<bool>("needs_second_factor").unwrap())
}

#[test]
fn a_message_that_waits_ends_with_the_logout() {
    for order in ["message first", "logout first"] {
        let site = Site::builder()
            .routes(|cfg| {
                cfg.route("/bye", web::post().to(bye));
            })
            .start();
        let browser = site.signed_in("alice");
        browser.post("/push", "9,000 were sent to Carol");
        browser.post("/bye", order);
        assert_eq!(browser.messages(), "[info] Bye.", "{order}");
    }
}

async fn bye(user: Identity, messages: FlashMessages, order: String) -> HttpResponse {
    let say = || messages.info("Bye.");
    if order == "message first" {
        say();
    }
    user.logout();
    if order == "logout first" {
        say();
    }
    HttpResponse::Ok().finish()
}

/// A middleware says something before the layers inside it have judged.
#[test]
fn messages_that_wait_are_hidden_and_come_back_with_the_session() {
    for (path, after, shown) in
        [("/greeted/strict", minutes(5), false), ("/greeted/lax", minutes(15), true)]
    {
        let site = Site::builder().routes(greeted).start();
        let browser = site.signed_in("alice");
        browser.post("/push", "9,000 were sent to Carol");
        site.pass(after);
        let body = browser.get(path).body;
        assert!(body.contains("hello") && body.contains("Carol") == shown, "{path}: {body}");
    }
}

fn greeted(cfg: &mut web::ServiceConfig) {
    let page = |path, idle| {
        web::resource(path).wrap(PolicyPatch::new().idle(idle)).route(web::get().to(show))
    };
    let greet = |req: ServiceRequest, service: &_| {
        let messages = FlashMessages::extract(req.request()).into_inner();
        messages.unwrap().info("hello");
        dev::Service::call(service, req)
    };
    let scope = web::scope("/greeted").wrap_fn(greet);
    cfg.service(scope.service(page("/strict", minutes(1))).service(page("/lax", hours(1))));
}

async fn show(messages: FlashMessages) -> String {
    messages.into_iter().map(|message| message.to_string()).collect::<Vec<_>>().join("|")
}
