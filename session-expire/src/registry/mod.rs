//! Where logins are recorded: the one truth about who is signed in.

#[cfg(feature = "conformance")]
pub mod conformance;
mod forget;
pub(crate) mod key;
pub(crate) mod login;
#[cfg(feature = "metrics")]
pub(crate) mod measured;
pub(crate) mod memory;
#[cfg(all(test, shuttle))]
mod model;
pub(crate) mod record;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod room;
mod shard;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::{pin::Pin, sync::Arc};

use key::{PublicId, RecordKey};
use login::NewLogin;
use record::{ActivityUpdate, Ended, SessionRecord};
use room::SessionLimit;

use crate::{error::RegistryError, time::Timestamp};

/// The answer of a registry, when it comes.
///
/// ```
/// use std::future::ready;
/// use session_expire::{RegistryFuture, RegistryError};
///
/// fn at_once<'a, T: Send + 'a>(answer: T) -> RegistryFuture<'a, T> {
///     Box::pin(ready(Ok(answer)))
/// }
///
/// fn failed<'a, T: Send + 'a>(cause: std::io::Error) -> RegistryFuture<'a, T> {
///     Box::pin(ready(Err(RegistryError::new("load a record", cause))))
/// }
/// # let _: (RegistryFuture<'_, ()>, RegistryFuture<'_, ()>) = (at_once(()), failed(std::io::ErrorKind::Other.into()));
/// ```
pub type RegistryFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send + 'a>>;

/// What became of a login.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{LoginOutcome, NewLogin, MemoryRegistry, Overflow, Policy, Registry, Timestamp};
/// let registry = MemoryRegistry::new();
/// let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
/// let login = || NewLogin::new("alice", Timestamp::from_millis(0), &policy);
///
/// let LoginOutcome::Committed { record, ended } = registry.login(login()).await? else { panic!("refused") };
/// assert!(ended.is_empty());
/// let LoginOutcome::Refused { holders } = registry.login(login()).await? else { panic!("admitted") };
/// assert_eq!(holders, [record]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub enum LoginOutcome {
    /// It was recorded.
    Committed {
        /// Its record.
        record: SessionRecord,
        /// The records that it has ended: the one it replaces, and those that yielded.
        ended: Vec<SessionRecord>,
    },
    /// There is no room, and nothing was changed.
    Refused {
        /// The records that hold the places, oldest login first.
        holders: Vec<SessionRecord>,
    },
}

/// A record as it was loaded.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use session_expire::{NewLogin, MemoryRegistry, Policy, Registry, Timestamp};
/// # let registry = MemoryRegistry::new();
/// let login = || NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new());
/// let (first, second) = (login(), login());
/// let key = first.key;
/// registry.login(first).await?;
/// registry.login(second).await?;
/// let loaded = registry.load(key).await?.ok_or("unknown")?;
/// assert_eq!((&*loaded.record.user, loaded.open), ("alice", 2));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The record. A request only reads it, so nothing of it is copied.
    pub record: Arc<SessionRecord>,
    /// How many records of this user have not ended, this one included if it hasn't. Some of them may
    /// have run out since.
    pub open: u32,
}

/// Which records to end.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{Ended, NewLogin, MemoryRegistry, Policy, Reason, SessionRecord, Registry, EndTarget, Timestamp};
/// # let registry = MemoryRegistry::new();
/// let now = Timestamp::from_millis(0);
/// let login = NewLogin::new("alice", now, &Policy::new());
/// let record = SessionRecord::new(&login);
/// assert!(EndTarget::Key(login.key).covers(&login.key, &record));
/// assert!(!EndTarget::Id("bob".into(), record.id).covers(&login.key, &record));
/// assert!(!EndTarget::Others("alice".into(), record.id).covers(&login.key, &record));
///
/// registry.login(login).await?;
/// let ended = registry.end(EndTarget::All("alice".into()), Ended::new(Reason::Revoked, now)).await?;
/// assert_eq!(ended.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub enum EndTarget {
    /// The one with this key.
    Key(RecordKey),
    /// The one with this id, if it is one of this user's.
    Id(Arc<str>, PublicId),
    /// All of this user's but the one with this id.
    Others(Arc<str>, PublicId),
    /// All of this user's.
    All(Arc<str>),
}

