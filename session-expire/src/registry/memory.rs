//! Records in the memory of one process.

use std::{fmt, future::ready};

use super::{
    EndTarget, Loaded, LoginOutcome, Query, Registry, RegistryFuture,
    key::RecordKey,
    login::NewLogin,
    record::{ActivityUpdate, Ended, SessionRecord},
    room::SessionLimit,
    shard::{Decision, Shards},
};
use crate::{limit::Limit, time::Timestamp};

/// Keeps records in memory: the default, for one process.
///
/// Every operation takes time in the number of the user's own records, never of all records; listing
/// those of all users reads them all. A restart forgets everything, which signs everyone out.
///
/// Of each user the last 20 ended logins are kept for [`find`](Registry::find), and nothing for longer
/// than 90 days after its last use.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{NewLogin, MemoryRegistry, Policy, Registry, Timestamp};
/// let registry = MemoryRegistry::new();
/// assert!(registry.is_empty());
/// registry.login(NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new())).await?;
/// assert_eq!(registry.len(), 1);
/// # Ok(()) }
/// ```
pub struct MemoryRegistry {
    shards: Shards,
    log_limit: Limit<u32>,
}

impl MemoryRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: Shards::new(), log_limit: Limit::At(20) }
    }

    /// Keeps this many ended logins of each user in the log; `Limit::At(0)` for none, `Limit::Off` for
    /// all of the last 90 days.
    ///
    /// ```
    /// use session_expire::{Limit, MemoryRegistry, Policy, SessionExpire};
    /// let registry = MemoryRegistry::new().log_limit(Limit::At(5));
    /// let expire = SessionExpire::builder(Policy::new()).registry(registry).build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    #[must_use]
    pub fn log_limit(mut self, limit: Limit<u32>) -> Self {
        self.log_limit = limit;
        self
    }

    /// The number of records, ended ones included, that have not been swept yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.each().map(|shard| shard.len()).sum()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn admit(&self, mut login: NewLogin) -> LoginOutcome {
        let mut shard = self.shards.of_tag(login.key.tag());
        if shard.must_sweep(login.at) {
            shard.sweep(login.at);
        }
        let plan = match shard.decide_login(&mut login) {
            Decision::Admit(plan) => plan,
            Decision::Refuse { holders } => return LoginOutcome::Refused { holders },
        };
        let ended = shard.carry_out(*plan);
        shard.trim(&login.user, self.log_limit);
        LoginOutcome::Committed { record: SessionRecord::new(&login), ended }
    }
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegistry").field("records", &self.len()).finish()
    }
}

fn now<'a, T: Send + 'a>(answer: T) -> RegistryFuture<'a, T> {
    Box::pin(ready(Ok(answer)))
}

impl Registry for MemoryRegistry {
    fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        now(self.admit(login))
    }

    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        now(self.shards.of_tag(key.tag()).load(&key))
    }

    fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()> {
        if let Some(record) = self.shards.of_tag(key.tag()).record_mut(&key) {
            record.touch(&change);
        }
        now(())
    }

    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        let mut shard = self.shards.of_tag(&target.tag());
        let plan = shard.decide_end(&target, &ended);
        let over = shard.carry_out(plan);
        if let Some(record) = over.first() {
            shard.trim(&record.user, self.log_limit);
        }
        now(over)
    }

    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        let mut shard = self.shards.of_tag(key.tag());
        let plan = shard.decide_room(key, room, &ended);
        let over = shard.carry_out(plan);
        if let Some(record) = over.first() {
            shard.trim(&record.user, self.log_limit);
        }
        now(over)
    }

    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        now(self.shards.find(&query))
    }

    fn begin(&self, now: Timestamp) {
        for key in self.shards.ahead_of(now) {
            drop(self.touch(key, ActivityUpdate { seen: now, now, patch: None }));
        }
    }
}
