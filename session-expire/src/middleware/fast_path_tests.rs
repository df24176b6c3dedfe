//! Property test of the fast paths.
//!
//! If [`is_settled`] returns `true`, [`settle`] writes nothing and returns the same response.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_session::{Session, SessionExt, storage::CookieSessionStore};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, to_bytes},
    cookie::Key,
    dev::ServiceResponse,
    http::{Method, StatusCode, header},
    rt::System,
    test::TestRequest,
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    test_runner::{Config as Cases, TestRunner},
};
use serde_json::value::RawValue;

use super::{SessionExpire, anonymous_request::AnonymousRequest};
use crate::{
    context::{
        RequestContext,
        load::LoadedSession,
        mounted::MountedApp,
        policy_stack::MergedPolicy,
        session_data::{AppSession, IDENTITY_KEY},
    },
    cookies::anonymous::AnonymousState,
    error::RegistryError,
    messages::flash::{FlashLevel, FlashMessage},
    policy::{Policy, PolicyPatch},
    registry::{
        Registry, StoredSession, UserExport,
        change::{ChangeListener, Subscription},
        end::{EndSessions, EndTarget},
        future::RegistryFuture,
        memory::MemoryRegistry,
        query::Query,
        rotation::{KeyRotation, RotationOutcome},
    },
    response::caching::CachingRule,
    session::{
        data::DataChanges,
        ended::Ended,
        key::RecordKey,
        limit::SessionLimit,
        login::ticket::LoginTicket,
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        reason::Reason,
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
    settle::{is_settled, respond::render_problem, settle},
    time::{Timestamp, clock::ManualClock, hours, minutes},
};

const UNTIL: Timestamp = Timestamp::from_millis(1_798_761_600_000);

/// Registry that counts its operations.
#[derive(Clone, Default)]
struct CountingRegistry {
    inner: Arc<MemoryRegistry>,
    calls: Arc<AtomicUsize>,
}

macro_rules! counted {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> RegistryFuture<'_, $out> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.inner.$name($($arg),*)
        })*
    };
}

impl Registry for CountingRegistry {
    counted! {
        load(key: RecordKey, count_open: bool) -> Option<StoredSession>;
        reserve(reservation: Reservation) -> ReserveOutcome;
        commit(login: NewLogin) -> LoginOutcome;
        issue_ticket(ticket: LoginTicket) -> ();
        count_confirmation_attempt(session: SessionRef, ended: Ended) -> Option<SessionRecord>;
        cancel(key: RecordKey, ended: Ended) -> ();
        update(session: SessionRef, update: SessionUpdate) -> UpdateOutcome;
        rotate(rotation: KeyRotation) -> RotationOutcome;
        end(end: EndSessions) -> Vec<SessionRecord>;
        enforce_limit(session: SessionRef, limit: SessionLimit, ended: Ended) -> Vec<SessionRecord>;
        list(query: Query) -> Vec<SessionRecord>;
        end_everyone(ended: Ended) -> u64;
        erase(user: Arc<str>) -> u64;
        export(user: Arc<str>) -> UserExport;
    }

    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        self.inner.subscribe(listener)
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    fn on_start(&self, _: Timestamp) {}

    fn is_shared(&self) -> bool {
        false
    }

    fn server_time(&self) -> Option<Timestamp> {
        self.inner.server_time()
    }
}

/// The session cookie of a request.
#[derive(Debug, Clone, Copy)]
enum SessionCookie {
    Active,
    Ended,
    Unknown,
    Invalid,
    Missing,
}

/// The anonymous cookie of a request.
#[derive(Debug, Clone, Copy)]
enum AnonymousCookie {
    Missing,
    Forged,
    Entries,
    Messages,
    LoginRedirect,
}

#[derive(Debug, Clone, Copy)]
enum Layer {
    Stricter,
    Laxer,
    Passive,
    Active,
    OneSession,
    Absolute,
    RequireLogin,
}