/// Which records to list.
///
/// ```
/// use session_expire::{NewLogin, Policy, Query, SessionRecord, Timestamp};
/// let at = |at| SessionRecord::new(&NewLogin::new("alice", Timestamp::from_millis(at), &Policy::new()));
/// let records = vec![at(1), at(3), at(2)];
///
/// let first = Query { limit: Some(2), ..Query::open("alice") };
/// let page = first.page(records.clone());
/// assert_eq!(page.iter().map(|record| record.logged_in_at.as_millis()).collect::<Vec<_>>(), [3, 2]);
///
/// let second = Query { after: page.last().map(Query::place), ..first };
/// assert_eq!(records.iter().filter(|record| second.covers(record)).count(), 1);
/// assert!(!Query::past("alice").covers(&records[0]));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Those of one user, or of all.
    pub user: Option<Arc<str>>,
    /// Those that have ended (`true`), those that have not, or both.
    pub ended: Option<bool>,
    /// Those that come after this one in the list: the last one of the page before.
    pub after: Option<(Timestamp, PublicId)>,
    /// At most this many; `None` for all.
    pub limit: Option<usize>,
}

impl Query {
    /// The open records of `user`.
    pub fn open(user: impl Into<Arc<str>>) -> Self {
        Self { user: Some(user.into()), ended: Some(false), ..Self::default() }
    }

    /// The ended records of `user`.
    pub fn past(user: impl Into<Arc<str>>) -> Self {
        Self { user: Some(user.into()), ended: Some(true), ..Self::default() }
    }

    /// Whether `record` belongs into the list.
    #[must_use]
    pub fn covers(&self, record: &SessionRecord) -> bool {
        self.user.as_ref().is_none_or(|user| *user == record.user)
            && self.ended.is_none_or(|ended| ended == record.ended.is_some())
            && self.after.is_none_or(|after| Self::place(record) < after)
    }

    /// Sorts what it covers, newest login first, and cuts off what is too much.
    #[must_use]
    pub fn page(&self, mut records: Vec<SessionRecord>) -> Vec<SessionRecord> {
        records.sort_by_key(|record| std::cmp::Reverse(Self::place(record)));
        records.truncate(self.limit.unwrap_or(usize::MAX));
        records
    }

    /// The place of a record in the list; hand that of the last one of a page to
    /// [`after`](Self::after).
    #[must_use]
    pub fn place(record: &SessionRecord) -> (Timestamp, PublicId) {
        (record.logged_in_at, record.id)
    }
}

