//! Content of events, and the asynchronous observer.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use actix_web::{HttpResponse, web};
use session_expire::{
    Event, Policy, Reason, SessionExpire, SessionExpireBuilder, SessionHandle,
    clock::ManualClock,
    event::{EventKind, OwnedEvent},
    minutes,
    registry::Client,
    request::device_name,
    sign_in::SignInOptions,
};
use session_expire_tests::{Browser, Site, TestResponse, block_on};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Events that an observer has received.
#[derive(Clone, Default)]
struct Observed(Arc<Mutex<Vec<OwnedEvent>>>);

impl Observed {
    fn lock(&self) -> MutexGuard<'_, Vec<OwnedEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<OwnedEvent> {
        std::mem::take(&mut self.lock())
    }

    fn observe(&self, builder: SessionExpireBuilder) -> SessionExpireBuilder {
        let (observed, clock) = (self.clone(), ManualClock::default());
        builder.observer(move |event: &Event<'_>| {
            let event = OwnedEvent::new(event, session_expire::clock::Clock::now(&clock));
            observed.lock().push(event);
        })
    }
}

fn start(policy: Policy) -> (Site, Observed) {
    let observed = Observed::default();
    let observer = observed.clone();
    let site = Site::builder().policy(policy.idle(minutes(10))).routes(routes);
    (site.customise(move |builder| observer.observe(builder)).start(), observed)
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/refresh", web::post().to(refresh))
        .route("/erase", web::post().to(erase))
        .route("/confirm", web::post().to(confirm))
        .route("/wrong-password", web::post().to(wrong_password))
        .route("/act-for", web::post().to(act_for));
}

async fn confirm(session: SessionHandle) -> actix_web::Result<&'static str> {
    session.confirm("alice")?;
    Ok("confirmed")
}

async fn wrong_password(session: SessionHandle) -> actix_web::Result<String> {
    Ok(session.confirm_failed().await?.to_string())
}

async fn act_for(session: SessionHandle, user: String) -> actix_web::Result<&'static str> {
    session.sign_in_with(user, SignInOptions::new().impersonated_by("root")).await?;
    Ok("signed in")
}

async fn refresh(session: SessionHandle) -> actix_web::Result<HttpResponse> {
    session.refresh_policy().await?;
    Ok(HttpResponse::Ok().finish())
}

async fn erase(session: SessionHandle) -> actix_web::Result<String> {
    Ok(session.sessions().erase("alice").await?.to_string())
}

/// Sends a request as Firefox on Linux.
fn send(browser: &Browser, method: &str, path: &str, form: &str) -> TestResponse {
    browser.request(method, path).header("user-agent", FIREFOX).form(form).send()
}

fn firefox() -> Client {
    Client::new("127.0.0.1".parse().ok(), device_name(FIREFOX))
}

#[test]
fn end_names_session_and_requester() {
    let (site, observed) = start(Policy::new());
    let alice = site.browser();
    send(&alice, "POST", "/login", "user=alice");
    let login = observed.take().remove(0);
    assert_eq!((login.kind, login.user.as_deref()), (EventKind::LoggedIn, Some("alice")));
    assert_eq!(login.client, Some(firefox()));
    alice.post("/sign-out", "");
    let ended = observed.take().remove(0);
    assert_eq!((ended.kind, ended.reason), (EventKind::Ended, Some(Reason::LoggedOut)));
    assert_eq!((&ended.user, ended.session), (&login.user, login.session));
    assert_eq!(ended.client, Some(firefox()), "the client of the login");
    let requester = ended.requester.unwrap();
    assert_eq!(requester.ip, firefox().ip);
    assert_ne!(requester.device, firefox().device, "the sign-out came from another client");
}

#[test]
fn use_of_ended_session_names_its_user() {
    let (site, observed) = start(Policy::new());
    let alice = site.browser();
    send(&alice, "POST", "/login", "user=alice");
    let thief = alice.copy();
    alice.post("/sign-out", "");
    let id = observed.take().remove(0).session;
    thief.get("/private");
    let refused = observed.take().remove(0);
    assert_eq!((refused.kind, refused.reason), (EventKind::Refused, Some(Reason::LoggedOut)));
    assert_eq!((refused.user.as_deref(), refused.session), (Some("alice"), id));
    assert_eq!(refused.client, Some(firefox()));
    assert!(refused.requester.is_some_and(|client| client.device != firefox().device));
}

#[test]
fn use_of_unknown_key_names_only_the_requester() {
    let (site, observed) = start(Policy::new());
    let visitor = site.browser();
    visitor.set_cookie("id", &"a".repeat(30));
    send(&visitor, "GET", "/private", "");
    let refused = observed.take().remove(0);
    assert_eq!((refused.kind, refused.reason), (EventKind::Refused, Some(Reason::Unknown)));
    assert_eq!((refused.user, refused.session, refused.client), (None, None, None));
    assert_eq!(refused.requester, Some(firefox()));
}

