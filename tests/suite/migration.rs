//! Adoption of sessions of actix-session.

use std::{collections::BTreeMap, thread};

use actix_identity::{Identity, IdentityMiddleware};
use actix_session::{
    Session, SessionMiddleware,
    storage::{CookieSessionStore, LoadError, SaveError, SessionKey, SessionStore, UpdateError},
};
use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse,
    cookie::{Key, time::Duration as CookieDuration},
    test::{TestRequest, call_service, init_service},
    web,
};
use session_expire::{
    Policy, PolicyPatch, Reason, SessionHandle,
    clock::{Clock, Timestamp},
    days, hours, minutes,
    registry::{EndSessions, EndTarget, Ended, Registry},
    seconds,
};
use session_expire_tests::{Browser, Site, block_on};

const COOKIE: &str = "old";

fn key() -> Key {
    Key::from(&[9; 64])
}

async fn old_login(req: HttpRequest, session: Session) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    session.insert("visits", 7).unwrap();
    HttpResponse::Ok().finish()
}

/// Returns the cookie of a session of actix-session.
fn old_cookie<S: SessionStore + 'static>(store: impl Fn() -> S + Send + 'static) -> String {
    thread::spawn(move || {
        block_on(async move {
            let sessions =
                SessionMiddleware::builder(store(), key()).cookie_name(COOKIE.to_owned());
            let app = App::new()
                .route("/login", web::post().to(old_login))
                .wrap(IdentityMiddleware::default())
                .wrap(sessions.build());
            let app = init_service(app).await;
            let request = TestRequest::post().uri("/login").to_request();
            let response = call_service(&app, request).await;
            let mut cookies = response.response().cookies();
            cookies.next().unwrap().value().to_owned()
        })
    })
    .join()
    .unwrap()
}

/// Server-side session store in memory.
#[derive(Clone, Default)]
struct Store(std::sync::Arc<std::sync::Mutex<BTreeMap<String, State>>>);

type State = std::collections::HashMap<String, String>;

impl SessionStore for Store {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        Ok(self.0.lock().unwrap().get(key.as_ref()).cloned())
    }

    async fn save(&self, state: State, _: &CookieDuration) -> Result<SessionKey, SaveError> {
        let mut states = self.0.lock().unwrap();
        let key = format!("{:064}", states.len());
        states.insert(key.clone(), state);
        Ok(SessionKey::try_from(key).unwrap())
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        _: &CookieDuration,
    ) -> Result<SessionKey, UpdateError> {
        self.0.lock().unwrap().insert(key.as_ref().to_owned(), state);
        Ok(key)
    }

    async fn update_ttl(&self, _: &SessionKey, _: &CookieDuration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        self.0.lock().unwrap().remove(key.as_ref());
        Ok(())
    }
}

fn routes(cfg: &mut web::ServiceConfig) {
    let renew = |session: Session| async move {
        session.renew();
        "renewed"
    };
    let confirm =
        |session: SessionHandle| async move { session.confirm("alice").map(|()| "confirmed") };
    let fresh = PolicyPatch::new().fresh(minutes(10));
    cfg.route("/renew", web::post().to(renew))
        .route("/confirm", web::post().to(confirm))
        .service(web::resource("/settings").wrap(fresh).to(HttpResponse::Ok));
}

