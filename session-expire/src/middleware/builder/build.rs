//! Validation of the builder's options.
//!
//! A middleware that was built has no contradictory option.

use std::{fmt, sync::Arc};

use super::{
    super::{SessionExpire, reporting_clock::ReportingClock},
    SessionExpireBuilder,
};
#[cfg(feature = "metrics")]
use crate::registry::metrics::MeasuredRegistry;
#[cfg(feature = "translations")]
use crate::translation::Translations;
use crate::{
    compliance::{BuilderFacts, DeclaredStandards},
    config::Config,
    cookies::CookieConfig,
    error::ConfigError,
    event::{emitter::Emitter, queue::EventQueue},
    migration::Migration,
    policy::{limit::Limit, local_path::local_path, longest::LongestTimeouts},
    registry::{Registry, memory::MemoryRegistry},
    request::origin::AllowedOrigins,
    time::{
        Timestamp,
        clock::{Clock, MonotonicClock, SystemClock},
    },
    watch::watcher::Watcher,
};

impl SessionExpireBuilder {
    /// Validates all options and builds the middleware.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`], which names the option, if:
    ///
    /// - the policy is contradictory.
    /// - a path is not local.
    /// - a cookie attribute is invalid.
    /// - the policy sets a session limit that the registry does not enforce.
    /// - a [declared standard](Self::complies_with) is not met.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, error::ConfigError};
    ///
    /// let built = SessionExpire::builder(Policy::new().login_url("//evil.example")).build();
    /// assert!(matches!(built, Err(ConfigError::NotLocalPath { key: "login_url", .. })));
    /// ```
    pub fn build(self) -> Result<SessionExpire, ConfigError> {
        self.policy.validate()?;
        check_path("endpoints_prefix", &self.prefix)?;
        check_path("logout_url", &self.logout_url)?;
        for (key, url) in self.login_pages.all() {
            local_path(url).ok_or_else(|| not_local(key, url))?;
        }
        let cookies = self.cookies.build()?;
        let standards = Arc::new(DeclaredStandards::new(&self.standards, &self.deviations)?);
        let facts = BuilderFacts {
            policy: &self.policy,
            secure: cookies.secure,
            cookie_names: [cookies.session_name(), cookies.anonymous_name()],
            same_site: cookies.same_site,
            allowed_origins: &self.allowed_origins,
            has_cookie_scope: cookies.domain.is_some() || cookies.path != "/",
        };
        standards.check(&facts)?;
        check_migration(self.migration.as_ref(), &cookies)?;
        let registry = self.registry.unwrap_or_else(|| Arc::new(MemoryRegistry::new()));
        if self.policy.max_sessions != Limit::Off && !registry.enforces_limits() {
            return Err(ConfigError::LimitNotEnforced);
        }
        standards.log_questions(&facts);
        #[cfg(feature = "metrics")]
        let registry: Arc<dyn Registry> = Arc::new(MeasuredRegistry(registry));
        let clock = self.clock.unwrap_or_else(|| Arc::new(RegistryClock::new(&registry)));
        registry.on_start(clock.now());
        let clock = notify_of_steps_back(clock, &registry);
        let queue = self.async_observer;
        let events = Emitter {
            observer: self.observer,
            queue: queue.map(|observer| EventQueue::new(observer, self.event_queue_capacity)),
            logs_users: self.privacy.logs_users,
        };
        let clock = Arc::new(MonotonicClock::new(clock, registry.is_shared()));
        Ok(SessionExpire::new(Config {
            watcher: Watcher::new(&registry, Arc::clone(&clock), self.live_check),
            live_pages: self.live_pages,
            longest: LongestTimeouts::new(self.policy.limits()),
            policy: Arc::new(self.policy),
            clock,
            registry,
            texts: self.texts,
            cause_texts: self.cause_texts,
            dialog_texts: self.dialog_texts,
            user_language: self.user_language,
            #[cfg(feature = "translations")]
            translations: Translations::new(self.translations)?,
            passive_predicate: self.passive_predicate,
            api_predicate: self.api_predicate,
            events,
            identity_key: self.identity_key,
            prefix: self.prefix,
            logout_url: self.logout_url,
            challenge_anonymous: self.challenge_anonymous,
            user_policy: self.user_policy,
            credential: self.credential,
            sign_out: self.sign_out,
            login_pages: self.login_pages,
            proxies: self.proxies,
            privacy: self.privacy,
            allowed_origins: AllowedOrigins::parse(&self.allowed_origins)?,
            cookies,
            standards,
            login_keeps: self.login_keeps,
            migration: self.migration,
            handler_policies: <_>::default(),
            diagnostics: <_>::default(),
            cancellations: <_>::default(),
        }))
    }
}