/// Step of a handler.
#[derive(Debug, Clone, Copy)]
enum HandlerStep {
    Read,
    InsertSame,
    InsertOther,
    InsertNew,
    Remove,
    Renew,
    Purge,
    Clear,
    ClearAndRefill,
    NameSameUser,
    NameOtherUser,
    NameNoString,
    RemoveUser,
    ShowMessages,
    PushMessage,
    KeepResponse,
    QueryStatus,
    SignOut,
    Reserve,
    IssueTicket,
    Wait(u64),
    SetClockBack(u64),
    EndElsewhere,
    EndDuringRequest,
}

#[derive(Debug, Clone)]
struct Scenario {
    cookie: SessionCookie,
    anonymous: AnonymousCookie,
    max_sessions: Option<u32>,
    has_user_policy: bool,
    others: u8,
    lag_millis: u64,
    is_adopted: bool,
    uncounted: bool,
    layers: Vec<Layer>,
    steps: Vec<HandlerStep>,
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    status: StatusCode,
    response_headers: Vec<(&'static str, &'static str)>,
    body: &'static str,
    /// `true` if the response is a problem of the middleware.
    is_problem: bool,
}

fn mostly<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    other: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    prop_oneof![6 => Just(usual), 4 => other].boxed()
}

fn steps() -> impl Strategy<Value = Vec<HandlerStep>> {
    use HandlerStep::*;
    let harmless = select(vec![Read, InsertSame, NameSameUser, ClearAndRefill, KeepResponse]);
    let other = select(vec![
        InsertOther,
        InsertNew,
        Remove,
        Renew,
        Purge,
        Clear,
        NameOtherUser,
        NameNoString,
        RemoveUser,
        ShowMessages,
        PushMessage,
        QueryStatus,
        SignOut,
        Reserve,
        IssueTicket,
        EndElsewhere,
        EndDuringRequest,
    ]);
    let wait = (0..700_u64).prop_map(Wait);
    let back = (0..100_u64).prop_map(SetClockBack);
    vec(prop_oneof![6 => harmless, 3 => other, 1 => wait, 1 => back], 0..4)
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    use AnonymousCookie as Anonymous;
    let cookie = select(vec![
        SessionCookie::Ended,
        SessionCookie::Unknown,
        SessionCookie::Invalid,
        SessionCookie::Missing,
        SessionCookie::Missing,
    ]);
    let anonymous = select(vec![
        Anonymous::Forged,
        Anonymous::Entries,
        Anonymous::Messages,
        Anonymous::LoginRedirect,
    ]);
    let lag = prop_oneof![Just(0), 0..2_000_u64, 9_000..11_000_u64, 0..700_000_u64];
    let layers = select(vec![
        Layer::Stricter,
        Layer::Laxer,
        Layer::Passive,
        Layer::Active,
        Layer::OneSession,
        Layer::Absolute,
        Layer::RequireLogin,
    ]);
    let session = (
        mostly(SessionCookie::Active, cookie),
        mostly(Anonymous::Missing, anonymous),
        mostly(None, (1..4_u32).prop_map(Some)),
        mostly(false, any::<bool>()),
        mostly(0, 0..3_u8),
        lag,
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.1),
    );
    let request = (
        vec(layers, 0..3),
        steps(),
        mostly(
            Method::GET,
            select(vec![Method::POST, Method::HEAD, Method::OPTIONS, Method::DELETE]),
        ),
        select(vec!["/page", "/login", "/session/status", "/"]),
        vec(
            select(vec![
                ("x-session-passive", "1"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-dest", "image"),
                ("sec-fetch-site", "cross-site"),
                ("sec-purpose", "prefetch"),
                ("hx-request", "true"),
                ("accept", "text/html"),
                ("accept", "application/json"),
            ]),
            0..4,
        ),
    );
    let response = (
        mostly(
            StatusCode::OK,
            select(vec![204_u16, 301, 303, 304, 400, 401, 403, 404, 409, 500, 503])
                .prop_map(|status| StatusCode::from_u16(status).unwrap()),
        ),
        vec(
            select(vec![
                ("cache-control", "public, max-age=600"),
                ("expires", "0"),
                ("etag", "\"1\""),
                ("vary", "Accept"),
                ("vary", "cookie"),
                ("content-type", "application/problem+json"),
                ("content-type", "text/html"),
                ("www-authenticate", "Basic"),
                ("set-cookie", "theme=dark"),
            ]),
            0..3,
        ),
        option::of(Just("text")).prop_map(Option::unwrap_or_default),
        prop::bool::weighted(0.1),
    );
    (session, request, response).prop_map(|(session, request, response)| Scenario {
        cookie: session.0,
        anonymous: session.1,
        max_sessions: session.2,
        has_user_policy: session.3,
        others: session.4,
        lag_millis: session.5,
        is_adopted: session.6,
        uncounted: session.7,
        layers: request.0,
        steps: request.1,
        method: request.2,
        path: request.3,
        headers: request.4,
        status: response.0,
        response_headers: response.1,
        body: response.2,
        is_problem: response.3,
    })
}

