//! Where logins are recorded: the one truth about who is signed in.

mod memory;
mod record;

use std::pin::Pin;

pub use memory::MemoryRegistry;
pub use record::{Ended, Login, PublicId, Record, RecordKey, Seal};

use crate::{error::RegistryError, time::Timestamp};

/// The answer of a registry, when it comes.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send + 'a>>;

/// Keeps the records of logins.
///
/// The session carries only a record's key; whether that login still counts is known here and
/// nowhere else. An error means "could not ask": the visitor is then not trusted and not signed out.
///
/// A complete registry, with a lock around a map:
///
/// ```
/// use std::{collections::HashMap, future::ready, sync::Mutex};
/// use session_expire::{Answer, Ended, Login, Reason, Record, RecordKey, Registry, Timestamp};
///
/// #[derive(Default)]
/// struct Plain(Mutex<HashMap<RecordKey, Record>>);
///
/// impl Plain {
///     fn with<T>(&self, act: impl FnOnce(&mut HashMap<RecordKey, Record>) -> T) -> T {
///         act(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
///     }
/// }
///
/// impl Registry for Plain {
///     fn login(&self, login: Login) -> Answer<'_, Record> {
///         let record = Record::new(&login);
///         self.with(|records| {
///             if let Some(old) = login.replaces.and_then(|key| records.get_mut(&key)) {
///                 old.end(Ended { at: login.at, reason: Reason::LoggedOut });
///             }
///             records.insert(login.key, record.clone());
///         });
///         Box::pin(ready(Ok(record)))
///     }
///
///     fn load(&self, key: RecordKey) -> Answer<'_, Option<Record>> {
///         let record = self.with(|records| records.get(&key).cloned());
///         Box::pin(ready(Ok(record)))
///     }
///
///     fn touch(&self, key: RecordKey, seen: Timestamp, now: Timestamp) -> Answer<'_, ()> {
///         self.with(|records| {
///             if let Some(record) = records.get_mut(&key) {
///                 record.touch(seen, now);
///             }
///         });
///         Box::pin(ready(Ok(())))
///     }
///
///     fn end(&self, key: RecordKey, ended: Ended) -> Answer<'_, bool> {
///         let did = self.with(|records| records.get_mut(&key).is_some_and(|r| r.end(ended)));
///         Box::pin(ready(Ok(did)))
///     }
/// }
/// ```
pub trait Registry: Send + Sync + 'static {
    /// Opens a record, and ends the one that it [replaces](Login::replaces) in the same step.
    fn login(&self, login: Login) -> Answer<'_, Record>;

    /// The record of `key`, ended or not; `None` for one that was never there or is forgotten.
    fn load(&self, key: RecordKey) -> Answer<'_, Option<Record>>;

    /// Notes activity at `seen`, by the rule of [`Record::touch`]; nothing for an unknown key.
    fn touch(&self, key: RecordKey, seen: Timestamp, now: Timestamp) -> Answer<'_, ()>;

    /// Ends a record, by the rule of [`Record::end`]: `true` if this call ended it.
    fn end(&self, key: RecordKey, ended: Ended) -> Answer<'_, bool>;

    /// Whether it keeps to `max_sessions`. With a registry that doesn't, which is the default, a policy
    /// that sets it is an error: a limit that nobody enforces must not look like one.
    fn counts(&self) -> bool {
        false
    }
}
