//! Session record: the registry's state of one session, and the rules by which it changes.
//!
//! An ended record never changes again, and `last_seen` only moves forward. Every registry applies
//! these rules; the middleware reads the loaded record.

use std::{sync::Arc, time::Duration};

use super::{
    client::Client, ended::Ended, key::PublicId, login::NewLogin, login::stamp::Stamp,
    signing_key::SigningKey, update::SessionUpdate,
};
use crate::{
    policy::{
        PolicyPatch,
        limit::{Limit, Limits},
        merge::SessionPatches,
    },
    session::{
        reason::Reason,
        verdict::{Facts, Verdict, judge_limits},
    },
    time::{Timestamp, hours},
};

/// How long an unused record stays open after its expiry under the longest timeouts.
const GRACE: Duration = hours(24);

/// How long an unused record without timeouts stays open after its last activity.
const UNLIMITED: Duration = hours(24 * 90);

/// Reference to a session record: its user and its public id.
///
/// Updates use this reference and not the key, because another request may rotate the key at the
/// same time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SessionRef {
    /// User id.
    pub user: Arc<str>,
    /// Public id of the session.
    pub id: PublicId,
}

impl SessionRef {
    /// Returns a reference to the session `id` of `user`.
    pub fn new(user: impl Into<Arc<str>>, id: PublicId) -> Self {
        Self { user: user.into(), id }
    }
}

/// Record of one session in the registry, without its session data.
///
/// ```
/// use session_expire::{
///     Policy, Reason, clock::Timestamp, minutes,
///     registry::{Ended, NewLogin, SessionRecord, SessionUpdate},
/// };
/// let policy = Policy::new().idle(minutes(10));
/// let noon = Timestamp::from_millis(1_767_268_800_000);
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
    /// User id, as `Identity::id` returns it.
    pub user: Arc<str>,
    /// Client of the login.
    pub client: Client,
    /// Client of the last activity, if it differs from that of the login.
    pub last_client: Option<Arc<Client>>,
    /// Time of the login.
    pub logged_in_at: Timestamp,
    /// Time of the last authentication: the login or a later re-authentication.
    pub authenticated_at: Timestamp,
    /// Time of the last activity.
    pub last_seen: Timestamp,
    /// End of the session; `None` while it is open.
    pub ended: Option<Ended>,
    /// Idle timeout by which the session limit decides whether this session is active.
    pub idle: Limit<Duration>,
    /// Absolute timeout by which the session limit decides whether this session is active.
    pub absolute: Limit<Duration>,
    /// Longest idle timeout of all policies that can apply to this session; see
    /// [`leaves_at`](Self::leaves_at).
    pub longest_idle: Limit<Duration>,
    /// Longest absolute timeout of all policies that can apply to this session.
    pub longest_absolute: Limit<Duration>,
    /// Policy patch chosen at the login, such as longer limits for "keep me signed in".
    pub login_policy: Option<Arc<PolicyPatch>>,
    /// Policy patch of the user; it has the highest precedence.
    pub user_policy: Option<Arc<PolicyPatch>>,
    /// `true` if the session takes no slot of the session limit.
    pub uncounted: bool,
    /// `true` if the user came back after the application's idle timeout, and has not
    /// re-authenticated since. Only a session whose login policy has a longer idle timeout can be
    /// remembered in this way. It is also `true` for an adopted session without a known login time,
    /// until its user re-authenticates.
    pub remembered: bool,
    /// Number of attempts to re-authenticate since the last successful authentication.
    pub confirmation_attempts: u8,
    /// Security stamp: digest of the credential with which the user signed in; `None` if the
    /// application passed no credential.
    pub stamp: Option<Stamp>,
    /// User who impersonates [`user`](Self::user) in this session.
    pub actor: Option<Arc<str>>,
    /// Number of calls of [`Registry::end_everyone`](crate::registry::Registry::end_everyone)
    /// before the login.
    pub generation: u64,
    /// For an adopted session, the time until which its tombstone must be kept; `None` for the
    /// usual day. A key rotation sets it to `None`: only the tombstone of the first key must be
    /// kept longer, because the session could be adopted again by that key.
    pub tombstone_until: Option<Timestamp>,
}