impl Layer {
    fn patch(self) -> PolicyPatch {
        let patch = PolicyPatch::new();
        match self {
            Self::Stricter => patch.idle(minutes(1)),
            Self::Laxer => patch.idle(hours(1)),
            Self::Passive => patch.passive(true),
            Self::Active => patch.passive(false),
            Self::OneSession => patch.max_sessions(1),
            Self::Absolute => patch.absolute(minutes(5)),
            Self::RequireLogin => patch.require_login(true),
        }
    }
}

/// Application that receives one request.
struct TestApp {
    registry: CountingRegistry,
    clock: ManualClock,
    expire: SessionExpire,
    key: RecordKey,
}

impl TestApp {
    async fn new(scenario: &Scenario) -> Self {
        let (registry, clock) = (CountingRegistry::default(), ManualClock::default());
        let mut policy = Policy::new().idle(minutes(10));
        if let Some(most) = scenario.max_sessions {
            policy = policy.max_sessions(most);
        }
        let mut builder = SessionExpire::builder(policy)
            .plain_http(true)
            .cookie_key(Key::from(&[7; 64]))
            .clock(clock.clone())
            .registry(registry.clone())
            .migrate_from("old", Key::from(&[9; 64]), CookieSessionStore::default(), UNTIL);
        if scenario.has_user_policy {
            builder = builder.user_policy(|_| async { PolicyPatch::new().idle(minutes(20)) });
        }
        let expire = builder.build().unwrap();
        let mut login = NewLogin::new("alice", expire.config().now(), &Policy::new());
        login.uncounted = scenario.uncounted;
        login.data.apply(&cart()).unwrap();
        let (key, id) = (login.key, login.id);
        registry.commit(login).await.unwrap();
        for _ in 0..scenario.others {
            let other = NewLogin::new("alice", expire.config().now(), &Policy::new());
            registry.commit(other).await.unwrap();
        }
        let app = Self { registry, clock, expire, key };
        if matches!(scenario.cookie, SessionCookie::Ended) {
            app.end(SessionRef { user: "alice".into(), id }).await;
        }
        app.clock.advance(std::time::Duration::from_millis(scenario.lag_millis));
        app
    }

    async fn end(&self, session: SessionRef) {
        let ended = Ended::new(Reason::Revoked, self.expire.config().now());
        let ends = EndSessions::new(EndTarget::Session(session), ended);
        self.registry.end(ends).await.unwrap();
    }

    fn cookies(&self, scenario: &Scenario) -> String {
        let session = match scenario.cookie {
            SessionCookie::Active | SessionCookie::Ended => format!("id={}; ", self.key.expose()),
            SessionCookie::Unknown => format!("id={}; ", RecordKey::random("bob").expose()),
            SessionCookie::Invalid => "id=short; ".to_owned(),
            SessionCookie::Missing => String::new(),
        };
        let mut state = AnonymousState::default();
        match scenario.anonymous {
            AnonymousCookie::Missing => return session,
            AnonymousCookie::Forged => return session + "anonymous=forged",
            AnonymousCookie::Entries => state.data.apply(&cart()).unwrap(),
            AnonymousCookie::Messages => state.messages.push(message().into()),
            AnonymousCookie::LoginRedirect => state.login_redirect = Some("/login".to_owned()),
        }
        let config = self.expire.config();
        let cookie = config.cookies.anonymous_cookie(state, config.now()).unwrap();
        format!("{session}anonymous={}", cookie.value())
    }

