//! Configuration warnings.
//!
//! Each is logged once per application, even with several workers.

mod confirm_page;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use actix_web::HttpRequest;

use self::confirm_page::ConfirmPage;
use crate::{session::key::PublicId, time::Timestamp};

/// Number of stored sessions without any user after which a warning is logged.
const SESSIONS_WITHOUT_USER: u32 = 100;

/// Warnings that were logged for one application.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    unknown_session: OnceFlag,
    missing_endpoints: OnceFlag,
    endpoints_checked: OnceFlag,
    other_session_layer: OnceFlag,
    same_user_login: OnceFlag,
    no_user: OnceFlag,
    no_fresh: OnceFlag,
    sessions_without_user: AtomicU32,
    confirm_page: ConfirmPage,
}

/// Flag that is set once.
#[derive(Debug, Default)]
struct OnceFlag(AtomicBool);

impl OnceFlag {
    /// Returns `true` on the first call only.
    fn is_first(&self) -> bool {
        !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed)
    }
}

impl Diagnostics {
    /// Warns that the registry does not know the session of a request.
    pub(crate) fn warn_unknown_session(&self) {
        if self.unknown_session.is_first() {
            tracing::warn!(
                event = "sys_unknown_session",
                "unknown session; expected after a restart with a MemoryRegistry, otherwise build \
                 SessionExpire once, outside the closure of HttpServer::new"
            );
        }
    }

    /// Logs an error if a page uses endpoints that the application does not mount.
    pub(crate) fn warn_missing_endpoints(&self, prefix: &str, req: &HttpRequest) {
        if !self.endpoints_checked.is_first() {
            return;
        }
        let status = format!("{prefix}/status");
        if !req.resource_map().has_resource(&status) && self.missing_endpoints.is_first() {
            tracing::error!(
                event = "sys_missing_endpoints",
                path = status,
                "endpoints not mounted; add `.service(expire.endpoints())` to the App"
            );
        }
    }

    /// Logs an error about a second session layer, `position` (outside or inside) of the
    /// middleware.
    pub(crate) fn error_other_session_layer(&self, position: &'static str) {
        if self.other_session_layer.is_first() {
            tracing::error!(
                event = "sys_other_session_layer",
                position,
                "second session layer; remove `.wrap(SessionMiddleware…)`, because SessionExpire \
                 provides `Session` and `Identity`"
            );
        }
    }

    /// Returns `true` if a session was refused because it is not fresh, and has not been confirmed
    /// since.
    pub(crate) fn awaits_confirmation(&self) -> bool {
        self.confirm_page.is_awaited()
    }

    /// Records that the confirmation page has responded without an error. `is_confirmed` is `true`
    /// if the user has authenticated.
    pub(crate) fn record_confirm_page(
        &self,
        session: PublicId,
        is_confirmed: bool,
        now: Timestamp,
    ) {
        self.confirm_page.record_success(session, is_confirmed, now);
    }

    /// Records that a session was refused at `path` because it is not fresh. Logs an error if the
    /// confirmation page has just responded without confirming the session.
    pub(crate) fn record_stale_session(&self, session: PublicId, path: &str, now: Timestamp) {
        if self.confirm_page.record_refusal(session, path, now) {
            tracing::error!(
                event = "sys_not_confirmed",
                path,
                "confirmation page has not confirmed the session; call SessionHandle::confirm after \
                 checking the credentials (Identity::login does not make a session fresh)"
            );
        }
    }

    /// Warns that `Identity::login` was called for the signed-in user shortly before the session
    /// ends.
    pub(crate) fn warn_same_user_login(&self) {
        if self.same_user_login.is_first() {
            tracing::warn!(
                event = "sys_same_user_login",
                "Identity::login of the signed-in user renews the session key but not the \
                 timeouts; call SessionHandle::sign_in to start a new session"
            );
        }
    }

    /// Warns that a declared standard requires re-authentication, but no mounted policy sets
    /// `fresh`.
    pub(crate) fn warn_no_fresh(&self) {
        if self.no_fresh.is_first() {
            tracing::warn!(
                event = "sys_no_fresh",
                requirement = "ASVS 5.0 7.5.1",
                "no mounted policy sets `fresh`; a handler whose policy is an argument may set it"
            );
        }
    }

    /// Counts a stored session of an anonymous visitor. Warns if there were many and no user.
    pub(crate) fn count_session_without_user(&self) {
        let seen = self.sessions_without_user.fetch_add(1, Ordering::Relaxed);
        if seen == SESSIONS_WITHOUT_USER && self.no_user.is_first() {
            tracing::warn!(
                event = "sys_no_user",
                "many sessions without a user; if the application stores the user id in an \
                 entry of its own, set `identity_key`"
            );
        }
    }

