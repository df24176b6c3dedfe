//! Ends the sessions of an [Actix Web](actix_web) application properly.
//!
//! ```no_run
//! use actix_identity::{Identity, IdentityMiddleware};
//! use actix_session::{SessionMiddleware, storage::CookieSessionStore};
//! use actix_web::{App, HttpServer, Responder, cookie::Key, get};
//! use session_expire::{Policy, SessionExpire, hours, minutes, session_policy};
//!
//! #[get("/")]
//! async fn dashboard(user: Identity) -> impl Responder {
//!     format!("Hello {}", user.id().unwrap_or_default())
//! }
//!
//! #[session_policy(idle = "1m")]
//! #[get("/vault")]
//! async fn vault(_user: Identity) -> impl Responder {
//!     "whoever rests for a minute has to sign in again"
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let key = Key::generate();
//!     let expire = SessionExpire::builder(Policy::new().idle(minutes(10)).absolute(hours(8))).build()?;
//!     let app = move || {
//!         App::new()
//!             .service(dashboard)
//!             .service(vault)
//!             .service(expire.endpoints())
//!             .wrap(expire.clone())
//!             .wrap(IdentityMiddleware::default())
//!             .wrap(SessionMiddleware::new(CookieSessionStore::default(), key.clone()))
//!     };
//!     HttpServer::new(app).bind(("127.0.0.1", 8080))?.run().await?;
//!     Ok(())
//! }
//! ```
//!
//! - What a session may do is a [`Policy`]; a [`PolicyPatch`] or [`session_policy`] changes it for
//!   some handlers. [`judge`] holds it against what the [`Registry`] knows.
//! - [`SessionExpire`] is the middleware; its [`Builder`] has the options.
//! - Handlers ask [`SessionHandle`], [`SessionVars`] and [`FlashMessages`]; pages ask the
//!   [`endpoints`].

mod cancellation;
mod choice;
mod claim;
mod clock;
mod config;
mod context;
mod cookies;
mod diagnostics;
mod dialog;
mod endpoints;
mod error;
mod event;
mod extract;
mod facts;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzed;
mod judge;
mod limit;
mod local_path;
mod messages;
mod middleware;
mod migration;
mod policy;
mod registry;
mod request;
mod response;
mod sessions;
mod settle;
mod time;
mod words;

pub use clock::{Clock, ManualClock, SystemClock};
pub use dialog::{html::Markup, texts::DialogTexts};
pub use error::{ConfigError, DurationError, RegistryError, SetupError};
pub use event::Event;
pub use extract::{
    flash_messages::FlashMessages,
    session_handle::{SessionHandle, SignInError},
    session_vars::{Seconds, SessionVars},
};
pub use facts::{Facts, Reason, UnknownReason};
pub use judge::{Deadlines, Verdict, judge};
pub use limit::{Limit, Limits, Overflow};
pub use local_path::{LONGEST_PATH, local_path};
pub use messages::{
    flash::{FlashMessage, Level},
    notice::{Languages, Notice},
};
pub use middleware::{SessionExpire, builder::SessionExpireBuilder};
pub use policy::{Policy, PolicyPatch};
#[cfg(feature = "conformance")]
pub use registry::conformance;
#[cfg(feature = "redis")]
pub use registry::redis::{RedisConnectError, RedisRegistry};
#[cfg(feature = "sqlite")]
pub use registry::sqlite::{SqliteError, SqliteRegistry};
pub use registry::{
    Loaded, Registry, UserExport,
    data::{DataChanges, DataTooLarge, SessionData, StoredMessage},
    end::{EndSessions, EndTarget},
    future::RegistryFuture,
    key::{PublicId, RecordKey, SigningKey, partition_key},
    login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
    memory::MemoryRegistry,
    query::Query,
    record::{Client, Ended, SessionRecord, SessionRef, SessionUpdate, UpdateOutcome},
    room::{OpenSession, SessionLimit},
    rotation::{KeyRotation, RotationOutcome},
};
pub use request::{client_ip::TrustedProxy, origin::is_cross_site, user_agent::device_name};
/// A stricter or laxer session for one handler, one scope or one module.
///
/// ```
/// use session_expire::session_policy;
///
/// #[session_policy(idle = "5m", login_url = "/reports/login")]
/// mod reports {
///     use actix_web::get;
///     use session_expire::{SessionHandle, session_policy};
///
///     #[session_policy(idle = "1m")]
///     #[get("/salaries")]
///     pub async fn salaries(session: SessionHandle) -> String {
///         let policy = session.policy();
///         format!("{:?} {}", policy.idle.at(), policy.login_url) // Some(60s) /reports/login
///     }
/// }
/// # use actix_identity::IdentityMiddleware;
/// # use actix_session::{SessionMiddleware, storage::CookieSessionStore};
/// # use actix_web::{App, cookie::Key, test::{self, TestRequest, call_and_read_body}};
/// # use session_expire::{Policy, SessionExpire};
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let expire = SessionExpire::builder(Policy::new()).build()?;
/// # let app = test::init_service(
/// #     App::new()
/// #         .service(reports::salaries)
/// #         .wrap(expire)
/// #         .wrap(IdentityMiddleware::default())
/// #         .wrap(SessionMiddleware::new(CookieSessionStore::default(), Key::generate())),
/// # )
/// # .await;
/// # let request = TestRequest::get().uri("/salaries").to_request();
/// # assert_eq!(call_and_read_body(&app, request).await, "Some(60s) /reports/login");
/// # Ok(()) }
/// ```
pub use session_expire_macros::session_policy;
pub use sessions::Sessions;
pub use time::{Timestamp, days, format_duration, hours, minutes, parse_duration, seconds};
pub use words::limit;

/// Pages to read.
pub mod guide {
    // For the links in them.
    #[cfg(doc)]
    use crate::*;

    #[doc = include_str!("../docs/policy.md")]
    pub mod policy {}
    #[doc = include_str!("../docs/dialog.md")]
    pub mod dialog {}
    // It names what only some features have.
    #[cfg(all(feature = "redis", feature = "sqlite"))]
    #[doc = include_str!("../docs/deployment.md")]
    pub mod deployment {}
    #[doc = include_str!("../docs/threats.md")]
    pub mod threats {}
    #[doc = include_str!("../docs/migration.md")]
    pub mod migration {}
}

/// What the output of `#[session_policy]` names. Not for use by hand: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::middleware::policy_layer::{HandlerPolicy, PolicyExtractor, WrapWithPolicy};
    pub use actix_web;
}
