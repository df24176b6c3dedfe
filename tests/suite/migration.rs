//! Sessions of actix-session are adopted, and none that has ended comes back.

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
use session_expire::{Clock, Policy, Timestamp, days, hours, minutes, seconds};
use session_expire_tests::{Browser, Site};

const COOKIE: &str = "old";

fn key() -> Key {
    Key::from(&[9; 64])
}

async fn old_login(req: HttpRequest, session: Session) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    session.insert("visits", 7).unwrap();
    HttpResponse::Ok().finish()
}

/// The cookie of a session that the published actix-session has made.
fn old_cookie<S: SessionStore + 'static>(store: impl Fn() -> S + Send + 'static) -> String {
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
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

/// A server-side store, as that for Redis, in memory.
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
    cfg.route("/renew", web::post().to(renew));
}

/// A site that adopts for 30 days, and the cookie of an old session.
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

fn in_cookies() -> (Site, String) {
    migrating(CookieSessionStore::default)
}

fn on_a_server() -> (Site, String) {
    let store = Store::default();
    migrating(move || store.clone())
}

fn browser_with(site: &Site, cookie: &str) -> Browser {
    let browser = site.browser();
    browser.set_cookie(COOKIE, cookie);
    browser
}

#[test]
fn old_session_is_adopted_with_its_data_and_its_cookie_replaced() {
    for (site, cookie) in [in_cookies(), on_a_server()] {
        let alice = browser_with(&site, &cookie);
        let response = alice.get("/visits");
        assert_eq!(response.body, "8", "{response:?}");
        assert_eq!(response.header("cache-control"), "no-store");
        assert!(alice.cookie().starts_with("id=") && !alice.cookie().contains(COOKIE));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        assert_eq!(site.events(), ["alice signed in"]);
    }
}

#[test]
fn six_tabs_at_once_make_one_session() {
    for (site, cookie) in [in_cookies(), on_a_server()] {
        thread::scope(|scope| {
            let tabs: Vec<_> = (0..6)
                .map(|_| scope.spawn(|| browser_with(&site, &cookie).user_at("/private")))
                .collect();
            for tab in tabs {
                assert_eq!(tab.join().unwrap().as_deref(), Some("alice"));
            }
        });
        assert_eq!(site.events(), ["alice signed in"]);
    }
}

#[test]
fn late_adoption_keeps_the_cookie_of_a_newer_login() {
    let (site, cookie) = in_cookies();
    thread::scope(|scope| {
        let late = scope.spawn(|| browser_with(&site, &cookie).get("/slow"));
        site.wait_for_slow(1);
        browser_with(&site, &cookie).post("/login", "user=alice");
        site.release_slow();
        let response = late.join().unwrap();
        let sets_ours = response.cookies().iter().any(|cookie| cookie.starts_with("id="));
        assert!(!sets_ours, "{response:?}");
    });
}

/// Ends an adopted session; the old cookie must not bring it back.
fn assert_ended_for_good(end: impl Fn(&Site, &Browser)) {
    for wait in [minutes(1), hours(25), days(10)] {
        for (site, cookie) in [in_cookies(), on_a_server()] {
            let alice = browser_with(&site, &cookie);
            assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
            end(&site, &alice);
            site.pass(wait);
            let _purges = site.signed_in("alice"); // what is too old is deleted now
            let thief = browser_with(&site, &cookie);
            assert_eq!(thief.user_at("/private"), None, "{wait:?}");
        }
    }
}

#[test]
fn signed_out_session_does_not_come_back() {
    assert_ended_for_good(|_, alice| drop(alice.post("/logout", "")));
}

#[test]
fn expired_session_does_not_come_back() {
    assert_ended_for_good(|site, alice| {
        site.pass(hours(2));
        assert_eq!(alice.user_at("/private"), None);
    });
}

