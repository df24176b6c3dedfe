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
use login::Login;
use record::{Change, Ended, Record};
use room::Room;

use crate::{error::RegistryError, time::Timestamp};

/// The answer of a registry, when it comes.
///
/// ```
/// use std::future::ready;
/// use session_expire::{Answer, RegistryError};
///
/// fn at_once<'a, T: Send + 'a>(answer: T) -> Answer<'a, T> {
///     Box::pin(ready(Ok(answer)))
/// }
///
/// fn failed<'a, T: Send + 'a>(cause: std::io::Error) -> Answer<'a, T> {
///     Box::pin(ready(Err(RegistryError::new("load a record", cause))))
/// }
/// # let _: (Answer<'_, ()>, Answer<'_, ()>) = (at_once(()), failed(std::io::ErrorKind::Other.into()));
/// ```
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send + 'a>>;

/// What became of a login.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{Admission, Login, MemoryRegistry, Overflow, Policy, Registry, Timestamp};
/// let registry = MemoryRegistry::new();
/// let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
/// let login = || Login::new("alice", Timestamp::from_millis(0), &policy);
///
/// let Admission::Admitted { record, ended } = registry.login(login()).await? else { panic!("refused") };
/// assert!(ended.is_empty());
/// let Admission::Refused { holders } = registry.login(login()).await? else { panic!("admitted") };
/// assert_eq!(holders, [record]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub enum Admission {
    /// It was recorded.
    Admitted {
        /// Its record.
        record: Record,
        /// The records that it has ended: the one it replaces, and those that yielded.
        ended: Vec<Record>,
    },
    /// There is no room, and nothing was changed.
    Refused {
        /// The records that hold the places, oldest login first.
        holders: Vec<Record>,
    },
}

/// A record as it was loaded.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use session_expire::{Login, MemoryRegistry, Policy, Registry, Timestamp};
/// # let registry = MemoryRegistry::new();
/// let login = || Login::new("alice", Timestamp::from_millis(0), &Policy::new());
/// let (first, second) = (login(), login());
/// let key = first.key;
/// registry.login(first).await?;
/// registry.login(second).await?;
/// let loaded = registry.load(key).await?.ok_or("unknown")?;
/// assert_eq!((&*loaded.record.owner, loaded.open), ("alice", 2));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The record. A request only reads it, so nothing of it is copied.
    pub record: Arc<Record>,
    /// How many records of this user have not ended, this one included if it hasn't. Some of them may
    /// have run out since.
    pub open: u32,
}

/// Which records to end.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{Ended, Login, MemoryRegistry, Policy, Reason, Record, Registry, Target, Timestamp};
/// # let registry = MemoryRegistry::new();
/// let now = Timestamp::from_millis(0);
/// let login = Login::new("alice", now, &Policy::new());
/// let record = Record::new(&login);
/// assert!(Target::Key(login.key).covers(&login.key, &record));
/// assert!(!Target::Id("bob".into(), record.id).covers(&login.key, &record));
/// assert!(!Target::Others("alice".into(), record.id).covers(&login.key, &record));
///
/// registry.login(login).await?;
/// let ended = registry.end(Target::All("alice".into()), Ended::new(Reason::Revoked, now)).await?;
/// assert_eq!(ended.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub enum Target {
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
/// use session_expire::{Login, Policy, Query, Record, Timestamp};
/// let at = |at| Record::new(&Login::new("alice", Timestamp::from_millis(at), &Policy::new()));
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
    pub owner: Option<Arc<str>>,
    /// Those that have ended (`true`), those that have not, or both.
    pub ended: Option<bool>,
    /// Those that come after this one in the list: the last one of the page before.
    pub after: Option<(Timestamp, PublicId)>,
    /// At most this many; `None` for all.
    pub limit: Option<usize>,
}

impl Query {
    /// The open records of `owner`.
    pub fn open(owner: impl Into<Arc<str>>) -> Self {
        Self { owner: Some(owner.into()), ended: Some(false), ..Self::default() }
    }

