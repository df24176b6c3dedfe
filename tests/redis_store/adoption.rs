//! Adoption of sessions from the published `RedisSessionStore` of actix-session.

use std::{thread, time::Duration};

use actix_identity::{Identity, IdentityMiddleware};
use actix_session::{Session, SessionMiddleware, storage::RedisSessionStore};
use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse,
    cookie::Key,
    test::{TestRequest, call_service, init_service},
    web,
};
use session_expire::{
    Overflow, Policy, Reason, RedisRegistry,
    clock::{Clock, SystemClock, Timestamp},
    days, hours, minutes,
    registry::{EndTarget, Ended, Registry},
};
use session_expire_tests::{Browser, RedisServer, Site, block_on};
use tokio::runtime::Runtime;

/// Noon of 1 January 2026.
const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);
const COOKIE: &str = "old";
const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

fn key() -> Key {
    Key::from(&[9; 64])
}

async fn old_login(req: HttpRequest, session: Session) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    session.insert("visits", 7).unwrap();
    HttpResponse::Ok().finish()
}

/// Returns a cookie of the published `SessionMiddleware`, whose session is in `store`. With a login
/// deadline, actix-identity records the time of the login.
fn old_cookie(store: RedisSessionStore, deadline: Option<Duration>) -> String {
    block_on(async move {
        let sessions = SessionMiddleware::builder(store, key()).cookie_name(COOKIE.to_owned());
        let app = App::new()
            .route("/login", web::post().to(old_login))
            .wrap(IdentityMiddleware::builder().login_deadline(deadline).build())
            .wrap(sessions.build());
        let app = init_service(app).await;
        let request = TestRequest::post().uri("/login").to_request();
        let response = call_service(&app, request).await;
        response.response().cookies().next().unwrap().value().to_owned()
    })
}

#[derive(Clone)]
struct Setup {
    policy: Policy,
    until: Timestamp,
}

/// The application after its migration, with a server for each kind of session.
struct Migrating {
    site: Site,
    registry: RedisRegistry,
    /// The server of the store of actix-session.
    old: RedisServer,
    /// The server of the registry.
    new: RedisServer,
    cookie: String,
    setup: Setup,
    /// Drives the connections.
    runtime: Runtime,
}

impl Migrating {
    fn start() -> Self {
        Self::under(Policy::new().idle(hours(1)).absolute(hours(8)))
    }

    fn under(policy: Policy) -> Self {
        let setup = Setup { policy, until: NOON.plus(days(30)) };
        let (old, new) = (RedisServer::with_options(DURABLE), RedisServer::start());
        let runtime = Runtime::new().unwrap();
        let store = runtime.block_on(RedisSessionStore::new(old.url())).unwrap();
        let cookie = old_cookie(store, None);
        let (site, registry) = serve(&runtime, &old, &new, NOON, &setup);
        Self { site, registry, old, new, cookie, setup, runtime }
    }

    /// Restarts the application.
    fn restart(&mut self) {
        let now = self.site.clock.now();
        (self.site, self.registry) = serve(&self.runtime, &self.old, &self.new, now, &self.setup);
    }

    /// Returns a browser with the old cookie only.
    fn browser(&self) -> Browser {
        let browser = self.site.browser();
        browser.set_cookie(COOKIE, &self.cookie);
        browser
    }

    fn adopted(&self) -> Browser {
        let alice = self.browser();
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        alice
    }

    fn end(&self, reason: Reason) {
        let ended = Ended::new(reason, self.site.clock.now());
        let ends =
            session_expire::registry::EndSessions::new(EndTarget::All("alice".into()), ended);
        assert_eq!(self.runtime.block_on(self.registry.end(ends)).unwrap().len(), 1);
    }

    fn store_entry_count(&self) -> usize {
        self.old.command(&["DBSIZE"])
    }
}

fn serve(
    runtime: &Runtime,
    old: &RedisServer,
    new: &RedisServer,
    now: Timestamp,
    setup: &Setup,
) -> (Site, RedisRegistry) {
    let store = runtime.block_on(RedisSessionStore::new(old.url())).unwrap();
    let [own, registry] = [(); 2].map(|()| runtime.block_on(new.registry()));
    let until = setup.until;
    let site = Site::builder()
        .policy(setup.policy.clone())
        .clock_at(now)
        .customise(move |builder| builder.registry(own).migrate_from(COOKIE, key(), store, until));
    (site.start(), registry)
}

#[test]
fn session_of_the_redis_store_is_adopted_with_its_data() {
    let shop = Migrating::start();
    let alice = shop.browser();
    let response = alice.get("/visits");
    assert_eq!((response.status, &*response.body), (200, "8"), "{response:?}");
    assert_eq!(response.header("cache-control"), "no-store");
    assert!(alice.cookie().starts_with("id=") && !alice.cookie().contains(COOKIE));
    assert_eq!(alice.get("/visits").body, "9");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(shop.site.take_events(), ["alice signed in"]);
    // Other tabs still need the entry.
    assert_eq!(shop.store_entry_count(), 1);
}

#[test]
fn adopted_session_outlives_a_restart_and_the_old_store() {
    let mut shop = Migrating::start();
    let alice = shop.adopted();
    shop.restart();
    let alice = alice.moved_to(&shop.site);
    shop.old.stop();
    assert_eq!(alice.get("/visits").body, "8");
}