#[test]
fn evicted_session_does_not_come_back() {
    let (site, cookie) = in_cookies();
    let alice = browser_with(&site, &cookie);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    let (other, end_all) = (site.signed_in("alice"), site.registry.clone());
    let record = session_expire::EndTarget::All("alice".into());
    let now = site.clock.now();
    let evicted = session_expire::Ended::new(session_expire::Reason::Evicted, now);
    let end = session_expire::EndSessions::new(record, evicted);
    let ended = actix_web::rt::System::new()
        .block_on(async { session_expire::Registry::end(&end_all, end).await.unwrap() });
    assert_eq!(ended.len(), 2);
    drop(other);
    for wait in [minutes(1), hours(25), days(10)] {
        site.pass(wait);
        assert_eq!(browser_with(&site, &cookie).user_at("/private"), None, "{wait:?}");
    }
}

#[test]
fn renewed_session_does_not_come_back_under_its_old_cookie() {
    let renewals: [fn(&Browser); 5] = [
        |alice| drop(alice.sign_in("alice")), // the same user: renews the key
        |alice| drop(alice.post("/renew", "")),
        |alice| drop((alice.post("/renew", ""), alice.post("/sign-out", ""))),
        |alice| drop(alice.post("/sign-in", "user=alice")),
        |alice| drop(alice.post("/sign-in", "user=bob")),
    ];
    for renew in renewals {
        assert_ended_for_good(|_, alice| renew(alice));
    }
}

#[test]
fn session_renewed_at_its_adoption_does_not_come_back() {
    for wait in [minutes(1), hours(25), days(10)] {
        let (site, cookie) = in_cookies();
        let alice = browser_with(&site, &cookie);
        alice.post("/renew", "");
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        site.pass(wait);
        let _purges = site.signed_in("alice");
        assert_eq!(browser_with(&site, &cookie).user_at("/private"), None, "{wait:?}");
    }
}

#[test]
fn failed_end_or_renewal_at_the_adoption_keeps_the_session() {
    for (operation, path) in [("end", "/sign-out"), ("rotate", "/renew")] {
        let (site, cookie) = in_cookies();
        let alice = browser_with(&site, &cookie);
        site.registry.fail_next(operation);
        assert_eq!(alice.post(path, "").status, 503, "{operation}");
        // The session lives: the user must be able to sign out of it.
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{operation}");
    }
}

#[test]
fn sign_out_closes_adoption_also_from_an_expired_session() {
    for (adopted, wait) in [(false, 0), (true, 0), (false, 90), (true, 90)] {
        let (site, cookie) = in_cookies();
        let alice = match adopted {
            true => browser_with(&site, &old_cookie(CookieSessionStore::default)),
            false => site.signed_in("alice"),
        };
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        site.pass(minutes(wait));
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
    assert_eq!(old.stolen().fetch("/session/status").json()["state"], "active", "adopted");
    assert_eq!(alice.stolen().fetch("/session/status").json()["state"], "active");
    assert_eq!(old.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(alice.fetch("/private").header("x-session-expired"), "evicted");
}

#[test]
fn nothing_is_adopted_after_the_date() {
    let (site, cookie) = in_cookies();
    site.pass(days(30));
    assert_eq!(browser_with(&site, &cookie).user_at("/private"), None);
}

#[test]
fn nothing_is_adopted_beside_a_cookie_of_ours() {
    let (site, cookie) = in_cookies();
    let browser = browser_with(&site, &cookie);
    browser.set_cookie("id", &"a".repeat(26));
    assert_eq!(browser.user_at("/private"), None);
    assert_eq!(site.events(), ["refused: unknown"]);
}

#[test]
fn clocks_of_an_adopted_session_start_at_its_adoption() {
    let (site, cookie) = in_cookies();
    let alice = browser_with(&site, &cookie);
    site.pass(hours(24));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    for _ in 0..7 {
        site.pass(minutes(59));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    }
    site.pass(hours(1) + seconds(7 * 60));
    assert_eq!(alice.user_at("/private"), None);
}