    /// The ended records of `owner`.
    pub fn past(owner: impl Into<Arc<str>>) -> Self {
        Self { owner: Some(owner.into()), ended: Some(true), ..Self::default() }
    }

    /// Whether `record` belongs into the list.
    #[must_use]
    pub fn covers(&self, record: &Record) -> bool {
        self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.ended.is_none_or(|ended| ended == record.ended.is_some())
            && self.after.is_none_or(|after| Self::place(record) < after)
    }

    /// Sorts what it covers, newest login first, and cuts off what is too much.
    #[must_use]
    pub fn page(&self, mut records: Vec<Record>) -> Vec<Record> {
        records.sort_by_key(|record| std::cmp::Reverse(Self::place(record)));
        records.truncate(self.limit.unwrap_or(usize::MAX));
        records
    }

    /// The place of a record in the list; hand that of the last one of a page to
    /// [`after`](Self::after).
    #[must_use]
    pub fn place(record: &Record) -> (Timestamp, PublicId) {
        (record.logged_in_at, record.id)
    }
}

/// Keeps the records of logins.
///
/// The session carries only a record's key; whether that login still counts is known here and
/// nowhere else. An error means "could not ask": the visitor is then not trusted and not signed out.
///
/// Every operation is one step that others see either whole or not at all; `login` above all: of any
/// number of simultaneous logins no more than the [`Room`] allows are left.
///
/// A complete registry, with a lock around a list:
///
/// ```
/// use std::{future::ready, sync::{Arc, Mutex}};
/// use session_expire::{
///     Admission, Answer, Change, Ended, Loaded, Login, Query, Reason, Record, RecordKey, Registry,
///     Room, Seat, Target,
/// };
///
/// #[derive(Default)]
/// struct Plain(Mutex<Vec<(RecordKey, Record)>>);
///
/// impl Plain {
///     fn with<'a, T: Send + 'a>(&self, act: impl FnOnce(&mut Vec<(RecordKey, Record)>) -> T) -> Answer<'a, T> {
///         let done = act(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
///         Box::pin(ready(Ok(done)))
///     }
/// }
///
/// fn end(records: &mut [(RecordKey, Record)], which: impl Fn(&RecordKey, &Record) -> bool, ended: &Ended) -> Vec<Record> {
///     let chosen = records.iter_mut().filter(|(key, record)| which(key, record));
///     chosen.filter_map(|(_, record)| record.end(ended.clone()).then(|| record.clone())).collect()
/// }
///
/// fn make_room(records: &mut [(RecordKey, Record)], owner: &str, but: &RecordKey, room: Room, ended: &Ended) -> Vec<Record> {
///     let others = records.iter().filter(|(key, record)| key != but && *record.owner == *owner);
///     let seats = others.filter_map(|(key, record)| Seat::of(*key, record, ended.at)).collect();
///     let yielding = room.yielding(seats).into_iter();
///     yielding.flat_map(|seat| end(records, |key, _| *key == seat.key, &seat.end(ended))).collect()
/// }
///
/// impl Registry for Plain {
///     fn login(&self, login: Login) -> Answer<'_, Admission> {
///         let (replaced, reason) = login.replaces.unzip();
///         self.with(|records| {
///             let others = records.iter().filter(|(key, record)| Some(*key) != replaced && record.owner == login.owner);
///             let seats: Vec<_> = others.filter_map(|(key, record)| Seat::of(*key, record, login.at)).collect();
///             if login.room.refuses(&seats) {
///                 let alive = |key: &RecordKey| seats.iter().any(|seat| seat.key == *key && seat.ran_out.is_none());
///                 let mut holders: Vec<_> = records.iter().filter(|(key, _)| alive(key)).map(|(_, record)| record.clone()).collect();
///                 holders.sort_by_key(|record| record.logged_in_at);
///                 return Admission::Refused { holders };
///             }
///             let end_of_replaced = Ended::new(reason.unwrap_or(Reason::LoggedOut), login.at);
///             let mut ended = end(records, |key, record| Some(*key) == replaced && record.owner == login.owner, &end_of_replaced);
///             ended.extend(make_room(records, &login.owner, &login.key, login.room, &login.evicts()));
///             let record = Record::new(&login);
///             records.push((login.key, record.clone()));
///             Admission::Admitted { record, ended }
///         })
///     }
///
///     fn load(&self, key: RecordKey) -> Answer<'_, Option<Loaded>> {
///         self.with(|records| {
///             let (_, record) = records.iter().find(|(known, _)| *known == key)?;
///             let open = records.iter().filter(|(_, other)| other.owner == record.owner && other.ended.is_none());
///             Some(Loaded { record: Arc::new(record.clone()), open: open.count().try_into().unwrap_or(u32::MAX) })
///         })
///     }
///
///     fn touch(&self, key: RecordKey, change: Change) -> Answer<'_, ()> {
///         self.with(|records| {
///             records.iter_mut().filter(|(known, _)| *known == key).for_each(|(_, record)| record.touch(&change));
///         })
///     }
///
///     fn end(&self, target: Target, ended: Ended) -> Answer<'_, Vec<Record>> {
///         self.with(|records| end(records, |key, record| target.covers(key, record), &ended))
///     }
///
///     fn make_room(&self, key: RecordKey, room: Room, ended: Ended) -> Answer<'_, Vec<Record>> {
///         self.with(|records| match records.iter().find(|(known, _)| *known == key) {
///             Some((_, record)) if record.ended.is_none() => {
///                 let owner = record.owner.clone();
///                 make_room(records, &owner, &key, room, &ended)
///             }
///             _ => vec![],
///         })
///     }
///
///     fn find(&self, query: Query) -> Answer<'_, Vec<Record>> {
///         self.with(|records| query.page(records.iter().map(|(_, record)| record.clone()).filter(|record| query.covers(record)).collect()))
///     }
/// }
/// ```
pub trait Registry: Send + Sync + 'static {
    /// Opens a record, ends the one that it [replaces](Login::replaces) and those that have to yield, or
    /// refuses; all in one step. The replaced one holds no place; one of another user is not replaced.
    fn login(&self, login: Login) -> Answer<'_, Admission>;

    /// The record of `key`, ended or not; `None` for one that was never there or is forgotten.
    fn load(&self, key: RecordKey) -> Answer<'_, Option<Loaded>>;

    /// Notes activity, by the rule of [`Record::touch`]; nothing for an unknown key.
    fn touch(&self, key: RecordKey, change: Change) -> Answer<'_, ()>;

    /// Ends records, by the rule of [`Record::end`], and answers those that this call has ended.
    fn end(&self, target: Target, ended: Ended) -> Answer<'_, Vec<Record>>;

    /// Ends as many other sessions of the user of `key` as it takes for `room`, and answers them.
    /// Nothing happens if that session itself has ended. `ended` is the end of those that must yield;
    /// whoever ran out ends for that reason.
    fn make_room(&self, key: RecordKey, room: Room, ended: Ended) -> Answer<'_, Vec<Record>>;

    /// Lists records, newest login first. Only a list of one user is one step: that of all users may be
    /// read user by user.
    fn find(&self, query: Query) -> Answer<'_, Vec<Record>>;

    /// Whether it keeps to `max_sessions`, as it should. For a registry that says no, a policy with
    /// `max_sessions` is an error: a limit that nobody enforces must not look like one.
    fn counts(&self) -> bool {
        true
    }

    /// A middleware begins to use it, at `now`; by default nothing happens. A registry whose records outlast
    /// the process, and are [shared](Self::shared) with no other, [touches](Record::touch) those that are
    /// [ahead](Record::is_ahead_of) of it: a clock that was wrong, before the restart or now, would keep
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

impl Target {
    /// Whether `record` under `key` is to be ended.
    #[must_use]
    pub fn covers(&self, key: &RecordKey, record: &Record) -> bool {
        match self {
            Self::Key(wanted) => key == wanted,
            Self::Id(owner, id) => record.owner == *owner && record.id == *id,
            Self::Others(owner, keep) => record.owner == *owner && record.id != *keep,
            Self::All(owner) => record.owner == *owner,
        }
    }
}
