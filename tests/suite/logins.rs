//! Logins that are no simple login: taken back, failed half way, doubled, over one that is there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, body::BoxBody, dev::ServiceResponse,
    error::ErrorBadGateway, web,
};
use session_expire::{
    ActivityUpdate, EndTarget, Ended, Loaded, LoginOutcome, MemoryRegistry, NewLogin, Overflow,
    Policy, PolicyPatch, Query, RecordKey, Registry, RegistryError, RegistryFuture, SessionHandle,
    SessionLimit, SessionRecord, hours, minutes,
};
use session_expire_tests::Site;

fn one_place() -> Policy {
    Policy::new().max_sessions(1).overflow(Overflow::Refuse)
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
    assert_eq!(session_expire::partition_key("alice"), session_expire::partition_key(alike));
    for other in ["bob", alike] {
        let site = Site::start();
        let browser = site.signed_in("alice");
        let copy = browser.stolen();
        browser.sign_in(other);
        assert_eq!(copy.user_at("/private"), None, "{other}");
    }
}

/// A middleware around the login fails, and nothing of the session is saved.
#[test]
fn a_login_that_a_middleware_fails_holds_no_place() {
    let site = Site::builder()
        .policy(one_place())
        .routes(|cfg| {
            let failing = web::resource("/fails").wrap_fn(|req, service| {
                let inside = actix_web::dev::Service::call(service, req);
                async move {
                    inside.await?;
                    Err::<ServiceResponse<BoxBody>, _>(ErrorBadGateway("no"))
                }
            });
            cfg.service(failing.route(web::post().to(enter)));
        })
        .start();
    let browser = site.browser();
    for how in ["", "and out", "and as bob"] {
        assert_eq!(browser.post("/fails", how).status, 502);
        let mut events = vec![];
        while events.len() < 2 {
            events.extend(site.events()); // a moment after the answer
            std::thread::yield_now();
        }
        assert_eq!(events, ["alice signed in", "alice ended: logged_out"], "{how}");
    }
}

async fn enter(req: HttpRequest, handle: SessionHandle, how: String) -> HttpResponse {
    handle.sign_in("alice").await.unwrap();
    match how.as_str() {
        "and out" => handle.sign_out(),
        "and as bob" => drop(Identity::login(&req.extensions(), "bob".to_owned()).unwrap()),
        _ => {}
    }
    HttpResponse::Ok().finish()
}

/// A registry whose next `end` fails, or whose logins are recorded and never answered, when it is told so.
#[derive(Default)]
struct Stumbling {
    below: MemoryRegistry,
    next_end_fails: Arc<AtomicBool>,
    logins_are_not_answered: Arc<AtomicBool>,
}

impl Registry for Stumbling {
    fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        let answer = self.below.login(login);
        match self.logins_are_not_answered.load(Ordering::SeqCst) {
            true => Box::pin(std::future::pending()),
            false => answer,
        }
    }

    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        self.below.load(key)
    }

    fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()> {
        self.below.touch(key, change)
    }

    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        if self.next_end_fails.swap(false, Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(RegistryError::new("end", "it stumbled"))));
        }
        self.below.end(target, ended)
    }

    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.below.make_room(key, room, ended)
    }

    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.below.find(query)
    }
}

/// Its browser has gone, or a limit of time of the application has struck.
#[test]
fn a_login_that_nobody_waits_for_holds_no_place() {
    let registry = Stumbling::default();
    let stuck = Arc::clone(&registry.logins_are_not_answered);
    let site = Site::builder()
        .policy(one_place())
        .routes(|cfg| {
            cfg.route("/impatient", web::post().to(impatient));
        })
        .customise(|builder| builder.registry(registry))
        .start();
    stuck.store(true, Ordering::SeqCst);
    assert_eq!(site.browser().post("/impatient", "").body, "gave up");
    stuck.store(false, Ordering::SeqCst);
    let began = Instant::now();
    while site.browser().post("/login", "user=alice").status != 303 {
        assert!(began.elapsed() < Duration::from_secs(5), "the place is never given back");
    }
}

async fn impatient(handle: SessionHandle) -> &'static str {
    let patience = Duration::from_millis(20);
    match actix_web::rt::time::timeout(patience, handle.sign_in("alice")).await {
        Ok(_) => "signed in",
        Err(_) => "gave up",
    }
}