/// Keeps the records of logins.
///
/// The session carries only a record's key; whether that login still counts is known here and
/// nowhere else. An error means "could not ask": the visitor is then not trusted and not signed out.
///
/// Every operation is one step that others see either whole or not at all; `login` above all: of any
/// number of simultaneous logins no more than the [`SessionLimit`] allows are left.
///
/// A complete registry, with a lock around a list:
///
/// ```
/// use std::{future::ready, sync::{Arc, Mutex}};
/// use session_expire::{
///     LoginOutcome, RegistryFuture, ActivityUpdate, Ended, Loaded, NewLogin, Query, Reason, SessionRecord, RecordKey, Registry,
///     SessionLimit, OpenSession, EndTarget,
/// };
///
/// #[derive(Default)]
/// struct Plain(Mutex<Vec<(RecordKey, SessionRecord)>>);
///
/// impl Plain {
///     fn with<'a, T: Send + 'a>(&self, act: impl FnOnce(&mut Vec<(RecordKey, SessionRecord)>) -> T) -> RegistryFuture<'a, T> {
///         let done = act(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
///         Box::pin(ready(Ok(done)))
///     }
/// }
///
/// fn end(records: &mut [(RecordKey, SessionRecord)], which: impl Fn(&RecordKey, &SessionRecord) -> bool, ended: &Ended) -> Vec<SessionRecord> {
///     let chosen = records.iter_mut().filter(|(key, record)| which(key, record));
///     chosen.filter_map(|(_, record)| record.end(ended.clone()).then(|| record.clone())).collect()
/// }
///
/// fn make_room(records: &mut [(RecordKey, SessionRecord)], user: &str, but: &RecordKey, room: SessionLimit, ended: &Ended) -> Vec<SessionRecord> {
///     let others = records.iter().filter(|(key, record)| key != but && *record.user == *user);
///     let seats = others.filter_map(|(key, record)| OpenSession::of(*key, record, ended.at)).collect();
///     let yielding = room.yielding(seats).into_iter();
///     yielding.flat_map(|seat| end(records, |key, _| *key == seat.key, &seat.end(ended))).collect()
/// }
///
/// impl Registry for Plain {
///     fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
///         let (replaced, reason) = login.replaces.unzip();
///         self.with(|records| {
///             let others = records.iter().filter(|(key, record)| Some(*key) != replaced && record.user == login.user);
///             let seats: Vec<_> = others.filter_map(|(key, record)| OpenSession::of(*key, record, login.at)).collect();
///             if login.room.refuses(&seats) {
///                 let alive = |key: &RecordKey| seats.iter().any(|seat| seat.key == *key && seat.ran_out.is_none());
///                 let mut holders: Vec<_> = records.iter().filter(|(key, _)| alive(key)).map(|(_, record)| record.clone()).collect();
///                 holders.sort_by_key(|record| record.logged_in_at);
///                 return LoginOutcome::Refused { holders };
///             }
///             let end_of_replaced = Ended::new(reason.unwrap_or(Reason::LoggedOut), login.at);
///             let mut ended = end(records, |key, record| Some(*key) == replaced && record.user == login.user, &end_of_replaced);
///             ended.extend(make_room(records, &login.user, &login.key, login.room, &login.evicts()));
///             let record = SessionRecord::new(&login);
///             records.push((login.key, record.clone()));
///             LoginOutcome::Committed { record, ended }
///         })
///     }
///
///     fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
///         self.with(|records| {
///             let (_, record) = records.iter().find(|(known, _)| *known == key)?;
///             let open = records.iter().filter(|(_, other)| other.user == record.user && other.ended.is_none());
///             Some(Loaded { record: Arc::new(record.clone()), open: open.count().try_into().unwrap_or(u32::MAX) })
///         })
///     }
///
///     fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()> {
///         self.with(|records| {
///             records.iter_mut().filter(|(known, _)| *known == key).for_each(|(_, record)| record.touch(&change));
///         })
///     }
///
///     fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
///         self.with(|records| end(records, |key, record| target.covers(key, record), &ended))
///     }
///
///     fn make_room(&self, key: RecordKey, room: SessionLimit, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
///         self.with(|records| match records.iter().find(|(known, _)| *known == key) {
///             Some((_, record)) if record.ended.is_none() => {
///                 let user = record.user.clone();
///                 make_room(records, &user, &key, room, &ended)
///             }
///             _ => vec![],
///         })
///     }
///
///     fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
///         self.with(|records| query.page(records.iter().map(|(_, record)| record.clone()).filter(|record| query.covers(record)).collect()))
///     }
/// }
/// ```
pub trait Registry: Send + Sync + 'static {
    /// Opens a record, ends the one that it [replaces](NewLogin::replaces) and those that have to yield, or
    /// refuses; all in one step. The replaced one holds no place; one of another user is not replaced.
    fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome>;

    /// The record of `key`, ended or not; `None` for one that was never there or is forgotten.
    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>>;

    /// Notes activity, by the rule of [`SessionRecord::touch`]; nothing for an unknown key.
    fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()>;

    /// Ends records, by the rule of [`SessionRecord::end`], and answers those that this call has ended.
    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>>;

    /// Ends as many other sessions of the user of `key` as it takes for `room`, and answers them.
    /// Nothing happens if that session itself has ended. `ended` is the end of those that must yield;
    /// whoever ran out ends for that reason.
    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>>;

    /// Lists records, newest login first. Only a list of one user is one step: that of all users may be
    /// read user by user.
    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>>;

    /// Whether it keeps to `max_sessions`, as it should. For a registry that says no, a policy with
    /// `max_sessions` is an error: a limit that nobody enforces must not look like one.
    fn counts(&self) -> bool {
        true
    }

    /// A middleware begins to use it, at `now`; by default nothing happens. A registry whose records outlast
    /// the process, and are [shared](Self::shared) with no other, [touches](SessionRecord::touch) those that are
    /// [ahead](SessionRecord::is_ahead_of) of it: a clock that was wrong, before the restart or now, would keep
    /// sessions alive that nobody uses.
    fn begin(&self, now: Timestamp) {
        let _ = now;
    }

    /// Whether several processes use its records at once; `false` unless it says so.
    ///
    /// Where time falls back, a process alone with its records goes on from the latest moment it has
    /// seen, so that nobody gains time. Among others it must not: it would end what they have rightly
    /// recorded since as long overdue.
    fn shared(&self) -> bool {
        false
    }
}

impl EndTarget {
    /// Whether `record` under `key` is to be ended.
    #[must_use]
    pub fn covers(&self, key: &RecordKey, record: &SessionRecord) -> bool {
        match self {
            Self::Key(wanted) => key == wanted,
            Self::Id(user, id) => record.user == *user && record.id == *id,
            Self::Others(user, keep) => record.user == *user && record.id != *keep,
            Self::All(user) => record.user == *user,
        }
    }
}
