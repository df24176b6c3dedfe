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
//! | set timeouts and limits | [`Policy`], [`PolicyPatch`], [`session_policy`], [`Limit`], [`Overflow`], [`AtEnd`] |
//! | sign in and out, read the session | [`SessionHandle`], [`sign_in`] |
//! | send a message to the next page | [`FlashMessages`] |
//! | show countdowns and the warning dialog | [`SessionVars`], [`page`] |
//! | serve the dialog's script, status and keep-alive | [`SessionExpire::endpoints`] |
//! | change the response to a sign-out | [`sign_out`] |
//! | end WebSockets, streams and open pages with their session | [`live`], [`SessionExpireBuilder::live_pages`] |
//! | list and end sessions | [`Sessions`], [`registry::Query`], [`registry::SessionRecord`] |
//! | choose where sessions are stored | [`MemoryRegistry`], `SqliteRegistry`, `RedisRegistry` |
//! | store sessions elsewhere | [`registry`] |
//! | read parts of requests | [`request`] |
//! | observe logins, ends and failures | [`Event`], [`event`] |
//! | declare a standard, such as OWASP ASVS or PCI DSS | [`compliance`] |
//! | test without sleeping | [`clock::ManualClock`] |
//! | read on | [`guide`] |
//!
//! # Terms
//!
//! - A session is **open** until it ends, and **active** while it is open and not expired.
//! - A session record is the [registry](registry::Registry)'s entry for a session: user, times,
//!   login, data.
//! - An ended session has a [`Reason`] from a fixed list, and may have a cause, which is a word of
//!   the application such as `password_changed`.
//! - The **history** contains ended sessions for display. A **tombstone** is an ended record that
//!   is kept only to report the reason.
//! - A **challenge** asks the client to sign in: a redirect for browsers, a 401 for others.
//! - A **passive** request is checked, but does not count as activity of the user.
//! - An expired session is **suspended** for inner layers, and **restored** for a layer with a
//!   laxer policy.
//! - A signed-in user **re-authenticates** by proving their identity again, for example with the
//!   password. The application then **confirms** the session ([`SessionHandle::confirm`]).
//! - A session is **fresh** for the time of [`fresh`](Policy#structfield.fresh) after its login or
//!   its last confirmation.
//! - A **kept session** has a longer idle timeout and a persistent cookie ("keep me signed in"). If
//!   the user comes back after the application's idle timeout, the session is **remembered** until
//!   the user re-authenticates. A remembered session is not fresh.
//! - In an **impersonation**, one user acts in a session of another user. The acting user is the
//!   **actor**.
//! - A **guarded stream** is a WebSocket, a stream or a response body that ends with its session.
//! - A **live page** receives the state of its session on an **event stream**. One tab of a
//!   browser, the **leader**, opens the stream for all tabs.
//! - A **locked** page stays open after its idle timeout, but hides its content. It is **unlocked**
//!   when the same user signs in again or re-authenticates.
//! - A **security stamp** is a digest of the credential with which the user signed in.
//! - A **ticket** replaces the password when a user continues a login that the session limit has
//!   refused. It is accepted once.
//!
//! # Features
//!
//! None is enabled by default.
//!
//! | feature | adds |
//! |---|---|
//! | `askama` | [`SessionVars`] in Askama templates without the filter `safe` |
//! | `sqlite` | `SqliteRegistry`: durable, for the processes of one machine |
//! | `redis` | `RedisRegistry`: for several processes |
//! | `redis-tls` | TLS for `RedisRegistry` |
//! | `ws` | `SessionHandle::guard_ws`: WebSockets of actix-ws that end with their session |
//! | `metrics` | counters of events and histograms of the registry, for the crate `metrics` |
//! | `conformance` | `registry::conformance_tests!`, which tests a registry of your own |
//! | `testing` | `SessionExpire::cookie_for`, which signs a user in within a test |
//! | `translations` | texts in English, German, French, Spanish, Polish and Arabic, and `page::Translation` for your own |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::print_stdout))]

pub mod compliance;
mod config;
mod context;
mod cookies;
mod diagnostics;
mod dialog;
mod endpoints;
pub mod error;
pub mod event;
mod extract;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzed;
mod messages;
mod middleware;
mod migration;
mod policy;
pub mod registry;
pub mod request;
mod response;
mod session;
mod sessions;
mod settle;
mod time;
#[cfg(feature = "translations")]
mod translation;
mod watch;

