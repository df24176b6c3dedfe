//! Changes that replicas acknowledge before the operation completes.
//!
//! `WAIT` blocks its connection until the replicas have the last change of that connection. These
//! changes therefore use a separate connection, and loads never wait for a replica.

use std::sync::{Arc, atomic::Ordering};

use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::Instant;

use super::{connection::Connection, retry::Retry};
use crate::registry::redis::{
    error::OperationError,
    script::{CANCEL, COMMIT, END, END_EVERYONE, ENFORCE_LIMIT, ERASE, ROTATE, Script},
};

impl Connection {
    /// Sets how many replicas must acknowledge a login or an end.
    pub(crate) fn set_replicas(&self, replicas: u32) {
        self.replicas.store(replicas, Ordering::Relaxed);
    }

    /// Returns how many replicas must acknowledge this script; `None` if it does not wait for any.
    pub(crate) fn replicas(&self, script: &Script) -> Option<u32> {
        let acknowledged = [&COMMIT, &CANCEL, &ROTATE, &END, &ENFORCE_LIMIT, &END_EVERYONE, &ERASE];
        let replicas = self.replicas.load(Ordering::Relaxed);
        let is_acknowledged = |_: &u32| acknowledged.iter().any(|one| one.hash == script.hash);
        (replicas > 0).then_some(replicas).filter(is_acknowledged)
    }

    /// Returns the connection for acknowledged scripts.
    pub(crate) fn acknowledging(&self) -> &Arc<Self> {
        self.acknowledging.get_or_init(|| Arc::new(self.second()))
    }
}

/// Returns a pipeline that runs a script and waits for replicas.
pub(crate) fn acknowledged(script: Cmd, key: &str, wait: Wait) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.add_command(script);
    // If an earlier attempt has run, the script changes nothing. `WAIT` covers only writes of its
    // own connection, so it needs this write, which follows that of the earlier attempt.
    pipeline.cmd("SET").arg(format!("{key}:wait")).arg("").arg("PX").arg(1_000);
    pipeline.cmd("WAIT").arg(wait.replicas).arg(wait.millis());
    pipeline
}

/// Number of replicas that must have a change, and the deadline of the operation.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) replicas: u32,
    pub(crate) end: Instant,
}

impl Wait {
    /// Returns the maximum time of `WAIT`. It leaves time for a second attempt.
    fn millis(self) -> u32 {
        let remaining = self.end.saturating_duration_since(Instant::now());
        let millis = (remaining / 5 * 2).as_millis();
        // Zero would mean no limit.
        u32::try_from(millis).unwrap_or(u32::MAX).max(1)
    }

    /// Returns the response of the script if enough replicas have its changes.
    pub(crate) fn check(self, response: Value) -> Result<Value, OperationError> {
        let (script, replicas): (Value, u32) =
            redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        if replicas < self.replicas {
            return Err(OperationError::Replicas { replicas, expected: self.replicas });
        }
        Ok(script)
    }
}

/// Returns the response of the script and the number of replicas.
pub(crate) fn read_responses(responses: Vec<Value>) -> Result<Value, RedisError> {
    let mut responses = responses.into_iter().map(Value::extract_error);
    let mut next = || responses.next().unwrap_or(Ok(Value::Nil));
    let script = next()?;
    // A server whose memory is full refuses `SET`, but not every script.
    match next() {
        Err(error) if Retry::after(&error).is_some() => Err(error),
        _ => Ok(Value::Array(vec![script, next()?])),
    }
}