#[test]
fn evicted_session_names_the_client_of_the_login() {
    let (site, observed) = start(Policy::new().max_sessions(1));
    drop(site.signed_in("alice"));
    send(&site.browser(), "POST", "/login", "user=alice");
    let ended = observed.take().remove(1);
    assert_eq!((ended.kind, ended.reason), (EventKind::Ended, Some(Reason::Evicted)));
    assert_eq!(ended.requester, Some(firefox()));
}

#[test]
fn refused_login_names_user_and_requester() {
    let policy = Policy::new().max_sessions(1).overflow(session_expire::Overflow::Refuse);
    for path in ["/login", "/sign-in"] {
        let (site, observed) = start(policy.clone());
        drop(site.signed_in("alice"));
        observed.take();
        assert_eq!(send(&site.browser(), "POST", path, "user=alice").status, 409);
        let refused = observed.take().remove(0);
        assert_eq!(refused.kind, EventKind::LoginRefused, "{path}");
        assert_eq!(refused.user.as_deref(), Some("alice"), "{path}");
        assert_eq!(refused.requester, Some(firefox()), "{path}");
    }
}

#[test]
fn login_says_whether_the_device_is_known() {
    let (site, observed) = start(Policy::new());
    let login = |agent: &str| {
        let post = site.browser();
        post.request("POST", "/login").header("user-agent", agent).form("user=alice").send();
        let login = observed.take().remove(0);
        (login.seen_before, login.previous_login.map(|at| at.as_millis()))
    };
    let start = session_expire::clock::Clock::now(&site.clock).as_millis();
    assert_eq!(login(FIREFOX), (Some(false), None));
    site.advance(minutes(1));
    assert_eq!(login("curl/8.5.0"), (Some(false), Some(start)));
    site.advance(minutes(1));
    assert_eq!(login(FIREFOX), (Some(true), Some(start + 60_000)));
}

#[test]
fn device_of_an_ended_session_is_known() {
    let (site, observed) = start(Policy::new());
    let alice = site.signed_in("alice");
    alice.post("/sign-out", "");
    observed.take();
    drop(site.signed_in("alice"));
    assert_eq!(observed.take().remove(0).seen_before, Some(true));
}

#[test]
fn login_succeeds_if_the_records_cannot_be_listed() {
    let (site, observed) = start(Policy::new());
    site.registry.fail_next("list");
    drop(site.signed_in("alice"));
    let events = observed.take();
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::RegistryFailed, EventKind::LoggedIn]);
    assert_eq!((events[1].seen_before, events[1].previous_login), (None, None));
}

#[test]
fn refreshed_policy_is_an_event() {
    let (site, observed) = start(Policy::new());
    let alice = site.signed_in("alice");
    let id = observed.take().remove(0).session;
    send(&alice, "POST", "/refresh", "");
    let refreshed = observed.take().remove(0);
    assert_eq!((refreshed.kind, refreshed.session), (EventKind::PolicyRefreshed, id));
    assert_eq!(refreshed.requester, Some(firefox()));
}

#[test]
fn erased_records_are_an_event() {
    let (site, observed) = start(Policy::new());
    let alice = site.signed_in("alice");
    observed.take();
    assert_eq!(send(&alice, "POST", "/erase", "").body, "1");
    let erased = observed.take().remove(0);
    assert_eq!((erased.kind, erased.count), (EventKind::Erased, Some(1)));
    assert_eq!(erased.user.as_deref(), Some("alice"));
    assert_eq!(erased.requester, Some(firefox()));
}

#[test]
fn reauthentication_is_an_event_with_the_new_id() {
    let (site, observed) = start(Policy::new());
    let alice = site.signed_in("alice");
    let before = observed.take().remove(0).session;
    assert_eq!(send(&alice, "POST", "/confirm", "").body, "confirmed");
    let event = observed.take().remove(0);
    assert_eq!((event.kind, event.user.as_deref()), (EventKind::Reauthenticated, Some("alice")));
    assert_eq!(event.requester, Some(firefox()));
    let open = block_on(site.expire.sessions().list_active("alice")).unwrap();
    assert_eq!(event.session, Some(open[0].id));
    assert_ne!(event.session, before);
}

