//! Session registry that records the duration of its operations.
//!
//! It changes no outcome. The middleware wraps its registry in it if the feature `metrics` is on.

use std::{sync::Arc, time::Instant};

use super::{
    Registry, RegistryFuture, StoredSession, UserExport,
    change::{ChangeListener, Subscription},
    end::EndSessions,
    query::Query,
    rotation::{KeyRotation, RotationOutcome},
};
use crate::{
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

/// Registry that records a histogram of the durations of another registry's operations.
pub(crate) struct MeasuredRegistry(pub(crate) Arc<dyn Registry>);

/// Measures an operation. The time starts at the call, because a registry may do the work before
/// its future is polled.
fn measure<'a, T: Send + 'a>(
    operation: &'static str,
    call: impl FnOnce() -> RegistryFuture<'a, T>,
) -> RegistryFuture<'a, T> {
    let started = Instant::now();
    match call().try_ready() {
        Ok(outcome) => {
            record(operation, outcome.is_ok(), started);
            RegistryFuture::ready(outcome)
        }
        Err(pending) => RegistryFuture::boxed(async move {
            let outcome = pending.await;
            record(operation, outcome.is_ok(), started);
            outcome
        }),
    }
}

fn record(operation: &'static str, is_ok: bool, started: Instant) {
    let outcome = if is_ok { "ok" } else { "error" };
    metrics::histogram!(
        "session_expire_registry_seconds", "operation" => operation, "outcome" => outcome
    )
    .record(started.elapsed().as_secs_f64());
}

impl Registry for MeasuredRegistry {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        measure("load", || self.0.load(key, count_open))
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        measure("reserve", || self.0.reserve(reservation))
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        measure("commit", || self.0.commit(login))
    }

    fn issue_ticket(&self, ticket: LoginTicket) -> RegistryFuture<'_, ()> {
        measure("issue_ticket", || self.0.issue_ticket(ticket))
    }

    fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> RegistryFuture<'_, Option<SessionRecord>> {
        measure("count_confirmation_attempt", || self.0.count_confirmation_attempt(session, ended))
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        measure("cancel", || self.0.cancel(key, ended))
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        measure("update", || self.0.update(session, update))
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        measure("rotate", || self.0.rotate(rotation))
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        measure("end", || self.0.end(end))
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        measure("enforce_limit", || self.0.enforce_limit(session, limit, ended))
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        measure("list", || self.0.list(query))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        measure("end_everyone", || self.0.end_everyone(ended))
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        measure("erase", || self.0.erase(user))
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        measure("export", || self.0.export(user))
    }

    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        self.0.subscribe(listener)
    }

    fn enforces_limits(&self) -> bool {
        self.0.enforces_limits()
    }

    fn on_start(&self, now: Timestamp) {
        self.0.on_start(now);
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    fn server_time(&self) -> Option<Timestamp> {
        self.0.server_time()
    }
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;
    use crate::event::{Event, EventSession};
    use crate::session::{client::Client, key::PublicId, reason::Reason};
    use crate::{policy::Policy, registry::memory::MemoryRegistry};

    #[test]
    fn operations_and_events_are_recorded_under_fixed_names() {
        let recorder = DebuggingRecorder::new();
        let registry = MeasuredRegistry(Arc::new(MemoryRegistry::new()));
        metrics::with_local_recorder(&recorder, || {
            let login = NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new());
            assert!(matches!(registry.commit(login).try_ready(), Ok(Ok(_))));
            let client = Client::default();
            let session = EventSession::new("alice", PublicId::random(), &client);
            Event::ended(session, Reason::Idle).count();
        });
        let metrics = recorder.snapshotter().snapshot().into_vec().into_iter();
        let mut metrics: Vec<_> = metrics
            .map(|(key, _, _, value)| {
                let labels: Vec<_> =
                    key.key().labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
                let value = match value {
                    DebugValue::Counter(count) => count,
                    DebugValue::Histogram(times) => times.len() as u64,
                    DebugValue::Gauge(_) => 0,
                };
                format!("{}{{{}}} {value}", key.key().name(), labels.join(","))
            })
            .collect();
        metrics.sort();
        let expected = [
            "session_expire_events_total{event=session_expired,reason=idle} 1",
            "session_expire_registry_seconds{operation=commit,outcome=ok} 1",
        ];
        assert_eq!(metrics, expected);
    }
}
