//! Changes that replicas acknowledge before the operation completes.
//!
//! `WAIT` blocks its connection until the replicas have the last change of that connection. These
//! changes therefore use a separate connection, and loads never wait for a replica.
//!
//! A login or a rotation that lacks acknowledgements has run nevertheless: it has ended other
//! sessions, or the former key is invalid. While replicas do not respond, these scripts do not run:
//! a test write comes first, and fails.

use std::sync::{Arc, atomic::Ordering};

use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::Instant;

use super::{connection::Connection, pipeline::convert, retry::Retry};
use crate::registry::redis::{
    error::OperationError,
    script::{
        CANCEL, COMMIT, COUNT_CONFIRMATION_ATTEMPT, END, END_EVERYONE, ENFORCE_LIMIT, ERASE,
        ROTATE, Script,
    },
};

impl Connection {
    /// Sets how many replicas must acknowledge a login or an end.
    pub(crate) fn set_replicas(&self, replicas: u32) {
        self.replicas.store(replicas, Ordering::Relaxed);
    }

    /// Returns how many replicas must acknowledge this script; `None` if it does not wait for any.
    pub(crate) fn replicas(&self, script: &Script) -> Option<u32> {
        let ends = [&CANCEL, &END, &ENFORCE_LIMIT, &END_EVERYONE, &ERASE];
        let others = [&COMMIT, &ROTATE, &COUNT_CONFIRMATION_ATTEMPT];
        let mut acknowledged = ends.iter().chain(&others);
        let replicas = self.replicas.load(Ordering::Relaxed);
        let is_acknowledged = |_: &u32| acknowledged.any(|one| one.hash == script.hash);
        (replicas > 0).then_some(replicas).filter(is_acknowledged)
    }

    /// Returns `true` if the script must not run while replicas do not respond. Ends must run.
    pub(crate) fn needs_replicas(script: &Script) -> bool {
        [&COMMIT, &ROTATE].iter().any(|one| one.hash == script.hash)
    }

    /// Returns `true` if enough replicas have acknowledged the last change of this connection.
    /// Returns `false` for a Cluster: the last change may have been on another node.
    pub(crate) fn has_replicas(&self) -> bool {
        !self.is_cluster() && self.is_connected_as(self.acknowledged_on.load(Ordering::Relaxed))
    }

    /// Returns the response of a script. Returns an error if too few replicas have its changes,
    /// except after a rotation: the client needs the new key.
    pub(crate) fn check_replicas(
        &self,
        script: &Script,
        wait: Wait,
        response: Result<Value, OperationError>,
    ) -> Result<Value, OperationError> {
        let checked = response.and_then(convert::<(Value, u32)>);
        let is_acknowledged =
            checked.as_ref().is_ok_and(|(_, replicas)| *replicas >= wait.replicas);
        let number = if is_acknowledged { self.number() } else { 0 };
        self.acknowledged_on.store(number, Ordering::Relaxed);
        let (response, replicas) = checked?;
        let expected = wait.replicas;
        match is_acknowledged {
            true => {}
            false if script.hash == ROTATE.hash => log_rotation(replicas, expected),
            false => return Err(OperationError::Replicas { replicas, expected }),
        }
        Ok(response)
    }

    /// Returns the connection for acknowledged scripts.
    pub(crate) fn acknowledging(&self) -> &Arc<Self> {
        self.acknowledging.get_or_init(|| Arc::new(self.second()))
    }
}

fn log_rotation(replicas: u32, expected: u32) {
    let event = "sys_unacknowledged_rotation";
    tracing::error!(event, replicas, expected, "key rotation that replicas have not acknowledged");
}

/// Returns a pipeline that runs a script and waits for replicas.
pub(crate) fn acknowledged(script: Cmd, key: &str, wait: Wait) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.add_command(script);
    // If an earlier attempt has run, the script changes nothing. `WAIT` covers only writes of its
    // own connection, so it needs this write, which follows that of the earlier attempt.
    wait.add_to(&mut pipeline, key);
    pipeline
}

/// Returns a pipeline that waits until replicas have a write without effect.
pub(crate) fn test_write(key: &str, wait: Wait) -> Pipeline {
    let mut pipeline = redis::pipe();
    wait.add_to(&mut pipeline, key);
    pipeline
}

/// Number of replicas that must have a change, and the deadline of the operation.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) replicas: u32,
    pub(crate) end: Instant,
}

impl Wait {
    /// Adds a test write, and a command that waits until replicas have received it and all earlier
    /// writes of the connection.
    pub(crate) fn add_to(self, pipeline: &mut Pipeline, key: &str) {
        pipeline.cmd("SET").arg(format!("{key}:wait")).arg("").arg("PX").arg(1_000);
        pipeline.cmd("WAIT").arg(self.replicas).arg(self.millis());
    }

    /// Returns an error if the responses to these commands report too few replicas.
    pub(crate) fn check(self, responses: Vec<Value>) -> Result<(), OperationError> {
        let ((), replicas) = convert(Value::Array(responses))?;
        let expected = self.replicas;
        match replicas >= expected {
            true => Ok(()),
            false => Err(OperationError::Replicas { replicas, expected }),
        }
    }

    /// Returns the maximum time of `WAIT`. It leaves time for a second attempt.
    fn millis(self) -> u32 {
        let remaining = self.end.saturating_duration_since(Instant::now());
        let millis = (remaining / 5 * 2).as_millis();
        // Zero would mean no limit.
        u32::try_from(millis).unwrap_or(u32::MAX).max(1)
    }

    /// Returns an error if too few replicas have a test write.
    pub(crate) fn check_test(self, response: Value) -> Result<(), OperationError> {
        let ((), replicas) = convert(response)?;
        let expected = self.replicas;
        match replicas >= expected {
            true => Ok(()),
            false => Err(OperationError::MissingReplicas { replicas, expected }),
        }
    }
}

/// Returns the response of the script, if there is one, and the number of replicas.
pub(crate) fn read_responses(mut responses: Vec<Value>) -> Result<Value, RedisError> {
    let mut last = || responses.pop().unwrap_or(Value::Nil).extract_error();
    let (replicas, test_write, script) = (last(), last(), last()?);
    // A server whose memory is full refuses `SET`, but not every script.
    match test_write {
        Err(error) if Retry::after(&error).is_some() => Err(error),
        _ => Ok(Value::Array(vec![script, replicas?])),
    }
}
