//! Session security for [Actix Web](actix_web): idle and absolute timeouts, session limits, and
//! sign-out that revokes.
//!
//! One `wrap` provides [`Session`](actix_session::Session) and
//! [`Identity`](actix_identity::Identity) to handlers, and ends sessions on the server. Neither
//! `SessionMiddleware` nor `IdentityMiddleware` is wrapped.
//!
//! ```no_run
//! use actix_identity::Identity;
//! use actix_web::{App, HttpServer, get, post, web};
//! use session_expire::{Policy, SessionExpire, SessionHandle, SignInError, hours, minutes};
//! use session_expire::session_policy;
//!
//! #[post("/login")]
//! async fn login(session: SessionHandle) -> Result<web::Redirect, SignInError> {
//!     session.sign_in("alice").await?; // after the password was checked
//!     Ok(web::Redirect::to("/vault").see_other())
//! }
//!
//! #[session_policy(idle = "1m")]
//! #[get("/vault")]
//! async fn vault(_user: Identity) -> &'static str {
//!     "signed out after one idle minute"
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let policy = Policy::new().idle(minutes(10)).absolute(hours(8));
//!     let expire = SessionExpire::builder(policy).build()?;
//!     let app = move || {
//!         App::new()
//!             .service((login, vault))
//!             .service(expire.endpoints())
//!             .wrap(expire.clone())
//!     };
//!     HttpServer::new(app).bind(("127.0.0.1", 8080))?.run().await?;
//!     Ok(())
//! }
//! ```
//!
//! # Contents
//!
//! | to | use |
//! |---|---|
//! | configure the middleware | [`SessionExpire`], [`SessionExpireBuilder`] |
//! | set timeouts and limits | [`Policy`], [`PolicyPatch`], [`session_policy`], [`Limit`], [`Overflow`] |
//! | sign in and out, read the session | [`SessionHandle`] |
//! | send a message to the next page | [`FlashMessages`] |
//! | show countdowns and the warning dialog | [`SessionVars`], [`DialogTexts`] |
//! | serve the dialog's script, status and keep-alive | [`SessionExpire::endpoints`] |
//! | list and end sessions | [`Sessions`], [`Query`], [`SessionRecord`] |
//! | choose where sessions are stored | [`MemoryRegistry`], `SqliteRegistry`, `RedisRegistry`, [`Registry`] |
//! | observe logins, ends and failures | [`Event`] |
//! | test without sleeping | [`ManualClock`] |
//! | read on | [`guide`] |
//!
//! # Terms
//!
//! - A session is **open** until it ends, and **active** while it is open and not expired.
//! - A session record is what the [`Registry`] stores of a session: user, times, login, data.
//! - An ended session has a [`Reason`] from a fixed list, and may have a cause, which is a word of the
//!   application such as `password_changed`.
//! - The **history** holds ended sessions to be shown. A **tombstone** is an ended record that is kept
//!   only to give the reason.
//! - A **challenge** asks the client to sign in: a redirect for browsers, a 401 for others.
//! - A **passive** request is checked and does not count as activity of the user.
//! - An expired session is **suspended** for inner layers, and **restored** for a layer with a laxer
//!   policy.
//!
//! # Features
//!
//! None is enabled by default.
//!
//! | feature | adds |
//! |---|---|
//! | `askama` | [`SessionVars`] in Askama templates without the filter `safe` |
//! | `sqlite` | `SqliteRegistry`: durable, for one process |
//! | `redis` | `RedisRegistry`: for several processes |
//! | `metrics` | counters of events and histograms of the registry, for the crate `metrics` |
//! | `conformance` | `conformance_tests!`, which tests a registry of your own |

#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::print_stdout))]

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
mod handler_policies;
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
mod user_id;
mod words;

pub use clock::{Clock, ManualClock, SystemClock};
pub use dialog::{html::Markup, texts::DialogTexts};
pub use error::{ConfigError, DurationError, RegistryError, SetupError};
pub use event::Event;
pub use extract::{
    flash_messages::FlashMessages,
    session_handle::SessionHandle,
    session_vars::{Seconds, SessionVars},
    sign_in::SignInError,
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
    client::Client,
    data::{DataChanges, DataTooLarge, SessionData, StoredMessage},
    end::{EndSessions, EndTarget},
    future::RegistryFuture,
    key::{PublicId, RecordKey, SigningKey, partition_key},
    login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
    memory::MemoryRegistry,
    query::Query,
    record::{Ended, SessionRecord, SessionRef},
    room::{OpenSession, SessionLimit},
    rotation::{KeyRotation, RotationOutcome},
    update::{SessionUpdate, UpdateOutcome},
};
pub use request::{client_ip::TrustedProxy, origin::is_cross_site, user_agent::device_name};
#[doc = include_str!("../docs/attribute.md")]
pub use session_expire_macros::session_policy;
pub use sessions::Sessions;
pub use time::{Timestamp, days, format_duration, hours, minutes, parse_duration, seconds};
pub use words::limit;

/// Guides.
pub mod guide {
    // For the links in them.
    #[cfg(doc)]
    use crate::*;

    #[doc = include_str!("../docs/policy.md")]
    pub mod policy {}
    #[doc = include_str!("../docs/dialog.md")]
    pub mod dialog {}
    // It links to items of these features.
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