/// Returns a site that adopts sessions for 30 days, and the cookie of an old session.
fn migrating<S>(store: impl Fn() -> S + Send + 'static) -> (Site, String)
where
    S: SessionStore + Send + Sync + 'static,
{
    let (old, cookie) = (store(), old_cookie(store));
    let policy = Policy::new().idle(hours(1)).absolute(hours(8));
    let site = Site::builder().policy(policy).routes(routes).customise(move |builder| {
        let until = Timestamp::from_millis(1_767_268_800_000).plus(days(30));
        builder.migrate_from(COOKIE, key(), old, until)
    });
    (site.start(), cookie)
}

fn with_cookie_store() -> (Site, String) {
    migrating(CookieSessionStore::default)
}

fn with_server_store() -> (Site, String) {
    let store = Store::default();
    migrating(move || store.clone())
}

fn browser_with(site: &Site, cookie: &str) -> Browser {
    let browser = site.browser();
    browser.set_cookie(COOKIE, cookie);
    browser
}

#[test]
fn old_session_is_adopted_with_its_data() {
    for (site, cookie) in [with_cookie_store(), with_server_store()] {
        let alice = browser_with(&site, &cookie);
        let response = alice.get("/visits");
        assert_eq!(response.body, "8", "{response:?}");
        assert_eq!(response.header("cache-control"), "no-store");
        assert!(alice.cookie().starts_with("id=") && !alice.cookie().contains(COOKIE));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        assert_eq!(site.take_events(), ["alice signed in"]);
    }
}

#[test]
fn tabs_at_once_adopt_one_session() {
    for (site, cookie) in [with_cookie_store(), with_server_store()] {
        thread::scope(|scope| {
            let tabs: Vec<_> = (0..6)
                .map(|_| scope.spawn(|| browser_with(&site, &cookie).user_at("/private")))
                .collect();
            for tab in tabs {
                assert_eq!(tab.join().unwrap().as_deref(), Some("alice"));
            }
        });
        assert_eq!(site.take_events(), ["alice signed in"]);
    }
}

#[test]
fn late_adoption_keeps_newer_login() {
    let (site, cookie) = with_cookie_store();
    thread::scope(|scope| {
        let late = scope.spawn(|| browser_with(&site, &cookie).get("/slow"));
        site.wait_for_arrivals(1);
        browser_with(&site, &cookie).post("/login", "user=alice");
        site.open_barrier();
        let response = late.join().unwrap();
        assert!(!response.has_cookie("id"), "{response:?}");
    });
}

/// Ends an adopted session, and asserts that it is not adopted again.
fn assert_not_adopted_again(end: impl Fn(&Site, &Browser)) {
    for wait in [minutes(1), hours(25), days(10)] {
        for (site, cookie) in [with_cookie_store(), with_server_store()] {
            let alice = browser_with(&site, &cookie);
            assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
            end(&site, &alice);
            site.advance(wait);
            let _purges = site.signed_in("alice"); // a login purges old records
            let attacker = browser_with(&site, &cookie);
            assert_eq!(attacker.user_at("/private"), None, "{wait:?}");
        }
    }
}

#[test]
fn signed_out_session_is_not_adopted_again() {
    assert_not_adopted_again(|_, alice| drop(alice.post("/logout", "")));
}

#[test]
fn expired_session_is_not_adopted_again() {
    assert_not_adopted_again(|site, alice| {
        site.advance(hours(2));
        assert_eq!(alice.user_at("/private"), None);
    });
}

#[test]
fn evicted_session_is_not_adopted_again() {
    let (site, cookie) = with_cookie_store();
    let alice = browser_with(&site, &cookie);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    let _other = site.signed_in("alice");
    let ended = Ended::new(Reason::Evicted, site.clock.now());
    let end = EndSessions::new(EndTarget::All("alice".into()), ended);
    assert_eq!(block_on(site.registry.end(end)).unwrap().len(), 2);
    for wait in [minutes(1), hours(25), days(10)] {
        site.advance(wait);
        assert_eq!(browser_with(&site, &cookie).user_at("/private"), None, "{wait:?}");
    }
}

#[test]
fn renewed_session_is_not_adopted_again() {
    let renewals: [fn(&Browser); 5] = [
        |alice| drop(alice.sign_in("alice")), // renews the key
        |alice| drop(alice.post("/renew", "")),
        |alice| drop((alice.post("/renew", ""), alice.post("/sign-out", ""))),
        |alice| drop(alice.post("/sign-in", "user=alice")),
        |alice| drop(alice.post("/sign-in", "user=bob")),
    ];
    for renew in renewals {
        assert_not_adopted_again(|_, alice| renew(alice));
    }
}

#[test]
fn session_renewed_at_adoption_is_not_adopted_again() {
    for wait in [minutes(1), hours(25), days(10)] {
        let (site, cookie) = with_cookie_store();
        let alice = browser_with(&site, &cookie);
        alice.post("/renew", "");
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        site.advance(wait);
        let _purges = site.signed_in("alice");
        assert_eq!(browser_with(&site, &cookie).user_at("/private"), None, "{wait:?}");
    }
}

#[test]
fn failed_end_or_renewal_at_adoption_keeps_session() {
    for (operation, path) in [("end", "/sign-out"), ("rotate", "/renew")] {
        let (site, cookie) = with_cookie_store();
        let alice = browser_with(&site, &cookie);
        site.registry.fail_next(operation);
        assert_eq!(alice.post(path, "").status, 503, "{operation}");
        // The user must be able to sign out of the session.
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{operation}");
    }
}

#[test]
fn sign_out_closes_adoption_for_the_user() {
    for (adopted, wait) in [(false, 0), (true, 0), (false, 90), (true, 90)] {
        let (site, cookie) = with_cookie_store();
        let alice = match adopted {
            true => browser_with(&site, &old_cookie(CookieSessionStore::default)),
            false => site.signed_in("alice"),
        };
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        site.advance(minutes(wait));
        assert_eq!(alice.post("/sign-out", "").status, 303);
        let other = browser_with(&site, &cookie);
        assert_eq!(other.user_at("/private"), None, "adopted: {adopted}, after {wait} minutes");
    }
}

#[test]
fn adoption_evicts_when_the_user_is_active() {
    let site = Site::builder().policy(Policy::new().max_sessions(1));
    let site = site.customise(|builder| {
        let until = Timestamp::from_millis(1_767_268_800_000).plus(days(30));
        builder.migrate_from(COOKIE, key(), CookieSessionStore::default(), until)
    });
    let (site, cookie) = (site.start(), old_cookie(CookieSessionStore::default));
    let (alice, old) = (site.signed_in("alice"), browser_with(&site, &cookie));
    let image = old.request("GET", "/public").header("sec-fetch-mode", "no-cors");
    image.header("sec-fetch-dest", "image").send();
    assert_eq!(old.copy().fetch("/session/status").json()["state"], "active", "adopted");
    assert_eq!(alice.copy().fetch("/session/status").json()["state"], "active");
    assert_eq!(old.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(alice.fetch("/private").header("x-session-expired"), "evicted");
}

#[test]
fn adoption_ends_at_its_date() {
    let (site, cookie) = with_cookie_store();
    site.advance(days(30));
    assert_eq!(browser_with(&site, &cookie).user_at("/private"), None);
}

#[test]
fn session_cookie_prevents_adoption() {
    let (site, cookie) = with_cookie_store();
    let browser = browser_with(&site, &cookie);
    browser.set_cookie("id", &"a".repeat(30));
    assert_eq!(browser.user_at("/private"), None);
    assert_eq!(site.take_events(), ["refused: unknown"]);
}

#[test]
fn timeouts_start_at_adoption() {
    let (site, cookie) = with_cookie_store();
    let alice = browser_with(&site, &cookie);
    site.advance(hours(24));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    for _ in 0..7 {
        site.advance(minutes(59));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    }
    site.advance(hours(1) + seconds(7 * 60));
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn adopted_session_keeps_data_that_is_too_large_to_encrypt() {
    let store = Store::default();
    let shared = store.clone();
    let cookie = old_cookie(move || shared.clone());
    for state in store.0.lock().unwrap().values_mut() {
        state.insert("cart".to_owned(), format!("\"{}\"", "x".repeat(50_000)));
    }
    let site = Site::builder().customise(move |builder| {
        let until = Timestamp::from_millis(1_767_268_800_000).plus(days(30));
        builder.migrate_from(COOKIE, key(), store, until).seal_data(true)
    });
    let site = site.start();
    assert_eq!(browser_with(&site, &cookie).get("/visits").body, "8");
}

#[test]
fn session_without_a_known_login_time_is_not_fresh() {
    let (site, cookie) = with_cookie_store();
    let alice = browser_with(&site, &cookie);
    assert_eq!(alice.get("/settings").redirect(), (303, "/confirm?next=/settings"));
    assert_eq!(alice.post("/confirm", "").status, 200);
    assert_eq!(alice.get("/settings").status, 200);
}
