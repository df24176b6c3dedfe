//! A login, on its way into a registry.

use std::sync::Arc;

use super::{
    key::{PublicId, RecordKey, SigningKey},
    record::{Client, Ended, SessionRecord},
    room::SessionLimit,
};
use crate::{
    facts::Reason,
    limit::Limits,
    policy::{Policy, PolicyPatch},
    time::Timestamp,
};

/// A login as it is handed to a registry.
///
/// ```
/// use session_expire::{NewLogin, Policy, PolicyPatch, Reason, SessionRecord, Timestamp, hours};
/// let now = Timestamp::from_millis(0);
/// let mut login = NewLogin::new("alice", now, &Policy::new().max_sessions(1));
/// login.client.device = "Firefox on Linux".into();
/// login.choice = Some(PolicyPatch::new().absolute(hours(24)).into());
///
/// assert_eq!(login.room.places(), 1);
/// let ended = login.evicts();
/// assert_eq!((ended.reason, ended.by.as_deref()), (Reason::Evicted, Some("Firefox on Linux")));
/// assert_eq!(SessionRecord::new(&login).last_seen, now);
/// ```
#[derive(Debug, Clone)]
pub struct NewLogin {
    /// The secret name of the new record.
    pub key: RecordKey,
    /// The public name of the new record.
    pub id: PublicId,
    /// The secret that signs the claims of this login's pages.
    pub seal: SigningKey,
    /// The user, as actix-identity knows them.
    pub user: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub client: Client,
    /// The login of the same user that this browser had before, whose place the new one takes, and why
    /// it ends now at the latest.
    pub replaces: Option<(RecordKey, Reason)>,
    /// How many sessions the user may have, this one included.
    pub room: SessionLimit,
    /// The limits under which this session counts as alive when places are counted.
    pub limits: Limits,
    /// What was chosen at this login; see [`SessionRecord::choice`].
    pub choice: Option<Arc<PolicyPatch>>,
    /// What the user has of their own; it has the last word.
    pub patch: Option<Arc<PolicyPatch>>,
}

impl NewLogin {
    /// A login of `user` at `at`, with new names, under the limits of `policy`.
    pub fn new(user: impl Into<Arc<str>>, at: Timestamp, policy: &Policy) -> Self {
        let user = user.into();
        Self {
            key: RecordKey::random(&user),
            id: PublicId::random(),
            seal: SigningKey::random(),
            user,
            at,
            client: Client::default(),
            replaces: None,
            room: SessionLimit::of(policy),
            limits: policy.limits(),
            choice: None,
            patch: None,
        }
    }

    /// How this login is written into the record of one that yields to it.
    #[must_use]
    pub fn evicts(&self) -> Ended {
        Ended { at: self.at, reason: Reason::Evicted, by: Some(Arc::clone(&self.client.device)) }
    }
}

impl SessionRecord {
    /// A record of a login that has just happened.
    #[must_use]
    pub fn new(login: &NewLogin) -> Self {
        Self {
            id: login.id,
            seal: login.seal,
            user: Arc::clone(&login.user),
            client: login.client.clone(),
            logged_in_at: login.at,
            last_seen: login.at,
            ended: None,
            limits: login.limits,
            choice: login.choice.clone(),
            patch: login.patch.clone(),
        }
    }
}
