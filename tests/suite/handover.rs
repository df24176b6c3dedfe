//! What one request leaves to the next, and one user to whoever comes after them.

use std::thread;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use session_expire::{FlashMessages, Policy, SessionHandle, hours, minutes, seconds};
use session_expire_tests::Site;

/// An upload in one tab, work in another.
#[test]
fn a_slow_request_takes_back_nothing_of_what_others_have_done_meanwhile() {
    for upload_takes in [9, 11] {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.pass(seconds(30)); // more than the slack: the upload will be noted
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
fn whoever_signs_in_next_finds_nothing_of_whoever_was_signed_in_before() {
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

/// The address of the name may be the same then, so that is no sign.
#[test]
fn whoever_empties_the_session_and_signs_in_again_has_a_new_login() {
    for length in [5, 40, 119, 121, 124, 126, 200] {
        let site = Site::builder()
            .routes(|cfg| {
                cfg.route("/again", web::post().to(again));
            })
            .start();
        let alice = site.signed_in(&"a".repeat(length));
        alice.post("/again", "");
        let logins = site.events().iter().filter(|event| event.contains("signed in")).count();
        assert_eq!(logins, 2, "{length}");
        assert!(alice.user_at("/private").is_some());
    }
}

async fn again(req: HttpRequest, session: Session, user: Identity) -> HttpResponse {
    let id = user.id().unwrap();
    session.clear();
    Identity::login(&req.extensions(), id).unwrap();
    HttpResponse::Ok().finish()
}

#[test]
fn after_a_logout_in_the_same_request_nobody_is_told_that_they_are_signed_in() {
    let site = Site::builder()
        .policy(Policy::new().max_sessions(1))
        .routes(|cfg| {
            cfg.route("/switch", web::post().to(switch));
        })
        .start();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    let answer = alice.post("/switch", "");
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(bob.user_at("/private").as_deref(), Some("bob"), "nothing of theirs has ended");
    assert_eq!(alice.user_at("/private"), None, "who has signed out all the same");
}

async fn switch(handle: SessionHandle, user: Identity) -> HttpResponse {
    user.logout();
    match handle.sign_in("bob").await {
        Ok(_) => HttpResponse::Ok().body("welcome bob"),
        Err(error) => HttpResponse::from_error(error),
    }
}

/// A second factor that fails after the first one has signed somebody in.
#[test]
fn a_login_that_the_same_request_takes_back_holds_no_place() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/wrong", web::post().to(wrong_code));
        })
        .start();
    let browser = site.browser();
    assert_eq!(browser.post("/wrong", "").status, 403);
    assert_eq!(browser.user_at("/private"), None);
    assert_eq!(site.events(), ["alice signed in", "alice ended: logged_out"]);
}

async fn wrong_code(handle: SessionHandle) -> HttpResponse {
    handle.sign_in("alice").await.unwrap();
    handle.sign_out();
    HttpResponse::Forbidden().finish()
}

/// The first letters of keys are made from the user's name, and two names may have the same.
#[test]
fn whoever_signs_in_over_another_user_ends_their_session_whatever_the_names() {
    let alike = "m7284644";
    assert_eq!(session_expire::owner_tag("alice"), session_expire::owner_tag(alike));
    for other in ["bob", alike] {
        let site = Site::start();
        let browser = site.signed_in("alice");
        let copy = browser.stolen();
        browser.sign_in(other);
        assert_eq!(copy.user_at("/private"), None, "{other}");
    }
}
