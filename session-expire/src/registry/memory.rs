//! Session registry in the memory of one process.
//!
//! Every operation locks one shard of the [index](super::index) and completes at once. It is the
//! default registry of the middleware.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Registry, RegistryFuture, StoredSession, UserExport,
    change::{Change, ChangeListener, Listeners, Subscription},
    end::EndSessions,
    index::Index,
    query::Query,
    rotation::{KeyRotation, RotationOutcome},
};
use crate::{
    policy::limit::Limit,
    registry::index::{
        decide_login::{LoginDecision, ReserveDecision},
        shard::Shard,
        write_set::WriteSet,
    },
    session::{
        ended::Ended,
        key::RecordKey,
        limit::SessionLimit,
        login::ticket::LoginTicket,
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
    time::Timestamp,
};

/// Session registry in the memory of one process: the default.
///
/// The cost of an operation grows with the number of the user's own records. Only operations on all
/// users depend on the number of all records. A restart loses all sessions and signs all users out.
///
/// The record of an ended session is kept for a day to report the reason. The history keeps the
/// last 20 ended sessions of each user for up to 90 days.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{MemoryRegistry, Policy, clock::Timestamp, registry::{NewLogin, Registry}};
/// let registry = MemoryRegistry::new();
/// registry.commit(NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new())).await?;
/// assert_eq!(registry.len(), 1);
/// # Ok(()) }
/// ```
pub struct MemoryRegistry {
    index: Index,
    listeners: Listeners,
}

impl MemoryRegistry {
    /// Returns an empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self { index: Index::new(), listeners: Listeners::default() }
    }

    /// Sets how many ended sessions of each user the history keeps. Default: 20.
    ///
    /// `Limit::At(0)` keeps none; `Limit::Off` keeps all until they reach the
    /// [`history_age`](Self::history_age).
    ///
    /// ```
    /// use session_expire::{Limit, MemoryRegistry};
    /// let registry = MemoryRegistry::new().history_limit(Limit::At(5));
    /// ```
    #[must_use]
    pub fn history_limit(mut self, limit: Limit<u32>) -> Self {
        self.index.history.count = limit;
        self
    }

    /// Sets how long an ended session stays in the history after its end. Default: 90 days.
    ///
    /// Logins remove older sessions, at most once an hour.
    #[must_use]
    pub fn history_age(mut self, age: Duration) -> Self {
        self.index.history.age = age;
        self
    }

    /// Returns the number of records in memory, including ended ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.shards().map(|shard| shard.len()).sum()
    }

    /// Returns `true` if there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn apply_login(&self, login: NewLogin) -> LoginOutcome {
        let mut shard = self.index.shard(login.key.partition_key());
        shard.end_unused_of(&login.user, login.at, self.index.history);
        if shard.needs_purge(login.at) {
            shard.purge(login.at, self.index.history);
        }
        let record = shard.new_record(&login);
        match shard.decide_commit(login) {
            LoginDecision::Commit(writes) => {
                let ended = self.apply(&mut shard, *writes);
                LoginOutcome::Committed { record, ended }
            }
            LoginDecision::Committed(record) => {
                LoginOutcome::Committed { record: *record, ended: vec![] }
            }
            LoginDecision::Refuse { active } => LoginOutcome::Refused { active },
            LoginDecision::AdoptionClosed => LoginOutcome::AdoptionClosed,
            LoginDecision::Voided => LoginOutcome::Voided,
            LoginDecision::TicketInvalid => LoginOutcome::TicketInvalid,
        }
    }

    fn apply(&self, shard: &mut Shard, writes: WriteSet) -> Vec<SessionRecord> {
        let ended = shard.apply(writes);
        shard.prune_users_of(&ended, self.index.history.count);
        ended
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

fn ready<'a, T>(outcome: T) -> RegistryFuture<'a, T> {
    RegistryFuture::ready(Ok(outcome))
}

impl Registry for MemoryRegistry {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        ready(self.index.shard(key.partition_key()).load(&key, count_open))
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        let mut shard = self.index.shard(reservation.key.partition_key());
        ready(match shard.decide_reserve(&reservation) {
            ReserveDecision::Reserve(writes) => {
                shard.apply(*writes);
                ReserveOutcome::Reserved { generation: shard.generation() }
            }
            ReserveDecision::Refuse { active } => ReserveOutcome::Refused { active },
        })
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        let outcome = self.apply_login(login);
        if let LoginOutcome::Committed { record, ended } = &outcome {
            self.listeners.report_records(ended);
            self.listeners.report(|| Change::user(&record.user));
        }
        ready(outcome)
    }

    fn issue_ticket(&self, ticket: LoginTicket) -> RegistryFuture<'_, ()> {
        self.index.shard(ticket.key.partition_key()).add_ticket(ticket);
        ready(())
    }

    fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> RegistryFuture<'_, Option<SessionRecord>> {
        let mut shard = self.index.shard_of_user(&session.user);
        let (record, writes) = shard.decide_failed_confirmation(&session, ended);
        let ended = self.apply(&mut shard, writes);
        drop(shard);
        self.listeners.report_records(&ended);
        ready(record)
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        let mut shard = self.index.shard(key.partition_key());
        let writes = shard.decide_cancel(key, &ended);
        let ended = self.apply(&mut shard, writes);
        drop(shard);
        self.listeners.report_records(&ended);
        ready(())
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        let mut shard = self.index.shard_of_user(&session.user);
        let (outcome, writes) = shard.decide_update(&session, &update);
        shard.apply(writes);
        drop(shard);
        if outcome == UpdateOutcome::Updated && update.changes_policy() {
            self.listeners.report(|| Change::session(&session));
        }
        ready(outcome)
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        let mut shard = self.index.shard_of_user(&rotation.session.user);
        let (outcome, writes) = shard.decide_rotation(&rotation);
        shard.apply(writes);
        drop(shard);
        if outcome == RotationOutcome::Rotated {
            self.listeners.report(|| Change::session(&rotation.session));
        }
        ready(outcome)
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        let mut shard = self.index.shard(&end.target.partition_key());
        let writes = shard.decide_end(&end);
        let ended = self.apply(&mut shard, writes);
        drop(shard);
        self.listeners.report_records(&ended);
        ready(ended)
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        let mut shard = self.index.shard_of_user(&session.user);
        let writes = shard.decide_limit(&session, limit, &ended);
        let ended = self.apply(&mut shard, writes);
        drop(shard);
        self.listeners.report_records(&ended);
        ready(ended)
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        ready(self.index.list(&query))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        let count = self.index.end_everyone(ended);
        self.listeners.report(|| Change::Any);
        ready(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        let mut shard = self.index.shard_of_user(&user);
        let count = shard.count(&user);
        let writes = shard.decide_erase(&user);
        shard.apply(writes);
        drop(shard);
        self.listeners.report(|| Change::user(&user));
        ready(count)
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        ready(self.index.shard_of_user(&user).export(&user))
    }

    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        self.listeners.subscribe(listener, true)
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    fn on_start(&self, now: Timestamp) {
        for session in self.index.ahead_of(now) {
            drop(self.update(session, SessionUpdate::new(now)));
        }
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn server_time(&self) -> Option<Timestamp> {
        None
    }
}