/// Returns a clock that notifies a shared registry when it is set back. Other registries need no
/// notification: they use [`MonotonicClock`] or the clock of a server.
fn notify_of_steps_back(clock: Arc<dyn Clock>, registry: &Arc<dyn Registry>) -> Arc<dyn Clock> {
    match registry.is_shared() && registry.server_time().is_none() {
        true => Arc::new(ReportingClock::new(clock, registry)),
        false => clock,
    }
}

/// Clock of the registry's server if it has one, otherwise the system clock.
struct RegistryClock {
    registry: Arc<dyn Registry>,
    system: SystemClock,
}

impl RegistryClock {
    fn new(registry: &Arc<dyn Registry>) -> Self {
        Self { registry: Arc::clone(registry), system: SystemClock::default() }
    }
}

impl fmt::Debug for RegistryClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryClock")
    }
}

impl Clock for RegistryClock {
    fn now(&self) -> Timestamp {
        self.registry.server_time().unwrap_or_else(|| self.system.now())
    }
}

/// Checks that `path` is local and has no query, pattern or trailing slash.
fn check_path(key: &'static str, path: &str) -> Result<(), ConfigError> {
    let is_plain = !path.contains(['?', '#', '{', '}', '*']) && !path.ends_with('/');
    match local_path(path) {
        Some(_) if is_plain => Ok(()),
        _ => Err(not_local(key, path)),
    }
}

fn not_local(key: &'static str, path: &str) -> ConfigError {
    ConfigError::NotLocalPath { key, value: path.to_owned() }
}

/// Checks that the names of old cookie and session cookie differ. With one name for both, the new
/// session cookie would overwrite the old one before its session is adopted.
fn check_migration(
    migration: Option<&Migration>,
    cookies: &CookieConfig,
) -> Result<(), ConfigError> {
    match migration {
        Some(migration) if migration.cookie_name() == cookies.session_name() => {
            Err(ConfigError::Value {
                key: "migrate_from",
                value: format!("{:?}", migration.cookie_name()),
                expected: "different from the name of the session cookie; set `cookie_names`",
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn login_pages_must_be_local() {
        for (path, is_valid) in
            [("/ended?from=here", true), ("//evil.example", false), ("ended", false)]
        {
            let expired = SessionExpire::builder(Policy::new()).expired_url(path).build();
            let refused = SessionExpire::builder(Policy::new()).refused_url(path).build();
            for built in [expired, refused] {
                let is_refused = matches!(built, Err(ConfigError::NotLocalPath { .. }));
                assert_eq!(is_refused, !is_valid, "{path}");
            }
        }
    }

    #[test]
    fn prefix_must_be_plain_local_path() {
        for (path, is_valid) in [
            ("/session", true),
            ("/app/session", true),
            ("/s?x", false),
            ("/{x}/s", false),
            ("/s/*", false),
            ("/s#x", false),
            ("/s/", false),
            ("//evil.example", false),
            ("session", false),
        ] {
            let built = SessionExpire::builder(Policy::new()).endpoints_prefix(path).build();
            assert_eq!(built.is_ok(), is_valid, "{path}");
        }
    }
}
