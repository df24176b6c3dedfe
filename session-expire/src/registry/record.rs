//! What is known of one login.

use std::{net::IpAddr, sync::Arc};

use super::key::{PublicId, SigningKey};
use crate::{
    facts::{Facts, Reason},
    judge::{Verdict, judge_limits},
    limit::Limits,
    policy::PolicyPatch,
    time::Timestamp,
};

/// From where somebody signed in.
///
/// ```
/// use session_expire::{Client, device_name};
/// let client = Client { ip: "203.0.113.9".parse().ok(), device: device_name("curl/8.5.0").into() };
/// assert_eq!(&*client.device, "curl");
/// assert_eq!(Client::default().ip, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// The address, if it is known.
    pub ip: Option<IpAddr>,
    /// The device in words, such as `Firefox on Linux`; empty if it is not known.
    pub device: Arc<str>,
}

/// What a request changes in the record it came with.
///
/// ```
/// # use session_expire::{ActivityUpdate, NewLogin, Policy, PolicyPatch, SessionRecord, Timestamp, minutes, seconds};
/// # let noon = Timestamp::from_millis(1_767_268_800_000);
/// # let mut record = SessionRecord::new(&NewLogin::new("alice", noon, &Policy::new()));
/// let now = noon.plus(minutes(10));
/// // The person typed 20 seconds ago, and has been given a limit of their own.
/// let patch = PolicyPatch::new().idle(minutes(5));
/// record.touch(&ActivityUpdate { seen: now.minus(seconds(20)), now, patch: Some(Some(patch.into())) });
/// assert_eq!(record.last_seen, now.minus(seconds(20)));
/// // `None` leaves that limit, `Some(None)` takes it away.
/// record.touch(&ActivityUpdate { seen: now, now, patch: None });
/// assert!(record.patch.is_some());
/// ```
#[derive(Debug, Clone)]
pub struct ActivityUpdate {
    /// When the person was active.
    pub seen: Timestamp,
    /// The time now.
    pub now: Timestamp,
    /// What the user has of their own from now on, if that was asked anew.
    pub patch: Option<Option<Arc<PolicyPatch>>>,
}

/// When and why a login ended.
///
/// ```
/// use session_expire::{Ended, Reason, Timestamp};
/// let noon = Timestamp::from_millis(1_767_268_800_000);
/// let evicted = Ended { by: Some("Firefox on Linux".into()), ..Ended::new(Reason::Evicted, noon) };
/// assert_eq!((evicted.at, evicted.reason), (noon, Reason::Evicted));
/// assert_eq!(Ended::new(Reason::LoggedOut, noon).by, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// The device whose login took the place of this one, when that is known.
    pub by: Option<Arc<str>>,
}

impl Ended {
    /// An end for `reason` at `at`.
    #[must_use]
    pub fn new(reason: Reason, at: Timestamp) -> Self {
        Self { at, reason, by: None }
    }
}

/// What the registry knows of one login.
///
/// ```
/// use session_expire::{ActivityUpdate, Ended, NewLogin, Policy, Reason, SessionRecord, Timestamp, judge, minutes};
/// let (policy, noon) = (Policy::new().idle(minutes(10)), Timestamp::from_millis(1_767_268_800_000));
/// let mut record = SessionRecord::new(&NewLogin::new("alice", noon, &policy));
/// let later = noon.plus(minutes(9));
/// record.touch(&ActivityUpdate { seen: later, now: later, patch: None });
/// assert_eq!(record.ran_out(noon.plus(minutes(10))), None);
/// assert_eq!(record.ran_out(noon.plus(minutes(19))), Some(Reason::Idle));
///
/// assert!(record.end(Ended::new(Reason::LoggedOut, later)));
/// assert!(!record.end(Ended::new(Reason::Revoked, later)));
/// # use session_expire::Verdict;
/// assert_eq!(judge(&record.facts(), &policy, later), Verdict::Expired(Reason::LoggedOut));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The public name.
    pub id: PublicId,
    /// The secret that signs the claims of this login's pages.
    pub seal: SigningKey,
    /// The user, as actix-identity knows them.
    pub user: Arc<str>,
    /// From where the person signed in.
    pub client: Client,
    /// When the person signed in.
    pub logged_in_at: Timestamp,
    /// When the person was last active.
    pub last_seen: Timestamp,
    /// When and why it ended; `None` while it lives.
    pub ended: Option<Ended>,
    /// The limits under which it counts as alive when places are counted.
    pub limits: Limits,
    /// What was chosen at this login, such as to stay signed in for longer; see
    /// [`sign_in_with`](crate::SessionHandle::sign_in_with).
    pub choice: Option<Arc<PolicyPatch>>,
    /// What the user has of their own; it has the last word.
    pub patch: Option<Arc<PolicyPatch>>,
}

