//! Configuration of the middleware.
//!
//! It was validated by the builder and does not change. All workers share it.

use std::{collections::HashMap, fmt, pin::Pin, sync::Arc, time::Duration};

use actix_web::HttpRequest;

use crate::{
    compliance::DeclaredStandards,
    cookies::CookieConfig,
    diagnostics::Diagnostics,
    dialog::{
        assets::{SCRIPT, STYLE},
        texts::DialogTexts,
    },
    error::{Breach, ConfigError, RegistryError, Source},
    event::{Event, emitter::Emitter},
    messages::{
        notice::{Languages, Notice},
        queue::warn_discarded_messages,
    },
    migration::Migration,
    policy::{
        Policy, PolicyPatch,
        handler_policies::HandlerPolicies,
        limit::{Limit, Limits},
        longest::LongestTimeouts,
        merge::SessionPatches,
    },
    registry::{Registry, cancellation::Cancellations, query::Query},
    request::{
        client_ip::{TrustedProxy, client},
        header_names::X_SESSION_PASSIVE,
        login_pages::LoginPages,
        origin::AllowedOrigins,
        privacy::Privacy,
        return_path::is_at,
    },
    response::sign_out::SignOutConfig,
    session::{
        client::Client,
        data::{DataTooLarge, SessionData},
        key::RecordKey,
        login::NewLogin,
        record::SessionRecord,
        sealed_data::seal_login,
        sign_in_options::SignInOptions,
        stamp::Stamp,
    },
    sessions::Sessions,
    time::{Timestamp, clock::MonotonicClock, seconds},
};

