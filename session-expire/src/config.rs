//! Configuration of the middleware, shared by all workers, and what is known of one mounted
//! application.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use actix_web::HttpRequest;

use crate::{
    cookies::CookieConfig,
    diagnostics::Diagnostics,
    dialog::{
        assets::{SCRIPT, STYLE},
        texts::DialogTexts,
    },
    error::{ConfigError, RegistryError},
    event::{Event, Observer},
    messages::notice::{Languages, Notice, default_text},
    migration::Migration,
    policy::{Policy, PolicyPatch, handler_policies::HandlerPolicies, limit::Limit},
    registry::{Registry, cancellation::Cancellations},
    request::{
        client_ip::TrustedProxy, header_names::X_SESSION_PASSIVE, origin::AllowedOrigins,
        return_path::is_at,
    },
    session::record::SessionRecord,
    sessions::Sessions,
    time::{Timestamp, clock::SteadyClock, seconds},
};

/// Returns the text that a user reads whose session has ended.
pub(crate) type EndedTexts = Arc<dyn Fn(&Notice<'_>) -> String + Send + Sync>;

/// Returns the texts of the warning dialog in one of these languages.
pub(crate) type DialogTextsFor = Arc<dyn Fn(&Languages) -> DialogTexts + Send + Sync>;

/// Returns the policy patch of a user.
pub(crate) type UserPolicy = Arc<dyn Fn(String) -> LocalPatch + Send + Sync>;
pub(crate) type LocalPatch = Pin<Box<dyn Future<Output = PolicyPatch>>>;

/// A validated patch as it is stored with a session; `None` if it changes nothing.
pub(crate) type StoredPatch = Result<Option<Arc<PolicyPatch>>, RegistryError>;

/// Returns `true` for some requests.
pub(crate) type RequestPredicate = Arc<dyn Fn(&HttpRequest) -> bool + Send + Sync>;

/// Paths of the endpoints under their prefix.
pub(crate) const STATUS: &str = "/status";
pub(crate) const KEEP_ALIVE: &str = "/keep-alive";
pub(crate) const LOGOUT: &str = "/logout";

/// Longest write interval of `last_seen`.
const MAX_WRITE_INTERVAL: Duration = seconds(30);

pub(crate) struct Config {
    pub(crate) policy: Arc<Policy>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) clock: Arc<SteadyClock>,
    pub(crate) texts: Option<EndedTexts>,
    pub(crate) dialog_texts: Option<DialogTextsFor>,
    pub(crate) passive: Option<RequestPredicate>,
    pub(crate) api: Option<RequestPredicate>,
    pub(crate) observer: Option<Observer>,
    pub(crate) identity_key: &'static str,
    pub(crate) prefix: Arc<str>,
    pub(crate) logout_url: Arc<str>,
    pub(crate) challenge_anonymous: bool,
    pub(crate) user_policy: Option<UserPolicy>,
    pub(crate) proxies: Vec<TrustedProxy>,
    pub(crate) allowed_origins: AllowedOrigins,
    pub(crate) cookies: CookieConfig,
    /// Names of the anonymous entries that a login keeps; `None` for all.
    pub(crate) login_keeps: Option<Vec<Box<str>>>,
    pub(crate) migration: Option<Migration>,
    pub(crate) handler_policies: HandlerPolicies,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) cancellations: Cancellations,
}

impl Config {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        event.trace();
        #[cfg(feature = "metrics")]
        event.count();
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }

    pub(crate) fn emit_ended(&self, ended: &[SessionRecord]) {
        ended.iter().for_each(|record| self.emit(&Event::end_of(record)));
    }

    pub(crate) fn emit_failure(&self, error: &RegistryError) {
        self.emit(&Event::RegistryFailed { error });
    }

    pub(crate) fn sessions(self: &Arc<Self>) -> Sessions {
        let config = Arc::clone(self);
        let emit = Arc::new(move |event: &Event<'_>| config.emit(event));
        Sessions {
            registry: Arc::clone(&self.registry),
            clock: Arc::clone(&self.clock),
            close_adoption_until: self.close_adoption_until(),
            cause: None,
            emit,
        }
    }

    pub(crate) fn is_passive(&self, req: &HttpRequest) -> bool {
        match &self.passive {
            Some(is_passive) => is_passive(req),
            None => req.headers().contains_key(&X_SESSION_PASSIVE),
        }
    }

    pub(crate) fn is_api(&self, req: &HttpRequest) -> bool {
        self.api.as_ref().is_some_and(|is_api| is_api(req))
    }

    /// Returns `true` if the application's policy requires a login for `path`: for all but the login
    /// page and the endpoints.
    pub(crate) fn requires_login(&self, path: &str) -> bool {
        let is_open = || {
            is_at(path, &self.policy.login_url)
                || path.strip_prefix(&*self.prefix).is_some_and(is_endpoint)
        };
        self.policy.require_login && !is_open()
    }

    /// Returns the text for an end: the policy's message, the application's text, or the default.
    pub(crate) fn text(&self, notice: &Notice<'_>, policy: &Policy) -> String {
        match (&policy.message, &self.texts) {
            (Some(message), _) => message.to_string(),
            (None, Some(texts)) => texts(notice),
            (None, None) => default_text(notice),
        }
    }

    /// Evaluates the policy of `user`.
    pub(crate) async fn user_policy(&self, user: &str) -> StoredPatch {
        match &self.user_policy {
            Some(policy_of) => self.validated_patch(policy_of(user.to_owned()).await),
            None => Ok(None),
        }
    }

    /// Returns `true` if `patch` sets a session limit that the registry does not enforce.
    pub(crate) fn cannot_enforce(&self, patch: &PolicyPatch) -> bool {
        matches!(patch.max_sessions, Some(Limit::At(_))) && !self.registry.enforces_limits()
    }

    /// Validates a patch that is only known at run time. An invalid one signs no user in.
    pub(crate) fn validated_patch(&self, patch: PolicyPatch) -> StoredPatch {
        const OPERATION: &str = "store a policy patch";
        if self.cannot_enforce(&patch) {
            return Err(RegistryError::new(OPERATION, ConfigError::CannotCount));
        }
        patch.validate().map_err(|error| RegistryError::new(OPERATION, error))?;
        Ok((patch != PolicyPatch::new()).then(|| Arc::new(patch)))
    }

    /// Returns until when an end keeps old sessions from being adopted; `None` without `migrate_from`.
    pub(crate) fn close_adoption_until(&self) -> Option<Timestamp> {
        self.migration.as_ref().map(Migration::until)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionExpire").field("policy", &self.policy).finish_non_exhaustive()
    }
}

fn is_endpoint(path: &str) -> bool {
    let is_asset = |name| [SCRIPT, STYLE].iter().any(|asset| asset.path() == name);
    [STATUS, KEEP_ALIVE, LOGOUT].contains(&path) || path.strip_prefix('/').is_some_and(is_asset)
}

/// How often `last_seen` is written under an idle timeout: a sixtieth of it, 30 s at most.
pub(crate) fn write_interval(idle: Limit<Duration>) -> Duration {
    idle.at().map_or(MAX_WRITE_INTERVAL, |idle| MAX_WRITE_INTERVAL.min(idle / 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes};

    #[test]
    fn write_interval_is_a_sixtieth_and_at_most_half_a_minute() {
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
