//! Session record: what the registry knows of one session, and the rules by which it changes.

use std::{sync::Arc, time::Duration};

use super::{
    client::Client,
    key::{PublicId, SigningKey},
    login::NewLogin,
    update::SessionUpdate,
};
use crate::{
    policy::{
        PolicyPatch,
        limit::{Limit, Limits},
    },
    session::{
        reason::Reason,
        verdict::{Facts, Verdict, judge_limits},
    },
    time::Timestamp,
};

/// Names one session record: its user and its public id.
///
/// Updates address the record by this reference, not by its key, so that an update that meets a
/// key rotation still reaches the record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SessionRef {
    /// The user.
    pub user: Arc<str>,
    /// The public id.
    pub id: PublicId,
}

impl SessionRef {
    /// Returns a reference to the session `id` of `user`.
    pub fn new(user: impl Into<Arc<str>>, id: PublicId) -> Self {
        Self { user: user.into(), id }
    }
}

/// When and why a session ended.
///
/// ```
/// use session_expire::{Reason, clock::Timestamp, registry::Ended};
/// let noon = Timestamp::from_millis(1_767_268_800_000);
/// let evicted = Ended::new(Reason::Evicted, noon).by("Firefox on Linux");
/// assert_eq!((evicted.at, evicted.reason), (noon, Reason::Evicted));
/// let changed = Ended::new(Reason::Revoked, noon).because("password_changed");
/// assert_eq!(changed.cause.as_deref(), Some("password_changed"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Why, from the fixed list.
    pub reason: Reason,
    /// The application's own word beside the reason, such as `password_changed`.
    pub cause: Option<Arc<str>>,
    /// The device whose login evicted the session, if it is known.
    pub by: Option<Arc<str>>,
}

impl Ended {
    /// An end for `reason` at `at`.
    #[must_use]
    pub fn new(reason: Reason, at: Timestamp) -> Self {
        Self { at, reason, cause: None, by: None }
    }

    /// Adds the application's own word.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Arc<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds the device whose login evicted the session.
    #[must_use]
    pub fn by(mut self, device: impl Into<Arc<str>>) -> Self {
        self.by = Some(device.into());
        self
    }
}

/// What the registry knows of one session, without its data.
///
/// ```
/// use session_expire::{
///     Policy, Reason, clock::Timestamp, minutes,
///     registry::{Ended, NewLogin, SessionRecord, SessionUpdate},
/// };
/// let (policy, noon) = (Policy::new().idle(minutes(10)), Timestamp::from_millis(1_767_268_800_000));
/// let mut record = SessionRecord::new(&NewLogin::new("alice", noon, &policy));
/// let later = noon.plus(minutes(9));
/// record.update(&SessionUpdate::new(later).active(later));
/// assert_eq!(record.expiry_reason(noon.plus(minutes(10))), None);
/// assert_eq!(record.expiry_reason(noon.plus(minutes(19))), Some(Reason::Idle));
///
/// assert!(record.end(Ended::new(Reason::LoggedOut, later)));
/// assert!(!record.end(Ended::new(Reason::Revoked, later)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// Public id, for pages, URLs and logs.
    pub id: PublicId,
    /// Secret that signs the page tokens of this session.
    pub(crate) signing_key: SigningKey,
    /// User id, as actix-identity knows it.
    pub user: Arc<str>,
    /// Client of the login.
    pub client: Client,
    /// Client of the last activity, if it differs from that of the login.
    pub last_client: Option<Client>,
    /// When the user signed in.
    pub logged_in_at: Timestamp,
    /// When the user last authenticated: at the login, or at a re-authentication since.
    pub authenticated_at: Timestamp,
    /// When the user was last active.
    pub last_seen: Timestamp,
    /// When and why the session ended; `None` while it is open.
    pub ended: Option<Ended>,
    /// Idle timeout under which the session counts as active when sessions are counted.
    pub idle: Limit<Duration>,
    /// Absolute timeout under which it does.
    pub absolute: Limit<Duration>,
    /// Policy patch chosen at the login, such as longer limits for "keep me signed in".
    pub login_policy: Option<Arc<PolicyPatch>>,
    /// Policy patch of the user; it has the last word.
    pub user_policy: Option<Arc<PolicyPatch>>,
    /// `true` if the session takes no slot of the session limit.
    pub uncounted: bool,
    /// The user who impersonates [`user`](Self::user) in this session.
    pub actor: Option<Arc<str>>,
    /// How often all sessions of all users had been ended when this session began.
    pub generation: u64,
    /// Until when the tombstone must be kept, for an adopted session; `None` for the usual day.
    pub tombstone_until: Option<Timestamp>,
}

impl SessionRecord {
    /// Returns the record of a login that happens now.
    #[must_use]
    pub fn new(login: &NewLogin) -> Self {
        let authenticated_at = login.logged_in_at.unwrap_or(login.at).min(login.at);
        Self {
            id: login.id,
            signing_key: login.signing_key,
            user: Arc::clone(&login.user),
            client: login.client.clone(),
            last_client: None,
            logged_in_at: authenticated_at,
            authenticated_at,
            last_seen: login.at,
            ended: None,
            idle: login.idle,
            absolute: login.absolute,
            login_policy: login.login_policy.clone(),
            user_policy: login.user_policy.clone(),
            uncounted: login.uncounted,
            actor: login.actor.clone(),
            generation: 0,
            tombstone_until: login.adopted_until,
        }
    }