impl SessionRecord {
    /// What judging needs of it.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts::Login {
            logged_in_at: self.logged_in_at,
            last_seen: self.last_seen,
            ended: self.ended.as_ref().map(|ended| ended.reason),
        }
    }

    /// Why it would be over by `now` under its own limits, if nothing has ended it before; `None` while
    /// it holds a place.
    #[must_use]
    pub fn ran_out(&self, now: Timestamp) -> Option<Reason> {
        match judge_limits(&self.facts(), self.limits, now) {
            Verdict::Expired(reason) => Some(reason),
            Verdict::Active(_) | Verdict::Anonymous => None,
        }
    }

    /// Notes a change: the rule that [`Registry::touch`](super::Registry::touch) keeps.
    ///
    /// `last_seen` only moves forward, and an ended record doesn't change. A time in the future, left by
    /// a clock that has since been set back, is pulled back to now: it would otherwise keep an
    /// unattended session alive until the clock has caught up.
    pub fn touch(&mut self, change: &ActivityUpdate) {
        if self.ended.is_some() {
            return;
        }
        let ActivityUpdate { seen, now, patch } = change;
        self.logged_in_at = self.logged_in_at.min(*now);
        self.last_seen = self.last_seen.min(*now).max(*seen.min(now));
        if let Some(patch) = patch {
            self.patch.clone_from(patch);
        }
    }

    /// Whether it lives and tells of a moment after `now`, which [`touch`](Self::touch) puts right.
    ///
    /// ```
    /// use session_expire::{ActivityUpdate, NewLogin, Policy, SessionRecord, Timestamp, hours};
    /// let noon = Timestamp::from_millis(1_767_268_800_000);
    /// let mut record = SessionRecord::new(&NewLogin::new("alice", noon, &Policy::new()));
    /// let now = noon.minus(hours(1));
    /// assert!(record.is_ahead_of(now) && !record.is_ahead_of(noon));
    /// record.touch(&ActivityUpdate { seen: now, now, patch: None });
    /// assert_eq!((record.logged_in_at, record.last_seen), (now, now));
    /// ```
    #[must_use]
    pub fn is_ahead_of(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.last_seen.max(self.logged_in_at) > now
    }

    /// Ends it, unless it has ended before: the first reason stays. Says whether this call did it.
    pub fn end(&mut self, ended: Ended) -> bool {
        let alive = self.ended.is_none();
        self.ended.get_or_insert(ended);
        alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::Policy,
        registry::login::NewLogin,
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
            record.touch(&ActivityUpdate { seen, now, patch: None });
            assert_eq!(record.last_seen, last_seen, "{seen:?} at {now:?}");
        }
    }

    #[test]
    fn the_first_reason_stays_and_activity_cannot_undo_it() {
        let mut record = record();
        assert!(record.end(Ended::new(Reason::LoggedOut, NOON)));
        assert!(!record.end(Ended::new(Reason::Idle, NOON)));
        let later = NOON.plus(hours(1));
        record.touch(&ActivityUpdate { seen: later, now: later, patch: None });
        assert_eq!(
            (record.ended.as_ref().map(|ended| ended.reason), record.last_seen),
            (Some(Reason::LoggedOut), NOON)
        );
    }
}