pub use event::Event;
pub use extract::{
    flash_messages::FlashMessages, session_handle::SessionHandle, session_vars::SessionVars,
    sign_in::SignInError,
};
pub use middleware::{SessionExpire, builder::SessionExpireBuilder};
pub use policy::{
    Policy, PolicyPatch,
    at_end::AtEnd,
    limit::{Limit, Overflow},
};
pub use registry::memory::MemoryRegistry;
#[cfg(feature = "redis")]
pub use registry::redis::RedisRegistry;
#[cfg(feature = "sqlite")]
pub use registry::sqlite::SqliteRegistry;
pub use session::{
    key::PublicId,
    reason::Reason,
    verdict::{Deadlines, Verdict},
};
#[doc = include_str!("../docs/attribute.md")]
pub use session_expire_macros::session_policy;
pub use sessions::Sessions;
pub use time::{days, hours, minutes, seconds};

/// Clocks: the machine's, and one for tests.
pub mod clock {
    pub use crate::time::{
        Timestamp,
        clock::{Clock, ManualClock, SystemClock},
    };
}

/// Types that pages render: texts, messages, countdowns, markup.
pub mod page {
    #[cfg(feature = "translations")]
    #[cfg_attr(docsrs, doc(cfg(feature = "translations")))]
    pub use crate::translation::Translation;
    pub use crate::{
        dialog::{html::Markup, texts::DialogTexts},
        extract::session_vars::RemainingSeconds,
        messages::{
            flash::{FlashLevel, FlashMessage},
            notice::{Languages, Notice},
        },
    };
}

/// Open streams that end with their session: WebSockets, event streams, downloads.
///
/// [`SessionHandle`] returns these types: [`ended`](SessionHandle::ended),
/// [`guard`](SessionHandle::guard), [`activity`](SessionHandle::activity) and, with the feature
/// `ws`, `guard_ws`.
pub mod live {
    #[cfg(feature = "ws")]
    pub use crate::extract::guard_ws::{GuardedSocket, SocketError, SocketMessages};
    pub use crate::{
        extract::activity::Activity,
        watch::{guarded::Guarded, session_end::SessionEnd, stream_end::StreamEnd},
    };
    /// The crate `actix_ws`, whose types a [`GuardedSocket`] contains.
    #[cfg(feature = "ws")]
    pub use ::actix_ws;
}

/// Options of logins, and tickets for refused logins.
pub mod sign_in {
    pub use crate::{extract::takeover::TakeoverTicket, session::login::options::SignInOptions};
}

/// Types for the response to a sign-out.
pub mod sign_out {
    pub use crate::response::sign_out::{SignOut, SiteData};
}

/// Guides.
pub mod guide {
    // The guides link to these items.
    #[cfg(doc)]
    use crate::{registry::SessionRecord, sign_in::SignInOptions, *};

    #[doc = include_str!("../docs/policy.md")]
    pub mod policy {}
    #[doc = include_str!("../docs/sign_in.md")]
    pub mod sign_in {}
    #[doc = include_str!("../docs/reauthentication.md")]
    pub mod reauthentication {}
    #[doc = include_str!("../docs/standards.md")]
    pub mod standards {}
    #[doc = include_str!("../docs/events.md")]
    pub mod events {}
    #[doc = include_str!("../docs/dialog.md")]
    pub mod dialog {}
    // The guide links to items of these features.
    #[cfg(all(feature = "redis", feature = "sqlite"))]
    #[doc = include_str!("../docs/deployment.md")]
    pub mod deployment {}
    // The guide links to items of these features.
    #[cfg(all(feature = "redis", feature = "sqlite"))]
    #[doc = include_str!("../docs/redis.md")]
    pub mod redis {}
    // The guide links to items of these features.
    #[cfg(feature = "askama")]
    #[doc = include_str!("../docs/templates.md")]
    pub mod templates {}
    // The guide links to items of these features.
    #[cfg(all(feature = "conformance", feature = "testing"))]
    #[doc = include_str!("../docs/testing.md")]
    pub mod testing {}
    // The guide links to items of these features.
    #[cfg(all(feature = "redis", feature = "sqlite", feature = "ws"))]
    #[doc = include_str!("../docs/live.md")]
    pub mod live {}
    #[doc = include_str!("../docs/passkeys.md")]
    pub mod passkeys {}
    #[doc = include_str!("../docs/privacy.md")]
    pub mod privacy {}
    #[doc = include_str!("../docs/threats.md")]
    pub mod threats {}
    #[doc = include_str!("../docs/migration.md")]
    pub mod migration {}
}

/// Items that the output of `#[session_policy]` uses. Not for direct use: it changes without
/// notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::middleware::policy_layer::{HandlerPolicy, PolicyExtractor, WrapWithPolicy};
    pub use actix_web;
}
