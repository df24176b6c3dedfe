//! Time of the server, which all processes share. In a Cluster, it is the primary of the first slot.
//! While that one is not available, an application starts with the time of another node.
//!
//! It is measured when the registry connects, and then once a minute. Between two measurements, the
//! monotonic clock of the process extends it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::Value;

use super::{check::CHECK_TIMEOUT, connection::Connection, start_primaries::StartPrimaries};
use crate::registry::redis::{
    error::{OperationError, RedisConnectError},
    stored::as_string::millis,
};
use crate::time::Timestamp;

/// Timeout of the first measurement while a node of a Cluster is not available.
const INCOMPLETE_TIMEOUT: Duration = Duration::from_millis(300);

/// Clock that extends the most recent measurement.
pub(crate) struct ServerClock {
    start: Instant,
    /// Time of the server at `start`, in milliseconds.
    at_start: AtomicI64,
}

/// Time before the first measurement.
const UNKNOWN: i64 = i64::MIN;

impl Default for ServerClock {
    fn default() -> Self {
        Self { start: Instant::now(), at_start: AtomicI64::new(UNKNOWN) }
    }
}

impl ServerClock {
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let at_start = self.at_start.load(Ordering::Relaxed);
        let time = Timestamp::from_millis(at_start).plus(self.start.elapsed());
        (at_start != UNKNOWN).then_some(time)
    }

    /// Stores the response to the command `TIME`, which was sent at `sent`.
    fn set(&self, sent: Instant, response: Value) -> Result<(), OperationError> {
        let (seconds, micros): (i64, i64) =
            redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        let measured = sent + sent.elapsed() / 2;
        let since_start = millis(measured.saturating_duration_since(self.start));
        let time = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
        self.at_start.store(time.saturating_sub(since_start), Ordering::Relaxed);
        Ok(())
    }
}

impl Connection {
    /// Returns the current time of the server without a round trip.
    pub(crate) fn server_time(&self) -> Option<Timestamp> {
        self.clock.now()
    }

    /// Measures the time of the server.
    pub(crate) async fn measure_time(self: &Arc<Self>) -> Result<(), OperationError> {
        self.measure_time_within(CHECK_TIMEOUT).await
    }

    async fn measure_time_within(
        self: &Arc<Self>,
        timeout: Duration,
    ) -> Result<(), OperationError> {
        let sent = Instant::now();
        let response = self.query_slot(0, &redis::cmd("TIME"), timeout).await?;
        self.clock.set(sent, response)
    }

    /// Measures the time when an application starts.
    pub(crate) async fn measure_time_at_start(
        self: &Arc<Self>,
        primaries: &mut StartPrimaries,
    ) -> Result<(), RedisConnectError> {
        let is_incomplete = primaries.is_incomplete();
        let timeout = if is_incomplete { INCOMPLETE_TIMEOUT } else { CHECK_TIMEOUT };
        let measured = match self.measure_time_within(timeout).await {
            Err(_) if self.is_cluster() => {
                let sent = Instant::now();
                let times = self.query_primaries_at_start(primaries, &redis::cmd("TIME")).await?;
                let time = times.into_iter().next().map(|(_, time)| time);
                self.clock.set(sent, time.unwrap_or(Value::Nil))
            }
            measured => measured,
        };
        measured.map_err(|error| self.connect_error(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_continues_after_a_measurement() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        let word = |word: &str| Value::BulkString(word.into());
        let sent = Instant::now();
        clock.set(sent, Value::Array(vec![word("1767268800"), word("250999")])).unwrap();
        let measured = Timestamp::from_millis(1_767_268_800_250);
        let now = clock.now().unwrap();
        // The measurement is at most half of its duration late.
        assert!(now >= measured && now <= measured.plus(sent.elapsed()), "{now:?}");
        assert!(clock.set(sent, Value::Nil).is_err());
    }
}