    fn request(&self, scenario: &Scenario, mounted: &Rc<MountedApp>) -> HttpRequest {
        let request = TestRequest::with_uri(scenario.path).method(scenario.method.clone());
        let request = request.insert_header((header::COOKIE, self.cookies(scenario)));
        let request = request.app_data(Rc::clone(mounted));
        let headers = scenario.headers.iter();
        headers.fold(request, |request, header| request.insert_header(*header)).to_http_request()
    }

    /// Creates the context of a request with cookies, as the middleware does.
    async fn start(&self, scenario: &Scenario, mounted: &Rc<MountedApp>, req: &HttpRequest) {
        let config = self.expire.config();
        let session = AppSession::from_request(req, config.identity_key);
        let mut cookies = config.cookies.read(req.headers(), || config.now());
        cookies.is_adopted = scenario.is_adopted;
        let loaded = match cookies.key {
            Some(key) => {
                let load = LoadedSession::load(config, key, mounted.counts_sessions());
                LoadedSession::new(config, key, load.await)
            }
            None => LoadedSession::Anonymous,
        };
        RequestContext::start(Rc::clone(mounted), session, cookies, loaded, req);
    }

    async fn step(&self, step: HandlerStep, req: &HttpRequest) {
        let (session, context) = (req.get_session(), || RequestContext::get(req).unwrap());
        match step {
            HandlerStep::Read => drop(session.get::<u32>("cart")),
            HandlerStep::InsertSame => session.insert("cart", 1).unwrap(),
            HandlerStep::InsertOther => session.insert("cart", 2).unwrap(),
            HandlerStep::InsertNew => session.insert("new", "é\"").unwrap(),
            HandlerStep::Remove => drop(session.remove("cart")),
            HandlerStep::Renew => session.renew(),
            HandlerStep::Purge => session.purge(),
            HandlerStep::Clear => session.clear(),
            HandlerStep::ClearAndRefill => refill(&session),
            HandlerStep::NameSameUser => session.insert(IDENTITY_KEY, "alice").unwrap(),
            HandlerStep::NameOtherUser => session.insert(IDENTITY_KEY, "bob").unwrap(),
            HandlerStep::NameNoString => session.insert(IDENTITY_KEY, true).unwrap(),
            HandlerStep::RemoveUser => drop(session.remove(IDENTITY_KEY)),
            HandlerStep::ShowMessages => drop(context().show_messages(req)),
            HandlerStep::PushMessage => context().push_message(message()),
            HandlerStep::KeepResponse => {
                context().update_intent(|intent| intent.keeps_response = true);
            }
            HandlerStep::QueryStatus => {
                context().update_intent(|intent| intent.queries_status = true);
            }
            HandlerStep::SignOut => {
                context().update_intent(|intent| intent.signs_out = true);
                session.purge();
            }
            HandlerStep::Reserve => {
                drop(
                    context()
                        .reserve_login("alice".to_owned(), &PolicyPatch::new().into(), req)
                        .await,
                );
            }
            HandlerStep::IssueTicket => {
                drop(context().issue_ticket("bob", PolicyPatch::new().into()).await);
            }
            HandlerStep::Wait(seconds) => {
                self.clock.advance(std::time::Duration::from_secs(seconds));
                RequestContext::existing(req).inspect(|context| context.set_waiting());
            }
            HandlerStep::SetClockBack(seconds) => {
                self.clock.step_back(std::time::Duration::from_secs(seconds));
                RequestContext::existing(req).inspect(|context| context.set_waiting());
            }
            HandlerStep::EndElsewhere => {
                let context = RequestContext::existing(req);
                if let Some(loaded) = context.as_ref().and_then(|context| context.record()) {
                    self.end(loaded.record.session_ref()).await;
                }
            }
            HandlerStep::EndDuringRequest => {
                let ended = Ended::new(Reason::Revoked, Timestamp::from_millis(0));
                context().end_during_request(ended);
            }
        }
    }
}

fn cart() -> DataChanges {
    let mut changes = DataChanges::default();
    changes.set("cart", RawValue::from_string("1".to_owned()).unwrap());
    changes
}

fn message() -> FlashMessage {
    FlashMessage::new(FlashLevel::Info, "saved")
}

fn refill(session: &Session) {
    let entries = session.entries().clone();
    session.clear();
    for (name, json) in entries {
        session.insert(name, RawValue::from_string(json).unwrap()).unwrap();
    }
}

