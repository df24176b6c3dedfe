//! Configuration of the middleware.
//!
//! It was validated by the builder and does not change. All workers share it.

mod logins;
mod paths;
mod policies;
mod texts;

use std::{collections::HashMap, fmt, pin::Pin, sync::Arc, time::Duration};

use actix_web::HttpRequest;

#[cfg(feature = "translations")]
use crate::translation::Translations;
use crate::{
    compliance::DeclaredStandards,
    cookies::CookieConfig,
    diagnostics::Diagnostics,
    dialog::texts::DialogTexts,
    error::{ConfigError, RegistryError, Source},
    event::{Event, emitter::Emitter},
    messages::notice::{Languages, Notice},
    migration::Migration,
    policy::{
        Policy, PolicyPatch, handler_policies::HandlerPolicies, limit::Limit,
        longest::LongestTimeouts,
    },
    registry::{Registry, cancellation::Cancellations},
    request::{
        client_ip::{TrustedProxy, client},
        header_names::X_SESSION_PASSIVE,
        login_pages::LoginPages,
        origin::AllowedOrigins,
        privacy::Privacy,
    },
    response::sign_out::SignOutConfig,
    session::{client::Client, record::SessionRecord},
    sessions::Sessions,
    time::{Timestamp, clock::MonotonicClock, seconds},
    watch::watcher::Watcher,
};

/// Function that returns the text about an ended session.
pub(crate) type EndedTextFn = Arc<dyn Fn(&Notice<'_>) -> String + Send + Sync>;

/// Function that returns the texts of the warning dialog for the languages of a user.
pub(crate) type DialogTextsFn = Arc<dyn Fn(&Languages) -> DialogTexts + Send + Sync>;

/// Function that returns the language that the user of a request has chosen.
pub(crate) type UserLanguageFn = Arc<dyn Fn(&HttpRequest) -> Option<String> + Send + Sync>;

/// Function that returns the policy patch of a user.
pub(crate) type UserPolicyFn = Arc<dyn Fn(String) -> PatchFuture + Send + Sync>;
pub(crate) type PatchFuture = Pin<Box<dyn Future<Output = PolicyPatch>>>;

/// Function that returns the current credential of a user, from which security stamps are derived.
pub(crate) type CredentialFn = Arc<dyn Fn(String) -> CredentialFuture + Send + Sync>;
pub(crate) type CredentialFuture = Pin<Box<dyn Future<Output = Result<Option<String>, Source>>>>;

/// Validated patch to store with a session; `None` if it changes nothing.
pub(crate) type StoredPatch = Result<Option<Arc<PolicyPatch>>, RegistryError>;

/// Function that returns `true` for some requests.
pub(crate) type RequestPredicate = Arc<dyn Fn(&HttpRequest) -> bool + Send + Sync>;

/// Paths of the endpoints under their prefix.
pub(crate) const STATUS: &str = "/status";
pub(crate) const KEEP_ALIVE: &str = "/keep-alive";
pub(crate) const LOGOUT: &str = "/logout";
pub(crate) const SIGNED_IN: &str = "/signed-in";
pub(crate) const EVENTS: &str = "/events";

/// Longest write interval of `last_seen`.
const MAX_WRITE_INTERVAL: Duration = seconds(30);

pub(crate) struct Config {
    pub(crate) policy: Arc<Policy>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) clock: Arc<MonotonicClock>,
    pub(crate) texts: Option<EndedTextFn>,
    /// Text of the application by cause.
    pub(crate) cause_texts: HashMap<Box<str>, Box<str>>,
    pub(crate) dialog_texts: Option<DialogTextsFn>,
    pub(crate) user_language: Option<UserLanguageFn>,
    #[cfg(feature = "translations")]
    pub(crate) translations: Translations,
    pub(crate) passive_predicate: Option<RequestPredicate>,
    pub(crate) api_predicate: Option<RequestPredicate>,
    pub(crate) events: Emitter,
    pub(crate) identity_key: &'static str,
    pub(crate) prefix: Arc<str>,
    pub(crate) logout_url: Arc<str>,
    pub(crate) challenge_anonymous: bool,
    pub(crate) user_policy: Option<UserPolicyFn>,
    pub(crate) credential: Option<CredentialFn>,
    pub(crate) sign_out: SignOutConfig,
    pub(crate) login_pages: LoginPages,
    pub(crate) proxies: Vec<TrustedProxy>,
    pub(crate) privacy: Privacy,
    pub(crate) allowed_origins: AllowedOrigins,
    pub(crate) cookies: CookieConfig,
    pub(crate) standards: Arc<DeclaredStandards>,
    /// Names of the anonymous entries that move into a new session; `None` for all.
    pub(crate) login_keeps: Option<Vec<Box<str>>>,
    pub(crate) migration: Option<Migration>,
    pub(crate) handler_policies: HandlerPolicies,
    pub(crate) longest: LongestTimeouts,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) cancellations: Cancellations,
    pub(crate) watcher: Watcher,
    /// `true` if pages open event streams.
    pub(crate) live_pages: bool,
}