impl SessionRecord {
    /// Number of re-authentication attempts in a row that are checked. Counting a further one ends
    /// the session.
    pub const MAX_CONFIRMATION_ATTEMPTS: u8 = 5;

    /// Returns the record that `login` creates.
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
            longest_idle: login.longest_idle,
            longest_absolute: login.longest_absolute,
            login_policy: login.login_policy.clone(),
            user_policy: login.user_policy.clone(),
            uncounted: login.uncounted,
            remembered: login.remembered,
            confirmation_attempts: 0,
            stamp: login.stamp,
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

    /// Sets the signing key, for a registry that loads a stored record. Default: the key of the
    /// login.
    #[must_use]
    pub fn with_signing_key(mut self, key: SigningKey) -> Self {
        self.signing_key = key;
        self
    }

    /// Returns the signing key of page tokens, for a registry to store. Do not log it.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing_key
    }

    /// Returns the policy patches of the session.
    pub(crate) fn patches(&self) -> SessionPatches<'_> {
        SessionPatches { login: self.login_policy.as_deref(), user: self.user_policy.as_deref() }
    }

    /// Returns the input of [`judge`](crate::session::verdict::judge).
    pub(crate) fn facts(&self) -> Facts {
        Facts::Login {
            authenticated_at: self.authenticated_at,
            last_seen: self.last_seen,
            ended: self.ended.as_ref().map(|ended| ended.reason),
        }
    }

    /// Returns the reason why the session has ended, or has expired at `now` under its own limits;
    /// `None` while it is active.
    #[must_use]
    pub fn expiry_reason(&self, now: Timestamp) -> Option<Reason> {
        let limits = Limits { idle: self.idle, absolute: self.absolute };
        match judge_limits(&self.facts(), limits, now) {
            Verdict::Expired(reason) => Some(reason),
            Verdict::Active(_) | Verdict::Anonymous => None,
        }
    }

    /// Applies an update except for its data.
    /// [`Registry::update`](crate::registry::Registry::update) must have the same effect.
    ///
    /// `last_seen` only moves forward, and an ended record does not change. A stored time after
    /// `now`, from a clock that has since been set back, becomes `now`. Otherwise the session would
    /// stay active without a user until the clock reaches that time.
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
            self.set_last_client(update.client.as_ref());
        }
        self.remembered |= update.remembered;
        self.stamp = update.stamp.or(self.stamp);
        if let Some(policy) = &update.user_policy {
            self.user_policy.clone_from(policy);
        }
        self.signing_key = update.signing_key.unwrap_or(self.signing_key);
        if let Some((idle, absolute)) = update.longest {
            (self.longest_idle, self.longest_absolute) = (idle, absolute);
        }
    }

    fn set_last_client(&mut self, client: Option<&Client>) {
        if let Some(client) = client {
            self.last_client = (*client != self.client).then(|| Arc::new(client.clone()));
        }
    }

    /// Returns the time at which an unused open record moves to the history: one day after its
    /// expiry under the longest timeouts. Without timeouts, it is 90 days after the last activity.
    #[must_use]
    pub fn leaves_at(&self) -> Timestamp {
        self.last_accepted_at().plus(GRACE)
    }

    /// Returns the end of an unused record that moves to the history at
    /// [`leaves_at`](Self::leaves_at): its expiry under the longest timeouts.
    #[must_use]
    pub fn final_end(&self) -> Ended {
        let at = self.last_accepted_at();
        let limits = Limits { idle: self.longest_idle, absolute: self.longest_absolute };
        match judge_limits(&self.facts(), limits, at) {
            Verdict::Expired(reason) => Ended::new(reason, at),
            Verdict::Active(_) | Verdict::Anonymous => Ended::new(Reason::Idle, at),
        }
    }

    fn last_accepted_at(&self) -> Timestamp {
        let idle = self.longest_idle.at().map(|idle| self.last_seen.plus(idle));
        let absolute = self.longest_absolute.at().map(|limit| self.authenticated_at.plus(limit));
        let unlimited = || self.last_seen.plus(UNLIMITED.saturating_sub(GRACE));
        idle.into_iter().chain(absolute).min().unwrap_or_else(unlimited)
    }

    /// Resets both timeouts after a re-authentication at `at` (NIST SP 800-63B-4 §5.2), and sets
    /// the new public id. Resets the number of attempts.
    pub fn reauthenticate(&mut self, id: PublicId, at: Timestamp) {
        self.id = id;
        (self.remembered, self.confirmation_attempts) = (false, 0);
        self.authenticated_at = self.authenticated_at.max(at);
        self.last_seen = self.last_seen.max(at);
    }

    /// Applies a key rotation at `at`, which is a re-authentication if it has a new public id. Call
    /// it after [`update`](Self::update).
    ///
    /// The old key loads the record before the update, ended as
    /// [`Renewed`](crate::Reason::Renewed), with the public id that the session has afterwards.
    pub fn rotate_key(&mut self, reauthenticated_as: Option<PublicId>, at: Timestamp) {
        self.tombstone_until = None;
        if let Some(id) = reauthenticated_as {
            self.reauthenticate(id, at);
        }
    }

    /// Counts an attempt to re-authenticate, and returns `true` if the session was open. The first
    /// one after [`MAX_CONFIRMATION_ATTEMPTS`](Self::MAX_CONFIRMATION_ATTEMPTS) in a row ends the
    /// session.
    pub fn count_confirmation_attempt(&mut self, ended: Ended) -> bool {
        if self.ended.is_some() {
            return false;
        }
        self.confirmation_attempts = self.confirmation_attempts.saturating_add(1);
        if self.confirmation_attempts > Self::MAX_CONFIRMATION_ATTEMPTS {
            self.end(ended);
        }
        true
    }

    /// Returns `true` if the session is open and one of its times is after `now`.
    /// [`update`](Self::update) corrects such times.
    #[must_use]
    pub fn is_ahead_of(&self, now: Timestamp) -> bool {
        self.ended.is_none()
            && self.last_seen.max(self.logged_in_at).max(self.authenticated_at) > now
    }

    /// Ends the session and returns `true`. If it has ended before, returns `false` and does not
    /// replace the recorded end.
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
        time::{minutes, seconds},
    };

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn record() -> SessionRecord {
        SessionRecord::new(&NewLogin::new("alice", NOON, &Policy::new()))
    }

    #[test]
    fn activity_moves_last_seen_forward_up_to_now() {
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
    fn record_leaves_a_day_after_the_laxest_policy() {
        let (at, off, day) = (|n| Limit::At(hours(n)), Limit::Off, hours(24));
        for (idle, absolute, accepted, reason) in [
            (at(1), at(8), hours(1), Reason::Idle),
            (at(9), at(8), hours(7), Reason::Absolute),
            (off, at(8), hours(7), Reason::Absolute),
            (at(1), off, hours(1), Reason::Idle),
            (off, off, day * 89, Reason::Idle),
        ] {
            let mut record = record();
            record.last_seen = NOON.plus(hours(1));
            (record.longest_idle, record.longest_absolute) = (idle, absolute);
            let accepted = NOON.plus(hours(1)).plus(accepted);
            assert_eq!(record.final_end(), Ended::new(reason, accepted), "{idle} {absolute}");
            assert_eq!(record.leaves_at(), accepted.plus(day), "{idle} {absolute}");
        }
    }

    #[test]
    fn update_replaces_the_longest_timeouts() {
        let mut record = record();
        let longest = (Limit::At(minutes(5)), Limit::Off);
        record.update(&SessionUpdate { longest: Some(longest), ..SessionUpdate::new(NOON) });
        assert_eq!((record.longest_idle, record.longest_absolute), longest);
    }

    #[test]
    fn attempt_after_the_fifth_in_a_row_ends_the_session() {
        let mut record = record();
        let ended = Ended::new(Reason::Revoked, NOON);
        for _ in 0..SessionRecord::MAX_CONFIRMATION_ATTEMPTS {
            assert!(record.count_confirmation_attempt(ended.clone()) && record.ended.is_none());
        }
        record.reauthenticate(PublicId::random(), NOON);
        for _ in 0..SessionRecord::MAX_CONFIRMATION_ATTEMPTS {
            assert!(record.count_confirmation_attempt(ended.clone()) && record.ended.is_none());
        }
        assert!(record.count_confirmation_attempt(ended.clone()));
        assert_eq!(record.ended, Some(ended.clone()));
        assert!(!record.count_confirmation_attempt(ended));
    }

    #[test]
    fn ended_record_keeps_its_reason_and_last_seen() {
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