    /// Records that the application has users.
    pub(crate) fn record_user(&self) {
        // Load first: a store on every request would contend for the cache line.
        if !self.no_user.0.load(Ordering::Relaxed) {
            self.no_user.0.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::{
        fmt::Write,
        sync::{Arc, Mutex},
    };

    use actix_identity::Identity;
    use actix_session::{Session, SessionMiddleware, storage::CookieSessionStore};
    use actix_web::{
        App, HttpMessage, HttpRequest, HttpResponse,
        cookie::Key,
        http::Method,
        test::{TestRequest, init_service, try_call_service},
        web,
    };
    use tracing::{Event, Level, Subscriber, field::Visit, subscriber::DefaultGuard};
    use tracing_subscriber::{
        Layer, Registry,
        layer::{Context, SubscriberExt},
    };

    use super::{Ordering, SESSIONS_WITHOUT_USER};
    use crate::{
        Policy, PolicyPatch, SessionExpire, SessionHandle, SessionVars, clock::ManualClock, minutes,
    };

    /// Collects warnings and errors, with level, `event` and `position`.
    #[derive(Clone, Default)]
    struct EventLog(Arc<Mutex<Vec<String>>>);

    impl EventLog {
        fn start() -> (Self, DefaultGuard) {
            let log = Self::default();
            let subscriber = Registry::default().with(log.clone());
            (log, tracing::subscriber::set_default(subscriber))
        }

        fn take(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl<S: Subscriber> Layer<S> for EventLog {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let level = *event.metadata().level();
            if level <= Level::WARN && event.metadata().target().starts_with("session_expire") {
                let mut fields = Fields(level.to_string());
                event.record(&mut fields);
                self.0.lock().unwrap().push(fields.0);
            }
        }
    }

    struct Fields(String);

    impl Visit for Fields {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            if matches!(field.name(), "event" | "position") {
                write!(self.0, " {value:?}").unwrap();
            }
        }

        fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    async fn own_login(session: Session) -> HttpResponse {
        session.insert("user_id", "alice").unwrap();
        HttpResponse::Ok().finish()
    }

    async fn login(req: HttpRequest) -> HttpResponse {
        Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
        HttpResponse::Ok().finish()
    }

    async fn vars(_: SessionVars) -> &'static str {
        "page"
    }

    fn routes(cfg: &mut web::ServiceConfig) {
        cfg.route("/own-login", web::post().to(own_login))
            .route("/login", web::post().to(login))
            .route("/vars", web::get().to(vars));
    }

    fn expire() -> SessionExpire {
        let builder = SessionExpire::builder(Policy::new().idle(minutes(10))).plain_http(true);
        builder.clock(ManualClock::default()).build().unwrap()
    }

    macro_rules! app {
        ($expire:expr) => {
            init_service(App::new().configure(routes).wrap($expire.clone())).await
        };
    }

    /// Sends a request and returns the cookies of its response, as a browser sends them back.
    macro_rules! send {
        ($app:expr, $method:expr, $path:expr, $cookies:expr) => {{
            let request = TestRequest::with_uri($path).method($method);
            let request = request.insert_header(("cookie", $cookies));
            let response = try_call_service(&$app, request.to_request()).await.unwrap();
            let cookies = response.response().cookies();
            let pairs: Vec<_> = cookies.map(|c| format!("{}={}", c.name(), c.value())).collect();
            pairs.join("; ")
        }};
    }

    #[actix_web::test]
    async fn sessions_without_user_are_logged_once() {
        let (log, _guard) = EventLog::start();
        let app = app!(expire());
        for seen in 0..3 * SESSIONS_WITHOUT_USER {
            send!(app, Method::POST, "/own-login", "");
            let expected: &[&str] =
                if seen == SESSIONS_WITHOUT_USER { &["WARN sys_no_user"] } else { &[] };
            assert_eq!(log.take(), expected, "after {seen}");
        }
    }

    #[actix_web::test]
    async fn sessions_with_a_user_are_not_logged() {
        let (log, _guard) = EventLog::start();
        let app = app!(expire());
        for seen in 0..3 * SESSIONS_WITHOUT_USER {
            send!(app, Method::POST, "/own-login", "");
            if seen == SESSIONS_WITHOUT_USER / 2 {
                send!(app, Method::POST, "/login", "");
            }
        }
        assert!(log.take().is_empty());
    }

    // After a restart, the requests of signed-in users might not write anything.
    #[actix_web::test]
    async fn request_of_signed_in_user_records_user() {
        let expire = expire();
        let app = app!(expire);
        let cookie = send!(app, Method::POST, "/login", "");
        let has_seen_user = &expire.config().diagnostics.no_user.0;
        has_seen_user.store(false, Ordering::Relaxed);
        send!(app, Method::GET, "/nowhere", "");
        assert!(!has_seen_user.load(Ordering::Relaxed));
        send!(app, Method::GET, "/nowhere", cookie);
        assert!(has_seen_user.load(Ordering::Relaxed));
    }

    #[actix_web::test]
    async fn second_session_layer_is_logged_once_per_app() {
        let (log, _guard) = EventLog::start();
        let layer = || {
            let store = CookieSessionStore::default();
            let builder = SessionMiddleware::builder(store, Key::from(&[7; 64]));
            builder.cookie_secure(false).cookie_name("old".to_owned()).build()
        };
        for _ in 0..2 {
            let expire = expire();
            // Two workers of one application.
            for _ in 0..2 {
                let app = App::new().configure(routes).wrap(layer()).wrap(expire.clone());
                let app = init_service(app).await;
                for _ in 0..3 {
                    send!(app, Method::POST, "/login", "");
                }
            }
            assert_eq!(log.take(), ["ERROR sys_other_session_layer inside"]);
        }
        let app = App::new().configure(routes).wrap(expire()).wrap(layer());
        let app = init_service(app).await;
        // A session of the outer layer.
        let cookie = {
            let other = App::new().configure(routes).wrap(layer());
            send!(init_service(other).await, Method::POST, "/own-login", "")
        };
        for _ in 0..3 {
            send!(app, Method::GET, "/vars", cookie.clone());
        }
        assert_eq!(log.take(), ["ERROR sys_other_session_layer outside"]);
    }

    #[actix_web::test]
    async fn unknown_session_is_logged_once_per_app() {
        let (log, _guard) = EventLog::start();
        for _ in 0..2 {
            let app = app!(expire());
            for n in 0..5 {
                let cookie = format!("id={}", "abcde"[n..=n].repeat(30));
                send!(app, Method::GET, "/vars", cookie);
            }
            let warned = log.take().into_iter().filter(|line| line.contains(" sys_unknown"));
            assert_eq!(warned.collect::<Vec<_>>(), ["WARN sys_unknown_session"]);
        }
    }

    #[actix_web::test]
    async fn missing_endpoints_are_logged_once_per_app() {
        let (log, _guard) = EventLog::start();
        let app = app!(expire());
        let cookie = send!(app, Method::POST, "/login", "");
        for _ in 0..3 {
            send!(app, Method::GET, "/vars", cookie.clone());
        }
        assert_eq!(log.take().len(), 1);
    }

    #[actix_web::test]
    async fn correct_configuration_logs_no_warning() {
        let (log, _guard) = EventLog::start();
        let expire = expire();
        let app = App::new().configure(routes).service(expire.endpoints()).wrap(expire.clone());
        let app = init_service(app).await;
        let cookie = send!(app, Method::POST, "/login", "");
        for path in ["/vars", "/nowhere", "/session/status"] {
            send!(app, Method::GET, path, cookie.clone());
            send!(app, Method::GET, path, "");
        }
        assert!(log.take().is_empty());
    }

    /// Confirms the session, or makes the usual mistake.
    async fn confirm(
        req: HttpRequest,
        session: SessionHandle,
        path: web::Path<String>,
    ) -> HttpResponse {
        match path.as_str() {
            "right" => session.confirm("alice").unwrap(),
            // A page that responds to a wrong password with 200 or a redirect.
            "fail" => drop(session.confirm_failed().await.unwrap()),
            "renew" => drop(Identity::login(&req.extensions(), "alice".to_owned()).unwrap()),
            _ => {}
        }
        HttpResponse::Ok().finish()
    }

    #[actix_web::test]
    async fn confirmation_page_that_confirms_nothing_is_logged() {
        for (how, is_logged) in
            [("right", false), ("fail", false), ("renew", true), ("nothing", true)]
        {
            let (log, _guard) = EventLog::start();
            let clock = ManualClock::default();
            let policy = Policy::new().confirm_url(format!("/confirm/{how}"));
            let builder = SessionExpire::builder(policy).plain_http(true).clock(clock.clone());
            let fresh = PolicyPatch::new().fresh(minutes(1));
            let app = App::new()
                .configure(routes)
                .route("/confirm/{how}", web::post().to(confirm))
                .service(web::resource("/settings").wrap(fresh).to(HttpResponse::Ok))
                .wrap(builder.build().unwrap());
            let app = init_service(app).await;
            let mut cookie = send!(app, Method::POST, "/login", "");
            clock.advance(minutes(2));
            send!(app, Method::GET, "/settings", cookie.clone());
            let renewed = send!(app, Method::POST, &format!("/confirm/{how}"), cookie.clone());
            if !renewed.is_empty() {
                cookie = renewed;
            }
            let failed = log.take();
            assert!(failed.iter().all(|line| line.contains("authn_login_fail")), "{failed:?}");
            send!(app, Method::GET, "/settings", cookie);
            let expected: &[&str] = if is_logged { &["ERROR sys_not_confirmed"] } else { &[] };
            assert_eq!(log.take(), expected, "{how}");
        }
    }
}