#[test]
fn simultaneous_tabs_adopt_one_session() {
    for _ in 0..5 {
        let shop = Migrating::start();
        thread::scope(|scope| {
            let tabs: Vec<_> =
                (0..6).map(|_| scope.spawn(|| shop.browser().user_at("/private"))).collect();
            for tab in tabs {
                assert_eq!(tab.join().unwrap().as_deref(), Some("alice"));
            }
        });
        assert_eq!(shop.site.take_events(), ["alice signed in"]);
    }
}

#[test]
fn simultaneous_tabs_evict_no_adopted_session() {
    let policy = Policy::new().idle(hours(1)).max_sessions(1);
    for overflow in [Overflow::Evict, Overflow::Refuse] {
        let shop = Migrating::under(policy.clone().overflow(overflow));
        thread::scope(|scope| {
            for _ in 0..6 {
                let user = || shop.browser().user_at("/private");
                scope.spawn(move || assert_eq!(user().as_deref(), Some("alice"), "{overflow:?}"));
            }
        });
        assert_eq!(shop.site.take_events(), ["alice signed in"]);
    }
}

#[test]
fn entries_of_simultaneous_tabs_are_stored() {
    let shop = Migrating::start();
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(shop.browser().get("/visits").status, 200));
        }
    });
    let visits: u32 = shop.browser().get("/visits").body.parse().unwrap();
    assert!((9..=14).contains(&visits), "{visits}");
    assert_eq!(shop.site.take_events(), ["alice signed in"]);
}

/// Ends an adopted session, and asserts that a copy of the old cookie is not adopted again, also
/// after a restart.
fn assert_ended_for_good(how: &str, end: impl Fn(&Migrating, &Browser)) {
    let mut shop = Migrating::start();
    let alice = shop.adopted();
    end(&shop, &alice);
    let mut passed = minutes(0);
    for at in [minutes(1), hours(25), days(10)] {
        shop.site.advance(at - passed);
        passed = at;
        if at == days(10) {
            shop.restart();
        }
        for page in ["/private", "/laxer"] {
            assert_eq!(shop.browser().user_at(page), None, "{how}, {page} {at:?} later");
        }
    }
    let sign_ins =
        shop.site.take_events().iter().filter(|event| event.ends_with("signed in")).count();
    assert_eq!(sign_ins, 0, "{how}: after the restart");
}

#[test]
fn signed_out_session_is_not_adopted_again() {
    assert_ended_for_good("signed out", |_, alice| drop(alice.post("/logout", "")));
    assert_ended_for_good("purged", |_, alice| drop(alice.post("/sign-out", "")));
}

#[test]
fn expired_session_is_not_adopted_again() {
    assert_ended_for_good("expired, with a request", |shop, alice| {
        shop.site.advance(hours(1));
        assert_eq!(alice.user_at("/private"), None);
    });
    assert_ended_for_good("expired, without a request", |shop, _| shop.site.advance(hours(1)));
}

#[test]
fn evicted_or_revoked_session_is_not_adopted_again() {
    for reason in [Reason::Evicted, Reason::Revoked] {
        assert_ended_for_good(reason.as_str(), |shop, _| shop.end(reason));
    }
}

#[test]
fn session_replaced_by_a_login_is_not_adopted_again() {
    for (path, user) in [("/login", "alice"), ("/sign-in", "alice"), ("/sign-in", "bob")] {
        assert_ended_for_good(path, |_, alice| {
            assert_eq!(alice.post(path, &format!("user={user}")).status, 303);
        });
    }
}

#[test]
fn sign_out_closes_the_adoption_of_other_devices() {
    let shop = Migrating::start();
    let store = shop.runtime.block_on(RedisSessionStore::new(shop.old.url())).unwrap();
    let phone = old_cookie(store, None);
    shop.adopted().post("/logout", "");
    let browser = shop.site.browser();
    browser.set_cookie(COOKIE, &phone);
    assert_eq!(browser.user_at("/private"), None);
}

#[test]
fn clocks_start_at_the_login_that_actix_identity_recorded() {
    let mut shop = Migrating::start();
    let store = shop.runtime.block_on(RedisSessionStore::new(shop.old.url())).unwrap();
    shop.cookie = old_cookie(store, Some(hours(24)));
    let logged_in_at = SystemClock::default().now();
    shop.setup.until = logged_in_at.plus(days(30));
    // The session ends 8 hours after the login, adopted or not.
    for (adopted_after, later, user) in [
        (minutes(7 * 60 + 30), minutes(29), Some("alice")),
        (minutes(7 * 60 + 30), minutes(31), None),
        (minutes(8 * 60 + 1), minutes(0), None),
    ] {
        let new = RedisServer::start();
        let now = logged_in_at.plus(adopted_after);
        shop.site = serve(&shop.runtime, &shop.old, &new, now, &shop.setup).0;
        let alice = shop.browser();
        alice.get("/private");
        shop.site.advance(later);
        assert_eq!(alice.user_at("/private").as_deref(), user, "{adopted_after:?} {later:?}");
    }
}

#[test]
fn outage_of_the_old_store_loses_no_session() {
    let mut shop = Migrating::start();
    let alice = shop.browser();
    shop.old.stop();
    let response = alice.get("/private");
    assert_eq!((response.status, response.cookies().len()), (503, 0), "{response:?}");
    shop.old.restart_and_load();
    // The store of actix-session 0.11 does not reconnect.
    shop.restart();
    assert_eq!(alice.moved_to(&shop.site).user_at("/private").as_deref(), Some("alice"));
    assert_eq!(shop.site.take_events().last().map(String::as_str), Some("alice signed in"));
}