/// Function that returns the text about an ended session.
pub(crate) type EndedTextFn = Arc<dyn Fn(&Notice<'_>) -> String + Send + Sync>;

/// Function that returns the texts of the warning dialog for the languages of a user.
pub(crate) type DialogTextsFn = Arc<dyn Fn(&Languages) -> DialogTexts + Send + Sync>;

/// Function that returns the policy patch of a user.
pub(crate) type UserPolicyFn = Arc<dyn Fn(String) -> PatchFuture + Send + Sync>;
pub(crate) type PatchFuture = Pin<Box<dyn Future<Output = PolicyPatch>>>;

/// Function that returns the current credential of a user, of which a digest is the security stamp.
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

/// Number of a user's newest records with which a login is compared.
const MAX_COMPARED_LOGINS: usize = 100;

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
    pub(crate) standards: DeclaredStandards,
    /// Names of the anonymous entries that move into a new session; `None` for all.
    pub(crate) login_keeps: Option<Vec<Box<str>>>,
    pub(crate) migration: Option<Migration>,
    pub(crate) handler_policies: HandlerPolicies,
    pub(crate) longest: LongestTimeouts,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) cancellations: Cancellations,
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

    /// Returns the newest records of `user` if an observer needs them for the event of a login.
    ///
    /// Call it before the commit: a request that is dropped afterwards must not lose its event. If
    /// the list fails, the login continues without it.
    pub(crate) async fn earlier_logins(&self, user: &Arc<str>) -> Option<Vec<SessionRecord>> {
        if !self.events.has_observer() {
            return None;
        }
        let query = Query::all(Arc::clone(user)).limit(MAX_COMPARED_LOGINS);
        let listed = self.registry.list(query).await;
        listed.inspect_err(|error| self.emit_failure(error)).ok()
    }

    pub(crate) fn emit_failure(&self, error: &RegistryError) {
        self.emit(&Event::RegistryFailed { error });
    }

    /// Returns the sessions of all users. `requester` is the client of the request that uses them.
    pub(crate) fn sessions(self: &Arc<Self>, requester: Option<Client>) -> Sessions {
        let config = Arc::clone(self);
        let emit = Arc::new(move |event: &Event<'_>| config.emit(event));
        Sessions {
            registry: Arc::clone(&self.registry),
            clock: Arc::clone(&self.clock),
            close_adoption_until: self.close_adoption_until(),
            cause: None,
            requester: requester.map(Arc::new),
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

    /// Returns the stored form of a login's data, encrypted if `seal_data` is on.
    pub(crate) fn stored_data(
        &self,
        data: SessionData,
        key: &RecordKey,
    ) -> Result<SessionData, DataTooLarge> {
        if !self.privacy.seals_data {
            return Ok(data);
        }
        let (sealed, discarded) = seal_login(&data, key)?;
        if discarded > 0 {
            warn_discarded_messages(discarded);
        }
        Ok(sealed)
    }

    pub(crate) fn is_api(&self, req: &HttpRequest) -> bool {
        self.api_predicate.as_ref().is_some_and(|is_api| is_api(req))
    }

    /// Returns `true` if the application's policy requires a login for `path`. The login page and
    /// the endpoints never require one.
    pub(crate) fn requires_login(&self, path: &str) -> bool {
        let is_open = || self.is_login_page(path, &self.policy) || self.is_endpoint(path);
        self.policy.require_login && !is_open()
    }

    /// Returns `true` for the paths that accept sessions that are not fresh: the login page, the
    /// confirmation page of `policy`, and the endpoints.
    pub(crate) fn is_never_stale(&self, path: &str, policy: &Policy) -> bool {
        is_at(path, &policy.confirm_url)
            || self.is_login_page(path, policy)
            || is_at(path, &self.policy.login_url)
            || self.is_endpoint(path)
    }

    /// Returns `true` for the login page of `policy`, and for the pages for expired sessions and
    /// refused logins. They are never challenged.
    pub(crate) fn is_login_page(&self, path: &str, policy: &Policy) -> bool {
        is_at(path, &policy.login_url) || self.login_pages.contains(path)
    }

    fn is_endpoint(&self, path: &str) -> bool {
        path.strip_prefix(&*self.prefix).is_some_and(is_endpoint)
    }

    /// Returns the text about an ended session: the policy's message, else the application's text,
    /// else the default.
    pub(crate) fn ended_text(&self, notice: &Notice<'_>, policy: &Policy) -> String {
        match (&policy.message, &self.texts) {
            (Some(message), _) => message.to_string(),
            (None, Some(texts)) => texts(notice),
            (None, None) => notice.default_text(),
        }
    }

    /// Evaluates the user policy of `user`.
    pub(crate) async fn user_policy(&self, user: &str) -> StoredPatch {
        match &self.user_policy {
            Some(user_policy) => self.validated_patch(user_policy(user.to_owned()).await),
            None => Ok(None),
        }
    }

    /// Returns `true` if open sessions need a current stamp.
    pub(crate) fn checks_stamps(&self) -> bool {
        self.credential.is_some()
    }

    /// Returns the stamp of the current credential of `user`; `None` if the user has none, or
    /// without a function that returns it.
    pub(crate) async fn current_stamp(&self, user: &str) -> Result<Option<Stamp>, RegistryError> {
        let Some(credential) = &self.credential else { return Ok(None) };
        let current = credential(user.to_owned()).await;
        let current = current.map_err(|error| RegistryError::new("check a credential", error))?;
        Ok(current.map(Stamp::new))
    }

    /// Returns a login of `user` on a page with the policy `layered`, under the login policy of
    /// `options` and the user policy. The session limit is that of these policies.
    pub(crate) async fn new_login(
        &self,
        user: impl Into<Arc<str>>,
        options: &SignInOptions,
        layered: &Policy,
    ) -> Result<NewLogin, RegistryError> {
        let user = user.into();
        let user_policy = self.user_policy(&user).await?;
        let login_policy = self.validated_patch(options.login_policy())?;
        let patches =
            SessionPatches { login: login_policy.as_deref(), user: user_policy.as_deref() };
        let mut login = NewLogin::new(user, self.now(), &patches.at_login(layered));
        let longest = patches.longest(self.longest.get().longer(layered.limits()));
        (login.longest_idle, login.longest_absolute) = (longest.idle, longest.absolute);
        (login.login_policy, login.user_policy) = (login_policy, user_policy);
        (login.uncounted, login.actor) = (options.is_uncounted(), options.actor().cloned());
        login.stamp = match options.security_stamp() {
            None => self.current_stamp(&login.user).await?,
            stamp => stamp,
        };
        Ok(login)
    }

    /// Returns the longest idle and absolute timeouts to store with `record`; `None` if they are not
    /// longer than the stored ones.
    ///
    /// Stored timeouts only become longer, because another process may know more lax handlers.
    pub(crate) fn longer_timeouts(
        &self,
        record: &SessionRecord,
    ) -> Option<(Limit<Duration>, Limit<Duration>)> {
        let stored = (record.longest_idle, record.longest_absolute);
        let (idle, absolute) = self.longest(record.patches());
        let longest = (stored.0.laxer(idle), stored.1.laxer(absolute));
        (longest != stored).then_some(longest)
    }

    /// Returns the longest idle and absolute timeouts of all policies that can apply to a session
    /// with `patches`.
    pub(crate) fn longest(
        &self,
        patches: SessionPatches<'_>,
    ) -> (Limit<Duration>, Limit<Duration>) {
        let Limits { idle, absolute } = patches.longest(self.longest.get());
        (idle, absolute)
    }

    /// Returns `true` if `patch` sets a session limit that the registry does not enforce.
    pub(crate) fn cannot_enforce(&self, patch: &PolicyPatch) -> bool {
        matches!(patch.max_sessions, Some(Limit::At(_))) && !self.registry.enforces_limits()
    }

    /// Validates a patch that is only known at run time. With an invalid patch, the login fails.
    pub(crate) fn validated_patch(&self, patch: PolicyPatch) -> StoredPatch {
        const OPERATION: &str = "store a policy patch";
        if self.cannot_enforce(&patch) {
            return Err(RegistryError::new(OPERATION, ConfigError::LimitNotEnforced));
        }
        let checked = patch.validate();
        checked
            .and_then(|()| self.standards.check_policy(&patch.over(&self.policy)))
            .map_err(|error| RegistryError::new(OPERATION, error))?;
        Ok((patch != PolicyPatch::new()).then(|| Arc::new(patch)))
    }

    /// Returns `policy` with the limits of the declared standards. Reports each breach once.
    pub(crate) fn within_standards(&self, policy: Policy) -> Policy {
        let report = |breach: &Breach| self.emit(&Event::PolicyBreach { breach });
        self.standards.enforce(policy, &self.policy, report)
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

/// Returns `true` for the path of an endpoint under the prefix.
fn is_endpoint(path: &str) -> bool {
    let is_asset = |name| [SCRIPT, STYLE].iter().any(|asset| asset.path() == name);
    [STATUS, KEEP_ALIVE, LOGOUT].contains(&path) || path.strip_prefix('/').is_some_and(is_asset)
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