#[cfg(not(shuttle))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::reason::Reason;
    use crate::{policy::Policy, time::hours};

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn outcome<T>(future: RegistryFuture<'_, T>) -> T {
        future.try_ready().unwrap().unwrap()
    }

    #[test]
    fn repeated_load_shares_record_and_data() {
        let registry = MemoryRegistry::new();
        let login = NewLogin::new("alice", NOON, &Policy::new());
        let key = login.key;
        outcome(registry.commit(login));
        let load = |count_open| outcome(registry.load(key, count_open)).unwrap();
        let (first, second) = (load(false), load(true));
        assert!(Arc::ptr_eq(&first.record, &second.record));
        assert!(Arc::ptr_eq(&first.data, &second.data));
        assert_eq!((first.open, second.open), (None, Some(1)));
    }

    #[test]
    fn record_ahead_of_now_is_corrected_on_start() {
        let registry = MemoryRegistry::new();
        let login = NewLogin::new("alice", NOON.plus(hours(1)), &Policy::new());
        let key = login.key;
        outcome(registry.commit(login));
        registry.on_start(NOON);
        assert_eq!(outcome(registry.load(key, false)).unwrap().record.last_seen, NOON);
    }

    #[test]
    fn end_everyone_closes_adoption_but_not_logins() {
        let registry = MemoryRegistry::new();
        for user in ["alice", "bob"] {
            outcome(registry.commit(NewLogin::new(user, NOON, &Policy::new())));
        }
        assert_eq!(outcome(registry.end_everyone(Ended::new(Reason::Revoked, NOON))), 2);
        let login = NewLogin::new("carol", NOON, &Policy::new());
        let adopted = NewLogin { adopted_until: Some(NOON.plus(hours(1))), ..login.clone() };
        assert!(matches!(outcome(registry.commit(adopted)), LoginOutcome::AdoptionClosed));
        assert!(matches!(outcome(registry.commit(login)), LoginOutcome::Committed { .. }));
    }
}
