//! Renewals, which give a session a new key and nothing else.

use std::thread;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use session_expire::{Policy, PolicyPatch, hours, minutes};
use session_expire_tests::{Barrier, Site};

const USER_KEY: &str = "actix_identity.user_id";

fn routes(cfg: &mut web::ServiceConfig) {
    let lax = |path| web::resource(path).wrap(PolicyPatch::new().idle(hours(3)));
    cfg.route("/tidy", web::post().to(tidy))
        .service(lax("/lax/tidy").route(web::post().to(tidy)))
        .service(lax("/lax/private").route(web::get().to(whoami)))
        .route("/remove-and-login", web::post().to(remove_and_login))
        .route("/login-again", web::post().to(login_again))
        .route("/renew-together/{name}", web::post().to(renew_together))
        .route("/entries", web::get().to(entries))
        .route("/renew", web::to(renew));
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

/// Removes all entries but the user, and renews the key if `how` says so.
async fn tidy(session: Session, how: String) -> HttpResponse {
    let keys: Vec<_> = session.entries().keys().cloned().collect();
    for key in keys.iter().filter(|key| *key != USER_KEY) {
        session.remove(key);
    }
    if how == "renew" {
        session.renew();
    }
    HttpResponse::Ok().finish()
}

async fn remove_and_login(req: HttpRequest, session: Session, user: Identity) -> HttpResponse {
    let id = user.id().unwrap();
    session.remove(USER_KEY);
    Identity::login(&req.extensions(), id).unwrap();
    HttpResponse::Ok().finish()
}

async fn login_again(req: HttpRequest, user: Identity) -> HttpResponse {
    Identity::login(&req.extensions(), user.id().unwrap()).unwrap();
    HttpResponse::Ok().finish()
}

async fn renew(session: Session) -> &'static str {
    session.renew();
    "renewed"
}

/// Renews the key of a session that was loaded before the other renewal.
async fn renew_together(
    session: Session,
    name: web::Path<String>,
    barrier: web::Data<Barrier>,
) -> HttpResponse {
    session.insert(name.into_inner(), true).unwrap();
    session.renew();
    barrier.wait().await;
    HttpResponse::Ok().finish()
}

async fn entries(session: Session) -> String {
    let mut names: Vec<_> = session.entries().keys().cloned().collect();
    names.retain(|name| name != USER_KEY);
    names.sort();
    names.join(" ")
}

fn site() -> Site {
    let policy = Policy::new().idle(hours(1)).absolute(hours(4));
    Site::builder().policy(policy).routes(routes).start()
}

#[test]
fn renewal_does_not_restart_the_absolute_timeout() {
    for how in ["", "renew"] {
        for length in [5, 126, 254] {
            for (page, pause) in [("/tidy", minutes(50)), ("/lax/tidy", minutes(75))] {
                let site = site();
                let alice = site.signed_in(&"a".repeat(length));
                for _ in 0..3 {
                    alice.fetch("/visits");
                    assert_eq!(alice.post(page, how).status, 200);
                    site.advance(pause);
                }
                site.advance(hours(4) - 3 * pause);
                let (response, case) =
                    (alice.fetch("/lax/private"), format!("{page} {how} {length}"));
                assert_eq!(response.header("x-session-expired"), "absolute", "{case}");
                let events = site.take_events();
                assert_eq!(events.iter().filter(|e| e.contains("signed in")).count(), 1, "{case}");
            }
        }
    }
}

#[test]
fn renewal_changes_the_key_only() {
    for path in ["/remove-and-login", "/login-again", "/renew"] {
        let site = site();
        let alice = site.signed_in("alice");
        alice.get("/visits");
        for _ in 0..4 {
            let copy = alice.copy();
            assert_eq!(alice.post(path, "").cookies().len(), 1, "{path}");
            assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{path}");
            assert_eq!(copy.fetch("/private").header("x-session-expired"), "renewed", "{path}");
            site.advance(minutes(59));
        }
        assert_eq!(alice.get("/entries").body, "visits", "{path}");
        site.advance(minutes(4));
        assert_eq!(alice.fetch("/private").header("x-session-expired"), "absolute", "{path}");
        let logins = site.take_events().iter().filter(|event| event.ends_with("signed in")).count();
        assert_eq!(logins, 1, "{path}");
    }
}

#[test]
fn renewal_of_an_anonymous_visitor_does_nothing() {
    let site = site();
    let browser = site.browser();
    assert_eq!(browser.get("/renew").cookies().len(), 0);
    browser.get("/visits");
    assert_eq!(browser.get("/renew").cookies().len(), 0);
    assert_eq!(browser.get("/visits").body, "2");
    assert!(site.registry.take_operations().is_empty());
}

#[test]
fn slower_of_two_renewals_sets_no_cookie() {
    let site = site();
    let alice = site.signed_in("alice");
    let other = alice.copy();
    let cookies: usize = thread::scope(|scope| {
        let tabs = [("a", &alice), ("b", &other)];
        let renewals = tabs.map(|(name, tab)| {
            scope.spawn(move || tab.post(&format!("/renew-together/{name}"), ""))
        });
        site.wait_for_arrivals(2);
        site.open_barrier();
        renewals.map(|renewal| renewal.join().unwrap().cookies().len()).iter().sum()
    });
    assert_eq!(cookies, 1);
    let seen = [alice.get("/entries").body, other.get("/entries").body];
    assert!(seen.contains(&"a b".to_owned()), "{seen:?}");
}

/// Another tab renews the key before the sign-out.
#[test]
fn sign_out_with_the_old_key_ends_the_session() {
    let site = site();
    let alice = site.signed_in("alice");
    let tab = alice.copy();
    alice.get("/renew");
    let response = tab.post("/sign-out", "");
    assert!(!response.has_cookie("id"), "the browser may have the new cookie by now");
    assert_eq!(alice.fetch("/private").header("x-session-expired"), "logged_out");
}