    /// Returns the reference by which updates address this record.
    #[must_use]
    pub fn session_ref(&self) -> SessionRef {
        SessionRef { user: Arc::clone(&self.user), id: self.id }
    }

    /// Sets the signing key, for a registry that reads a record back.
    #[must_use]
    pub fn with_signing_key(mut self, key: SigningKey) -> Self {
        self.signing_key = key;
        self
    }

    /// Returns the secret that signs page tokens, for a registry to store. Do not log it.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing_key
    }

    /// Returns what [`judge`](crate::session::verdict::judge) needs of it.
    pub(crate) fn facts(&self) -> Facts {
        Facts::Login {
            authenticated_at: self.authenticated_at,
            last_seen: self.last_seen,
            ended: self.ended.as_ref().map(|ended| ended.reason),
        }
    }

    /// Returns why the session is expired at `now` under its own limits, or why it has ended;
    /// `None` while it is active.
    #[must_use]
    pub fn expiry_reason(&self, now: Timestamp) -> Option<Reason> {
        let limits = Limits { idle: self.idle, absolute: self.absolute };
        match judge_limits(&self.facts(), limits, now) {
            Verdict::Expired(reason) => Some(reason),
            Verdict::Active(_) | Verdict::Anonymous => None,
        }
    }

    /// Applies an update but for its data: the rule that
    /// [`Registry::update`](crate::registry::Registry::update) keeps.
    ///
    /// `last_seen` only moves forward, and an ended record does not change. A time in the future,
    /// left by a clock that has since been set back, becomes `now`: it would otherwise keep an
    /// unattended session alive until the clock has caught up.
    pub fn update(&mut self, update: &SessionUpdate) {
        if self.ended.is_some() {
            return;
        }
        let now = update.now;
        self.logged_in_at = self.logged_in_at.min(now);
        self.authenticated_at = self.authenticated_at.min(now);
        self.last_seen = self.last_seen.min(now);
        if let Some(active_at) = update.active_at {
            self.last_seen = self.last_seen.max(active_at.min(now));
            self.note_client(update.client.as_ref());
        }
        if let Some(policy) = &update.user_policy {
            self.user_policy.clone_from(policy);
        }
        self.signing_key = update.signing_key.unwrap_or(self.signing_key);
    }

    fn note_client(&mut self, client: Option<&Client>) {
        if let Some(client) = client {
            self.last_client = (*client != self.client).then(|| client.clone());
        }
    }

    /// Resets both timeouts after a re-authentication (NIST SP 800-63B-4 §5.2).
    pub fn reauthenticate(&mut self, id: PublicId, at: Timestamp) {
        self.id = id;
        self.authenticated_at = self.authenticated_at.max(at);
        self.last_seen = self.last_seen.max(at);
    }

    /// Returns `true` if the session is open and has a time after `now`, which
    /// [`update`](Self::update) corrects.
    #[must_use]
    pub fn is_ahead_of(&self, now: Timestamp) -> bool {
        self.ended.is_none()
            && self.last_seen.max(self.logged_in_at).max(self.authenticated_at) > now
    }

    /// Ends the session unless it has ended: the first reason stays. Returns `true` if this call
    /// ended it.
    pub fn end(&mut self, ended: Ended) -> bool {
        let is_open = self.ended.is_none();
        self.ended.get_or_insert(ended);
        is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::login::NewLogin;
    use crate::{
        policy::Policy,
        time::{hours, seconds},
    };

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn record() -> SessionRecord {
        SessionRecord::new(&NewLogin::new("alice", NOON, &Policy::new()))
    }

    #[test]
    fn activity_only_moves_forward_and_never_into_the_future() {
        let mut record = record();
        let (later, much_later) = (NOON.plus(seconds(5)), NOON.plus(hours(1)));
        for (seen, now, last_seen) in [
            (later, later, later),
            (NOON, later, later),
            (much_later, later, later),
            (much_later, much_later, much_later),
            (NOON, NOON, NOON),
        ] {
            record.update(&SessionUpdate::new(now).active(seen));
            assert_eq!(record.last_seen, last_seen, "{seen:?} at {now:?}");
        }
    }

    #[test]
    fn the_first_reason_stays_and_activity_cannot_undo_it() {
        let mut record = record();
        assert!(record.end(Ended::new(Reason::LoggedOut, NOON)));
        assert!(!record.end(Ended::new(Reason::Idle, NOON)));
        let later = NOON.plus(hours(1));
        record.update(&SessionUpdate::new(later).active(later));
        assert_eq!(
            (record.ended.as_ref().map(|ended| ended.reason), record.last_seen),
            (Some(Reason::LoggedOut), NOON)
        );
    }
}