#[test]
fn a_login_that_fails_half_way_holds_no_place() {
    let registry = Stumbling::default();
    let stumbles = Arc::clone(&registry.next_end_fails);
    let site = Site::builder().policy(one_place());
    let site = site.customise(|builder| builder.registry(registry)).start();
    let browser = site.signed_in("alice");
    stumbles.store(true, Ordering::SeqCst);
    assert_eq!(browser.post("/login", "user=bob").status, 503);
    assert_eq!(browser.post("/login", "user=bob").status, 303);
}

/// Or whoever holds a cookie could have the absolute limit begin anew.
#[test]
fn tidying_up_the_session_is_no_login() {
    let policy = Policy::new().idle(hours(3)).absolute(hours(4));
    let site = Site::builder()
        .policy(policy)
        .routes(|cfg| {
            cfg.route("/tidy", web::post().to(tidy));
        })
        .start();
    let alice = site.signed_in("alice");
    for _ in 0..2 {
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        alice.post("/tidy", "");
        site.pass(hours(2));
    }
    assert_eq!(alice.user_at("/private"), None);
}

async fn tidy(session: Session) -> HttpResponse {
    let keys: Vec<_> = session.entries().keys().cloned().collect();
    for key in keys.iter().filter(|key| *key != "actix_identity.user_id") {
        session.remove(key);
    }
    HttpResponse::Ok().finish()
}

#[test]
fn of_two_logins_in_one_request_the_last_one_counts() {
    for how in ["handle", "identity"] {
        let site = Site::builder()
            .routes(|cfg| {
                cfg.route("/two", web::post().to(two));
            })
            .start();
        let browser = site.browser();
        browser.post("/two", how);
        assert_eq!(browser.user_at("/private").as_deref(), Some("bob"), "{how}");
        let mut events = site.events();
        events.sort();
        assert_eq!(
            events,
            ["alice ended: logged_out", "alice signed in", "bob signed in"],
            "{how}"
        );
    }
}

async fn two(req: HttpRequest, handle: SessionHandle, how: String) -> HttpResponse {
    handle.sign_in("alice").await.unwrap();
    match how.as_str() {
        "handle" => drop(handle.sign_in("bob").await.unwrap()),
        _ => drop(Identity::login(&req.extensions(), "bob".to_owned()).unwrap()),
    }
    HttpResponse::Ok().finish()
}

#[test]
fn a_refused_second_login_leaves_the_first_one_as_it_was() {
    let site = Site::builder()
        .policy(one_place())
        .routes(|cfg| {
            cfg.route("/second", web::post().to(second));
        })
        .start();
    let _bob = site.signed_in("bob");
    let browser = site.browser();
    assert_eq!(browser.post("/second", "").status, 409);
    assert_eq!(browser.user_at("/private").as_deref(), Some("alice"));
    site.pass(minutes(1));
    assert_eq!(browser.user_at("/private"), None, "under the choice of that login");
}

async fn second(handle: SessionHandle) -> HttpResponse {
    let choice = PolicyPatch::new().idle(minutes(1));
    handle.sign_in_with("alice", choice).await.unwrap();
    match handle.sign_in("bob").await {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(error) => HttpResponse::from_error(error),
    }
}

#[test]
fn to_have_no_limit_is_not_to_be_stricter_than_the_app() {
    use session_expire::{Clock, Limit, conformance::block_on};
    let policy = Policy::new().max_sessions(3_000);
    let site = Site::builder()
        .policy(policy.clone())
        .routes(|cfg| {
            let free = web::resource("/free").wrap(PolicyPatch::new().max_sessions(Limit::Off));
            cfg.service(free.route(web::get().to(HttpResponse::Ok)));
        })
        .start();
    for _ in 0..1_500 {
        let login = NewLogin::new("alice", site.clock.now(), &policy);
        block_on(Box::pin(async { drop(site.registry.login(login).await.unwrap()) }));
    }
    let alice = site.signed_in("alice");
    drop(site.events());
    assert_eq!(alice.get("/free").status, 200);
    assert!(site.events().is_empty(), "a page without a limit has evicted sessions");
}

/// A place that is registered and then refused to somebody else.
#[test]
fn a_refused_login_beside_a_registered_one_leaves_no_place_taken() {
    let site = Site::builder()
        .policy(one_place())
        .routes(|cfg| {
            cfg.route("/both", web::post().to(two));
        })
        .start();
    let _bob = site.signed_in("bob");
    let browser = site.browser();
    assert_eq!(browser.post("/both", "identity").status, 409);
    assert_eq!(browser.user_at("/private"), None);
    assert_eq!(
        site.events(),
        ["bob signed in", "alice signed in", "bob refused", "alice ended: logged_out"]
    );
}