impl Config {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        self.events.emit(event, || self.now());
    }

    /// Emits the ends of records. `requester` is the client of the request that ended them.
    pub(crate) fn emit_ended(&self, ended: &[SessionRecord], requester: Option<&Client>) {
        ended.iter().for_each(|record| self.emit(&Event::from_ended(record, requester)));
    }

    /// Emits the failure of an operation. A refused policy is not a failure of the registry.
    pub(crate) fn emit_failure(&self, error: &RegistryError) {
        match error.config_error() {
            None => self.emit(&Event::RegistryFailed { error }),
            Some(ConfigError::NotCompliant { breaches }) => {
                let events = breaches.iter().map(Event::policy_breach);
                events.for_each(|event| self.emit(&event));
            }
            Some(error) => {
                tracing::error!(event = "sys_invalid_policy", %error, "invalid policy of a login");
            }
        }
    }

    /// Returns a value that lists and ends sessions. `requester` is the client of the request that
    /// uses it.
    pub(crate) fn sessions(self: &Arc<Self>, requester: Option<Client>) -> Sessions {
        let config = Arc::clone(self);
        let emit = Arc::new(move |event: &Event<'_>| config.emit(event));
        Sessions {
            registry: Arc::clone(&self.registry),
            clock: Arc::clone(&self.clock),
            close_adoption_until: self.close_adoption_until(),
            cause: None,
            requester: requester.map(Arc::new),
            own: None,
            emit,
        }
    }

    pub(crate) fn is_passive(&self, req: &HttpRequest) -> bool {
        match &self.passive_predicate {
            Some(is_passive) => is_passive(req),
            None => req.headers().contains_key(&X_SESSION_PASSIVE),
        }
    }

    /// Returns the part of a request's client that is recorded.
    pub(crate) fn client(&self, req: &HttpRequest) -> Client {
        self.privacy.reduce(client(req, &self.proxies))
    }

    pub(crate) fn is_api(&self, req: &HttpRequest) -> bool {
        self.api_predicate.as_ref().is_some_and(|is_api| is_api(req))
    }

    /// Returns the time until which an ended session cannot be adopted again; `None` without
    /// `migrate_from`.
    pub(crate) fn close_adoption_until(&self) -> Option<Timestamp> {
        self.migration.as_ref().map(Migration::until)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionExpire").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Returns the write interval of `last_seen` for an idle timeout: a sixtieth of it, 30 s at most.
pub(crate) fn write_interval(idle: Limit<Duration>) -> Duration {
    idle.at().map_or(MAX_WRITE_INTERVAL, |idle| MAX_WRITE_INTERVAL.min(idle / 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes};

    #[test]
    fn write_interval_is_sixtieth_and_at_most_30_seconds() {
        for (idle, expected) in [
            (Limit::At(minutes(1)), seconds(1)),
            (Limit::At(minutes(10)), seconds(10)),
            (Limit::At(hours(8)), seconds(30)),
            (Limit::Off, seconds(30)),
        ] {
            assert_eq!(write_interval(idle), expected, "{idle:?}");
        }
    }
}