#[test]
fn confirmation_attempts_are_events_and_the_fifth_is_an_end() {
    let (site, observed) = start(Policy::new());
    let alice = site.signed_in("alice");
    observed.take();
    (0..5).for_each(|_| drop(send(&alice, "POST", "/wrong-password", "")));
    let mut events = observed.take();
    let ended = events.pop().unwrap();
    assert_eq!((ended.kind, ended.cause.as_deref()), (EventKind::Ended, Some("too_many_attempts")));
    let left: Vec<_> = events.iter().map(|event| (event.kind, event.attempts_left)).collect();
    assert_eq!(left, [4, 3, 2, 1, 0].map(|left| (EventKind::ConfirmationFailed, Some(left))));
    assert!(events.iter().all(|event| event.requester == Some(firefox())));
}

#[test]
fn events_of_an_impersonation_name_its_actor() {
    let (site, observed) = start(Policy::new());
    let agent = site.browser();
    assert_eq!(agent.request("POST", "/act-for").json("alice").send().body, "signed in");
    agent.post("/sign-out", "");
    agent.get("/private");
    for event in observed.take() {
        let names = (event.user.as_deref(), event.actor.as_deref());
        assert_eq!(names, (Some("alice"), Some("root")), "{:?}", event.kind);
    }
}

#[test]
fn impersonation_makes_no_device_known() {
    let (site, observed) = start(Policy::new());
    let agent = site.browser();
    assert_eq!(agent.request("POST", "/act-for").json("alice").send().body, "signed in");
    observed.take();
    drop(site.signed_in("alice"));
    let login = observed.take().remove(0);
    assert_eq!((login.seen_before, login.previous_login), (Some(false), None));
}

/// Blocks observers until the test calls `open`.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn wait(&self) {
        let (is_open, opened) = &*self.0;
        let is_open = is_open.lock().unwrap();
        drop(opened.wait_while(is_open, |is_open| !*is_open).unwrap());
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Returns a site whose asynchronous observer waits at the gate, and the middleware of the site.
fn with_gate(capacity: usize) -> (Site, SessionExpire, Gate, Observed) {
    let (gate, observed) = (Gate::default(), Observed::default());
    let observer = (gate.clone(), observed.clone());
    let site = Site::builder().customise(move |builder| {
        builder.event_queue_capacity(NonZeroUsize::new(capacity).unwrap()).async_observer(
            move |event| {
                let (gate, observed) = observer.clone();
                async move {
                    gate.wait();
                    observed.lock().push(event);
                }
            },
        )
    });
    let site = site.start();
    let expire = site.expire.clone();
    (site, expire, gate, observed)
}

#[test]
fn blocked_observer_delays_no_response() {
    let (site, expire, gate, observed) = with_gate(64);
    let users: Vec<_> = (0..20).map(|n| format!("user{n}")).collect();
    // With a blocked observer, any wait for it would last until the test's timeout.
    users.iter().for_each(|user| drop(site.signed_in(user)));
    assert!(observed.lock().is_empty());
    gate.open();
    assert!(block_on(expire.flush_events(minutes(5))));
    let names: Vec<_> = observed.take().into_iter().map(|event| event.user.unwrap()).collect();
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), users, "in their order");
}

#[test]
fn dropped_events_are_counted() {
    let (site, expire, gate, observed) = with_gate(2);
    (0..10).for_each(|n| drop(site.signed_in(&format!("user{n}"))));
    let dropped = expire.dropped_events();
    // The thread may hold one event besides the queue.
    assert!((7..=8).contains(&dropped), "{dropped}");
    gate.open();
    assert!(block_on(expire.flush_events(minutes(5))));
    let observed = observed.take();
    assert_eq!(observed.len() as u64 + dropped, 10);
    assert_eq!(observed[0].user.as_deref(), Some("user0"), "the newest are dropped");
}

#[test]
fn events_survive_the_end_of_their_worker() {
    let (site, expire, gate, observed) = with_gate(64);
    drop(site.signed_in("alice"));
    drop(site); // stops the server and its workers
    assert!(observed.lock().is_empty());
    gate.open();
    assert!(block_on(expire.flush_events(minutes(5))));
    assert_eq!(observed.take()[0].user.as_deref(), Some("alice"));
}

#[test]
fn observer_may_use_timers_of_its_runtime() {
    let observed = Observed::default();
    let observer = observed.clone();
    let site = Site::builder().customise(move |builder| {
        builder.async_observer(move |event| {
            let observed = observer.clone();
            async move {
                actix_web::rt::task::yield_now().await;
                actix_web::rt::time::sleep(std::time::Duration::ZERO).await;
                observed.lock().push(event);
            }
        })
    });
    let site = site.start();
    drop(site.signed_in("alice"));
    assert!(block_on(site.expire.flush_events(minutes(5))));
    assert_eq!(observed.take()[0].kind, EventKind::LoggedIn);
}