type Response = ServiceResponse<EitherBody<BoxBody>>;

fn response(scenario: &Scenario, req: &HttpRequest) -> Response {
    if scenario.is_problem {
        let problem = RegistryError::new("load a record", "timed out").error_response();
        return ServiceResponse::new(req.clone(), problem).map_into_left_body();
    }
    let mut builder = HttpResponse::build(scenario.status);
    for header in &scenario.response_headers {
        builder.append_header(*header);
    }
    let response = builder.body(scenario.body);
    ServiceResponse::new(req.clone(), response).map_into_left_body()
}

/// Returns status, headers and body of a response.
async fn rendered(res: Response) -> (StatusCode, Vec<(String, String)>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = res.headers().iter();
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    headers.sort();
    let status = res.status();
    let body = to_bytes(res.into_body()).await.ok().unwrap();
    (status, headers, text(&body))
}

/// Path of a response that needs no settling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FastPath {
    SignedIn,
    AnonymousRequest,
}

impl FastPath {
    fn caching(self) -> CachingRule {
        match self {
            Self::SignedIn => CachingRule::PrivatePage,
            Self::AnonymousRequest => CachingRule::VaryCookie,
        }
    }
}

/// Returns the fast path of a request, if any. Checks that full settling has the same result.
async fn fast_path(scenario: &Scenario) -> Option<FastPath> {
    let app = TestApp::new(scenario).await;
    let mounted = Rc::new(MountedApp::new(Arc::clone(app.expire.config())).unwrap());
    let req = app.request(scenario, &mounted);
    let session = AppSession::from_request(&req, IDENTITY_KEY);
    let is_anonymous = app.cookies(scenario).is_empty() && req.method().is_safe();
    let anonymous = is_anonymous.then(|| AnonymousRequest::new(&mounted, session, &req));
    if !is_anonymous {
        app.start(scenario, &mounted, &req).await;
    }
    for layer in &scenario.layers {
        let (patch, context) = (layer.patch(), RequestContext::get(&req).unwrap());
        let _ = context.add_layer(
            &patch,
            |below| MergedPolicy::new(&patch, below, context.config()),
            &req,
        );
        context.refuses(&req);
    }
    for step in &scenario.steps {
        app.step(*step, &req).await;
    }
    let res = response(scenario, &req);
    let taken = match (&anonymous, RequestContext::existing(&req)) {
        (Some(anonymous), _) if anonymous.is_settled(&res) => Some(FastPath::AnonymousRequest),
        (None, Some(context)) => {
            context.record_completion();
            is_settled(&context, &req, res.status()).then_some(FastPath::SignedIn)
        }
        _ => None,
    };
    if let Some(taken) = taken {
        assert_same(scenario, &app, taken, res, &req).await;
    }
    req.extensions_mut().clear();
    taken
}

async fn assert_same(
    scenario: &Scenario,
    app: &TestApp,
    taken: FastPath,
    mut fast: Response,
    req: &HttpRequest,
) {
    taken.caching().apply(fast.headers_mut());
    let fast = rendered(render_problem(app.expire.config(), fast)).await;
    let before = app.registry.calls.load(Ordering::Relaxed);
    let context = RequestContext::get(req).unwrap();
    let full = rendered(settle(&context, response(scenario, req)).await).await;
    assert_eq!(full, fast, "{scenario:?}");
    let calls = app.registry.calls.load(Ordering::Relaxed) - before;
    assert_eq!(calls, 0, "{scenario:?}");
}

#[test]
fn fast_path_has_same_result_as_settling() {
    let (system, taken) = (System::new(), RefCell::new(Vec::new()));
    let cases = Cases { cases: 2_000, failure_persistence: None, ..Cases::default() };
    let outcome = TestRunner::new(cases).run(&scenarios(), |scenario| {
        taken.borrow_mut().push(system.block_on(fast_path(&scenario)));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    for (path, least) in
        [(Some(FastPath::SignedIn), 100), (Some(FastPath::AnonymousRequest), 3), (None, 500)]
    {
        let count = taken.borrow().iter().filter(|taken| **taken == path).count();
        assert!(count >= least, "{path:?}: only {count} of the requests");
    }
}
