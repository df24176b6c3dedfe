//! A registry whose operations are timed.

use std::{sync::Arc, time::Instant};

use super::{
    EndTarget, Loaded, LoginOutcome, Query, Registry, RegistryFuture,
    key::RecordKey,
    login::NewLogin,
    record::{ActivityUpdate, Ended, SessionRecord},
    room::SessionLimit,
};
use crate::time::Timestamp;

/// Another registry, with a histogram of how long each operation takes.
pub(crate) struct Measured(pub(crate) Arc<dyn Registry>);

fn measured<'a, T: 'a>(
    operation: &'static str,
    answer: RegistryFuture<'a, T>,
) -> RegistryFuture<'a, T> {
    Box::pin(async move {
        let began = Instant::now();
        let answer = answer.await;
        let outcome = if answer.is_ok() { "ok" } else { "error" };
        metrics::histogram!(
            "session_expire_registry_seconds", "operation" => operation, "outcome" => outcome
        )
        .record(began.elapsed().as_secs_f64());
        answer
    })
}

impl Registry for Measured {
    fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        measured("login", self.0.login(login))
    }

    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        measured("load", self.0.load(key))
    }

    fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()> {
        measured("touch", self.0.touch(key, change))
    }

    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        measured("end", self.0.end(target, ended))
    }

    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        measured("make_room", self.0.make_room(key, room, ended))
    }

    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        measured("find", self.0.find(query))
    }

    fn counts(&self) -> bool {
        self.0.counts()
    }

    fn begin(&self, now: Timestamp) {
        self.0.begin(now);
    }

    fn shared(&self) -> bool {
        self.0.shared()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;
    use crate::{
        event::Event,
        facts::Reason,
        policy::Policy,
        registry::{key::PublicId, memory::MemoryRegistry},
    };

    #[test]
    fn operations_and_events_are_counted_under_names_that_stay() {
        let recorder = DebuggingRecorder::new();
        let registry = Measured(Arc::new(MemoryRegistry::new()));
        metrics::with_local_recorder(&recorder, || {
            let login = NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new());
            let answer = pin!(registry.login(login)).poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(answer, Poll::Ready(Ok(_))));
            Event::Ended { user: "alice", id: PublicId::random(), reason: Reason::Idle }.count();
        });
        let told = recorder.snapshotter().snapshot().into_vec().into_iter();
        let mut told: Vec<_> = told
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
        told.sort();
        let expected = [
            "session_expire_events_total{event=session_expired,reason=idle} 1",
            "session_expire_registry_seconds{operation=login,outcome=ok} 1",
        ];
        assert_eq!(told, expected);
    }
}
