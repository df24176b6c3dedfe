//! Commands over the connection.
//!
//! A command that fails with its connection is repeated once over a new connection. A command that
//! the server refuses for a while, during a failover or while it loads its file, is repeated until
//! the timeout.

use std::{borrow::Cow, pin::pin, sync::Arc, time::Duration};

use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::Instant;

use super::{
    acknowledge::read_responses,
    connection::{Connection, NumberedConnection},
    retry::{PAUSE, Retry},
};
use crate::registry::redis::error::OperationError;

/// Deadline of an operation, with its start and its timeout.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    started: Instant,
    pub(super) end: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(super) fn new(timeout: Duration) -> Self {
        let started = Instant::now();
        Self { started, end: started + timeout, timeout }
    }

    /// Returns the time at which the first half has passed.
    fn half(self) -> Instant {
        self.started + self.end.saturating_duration_since(self.started) / 2
    }

    /// Returns the same deadline for an attempt that starts now.
    pub(super) fn restarted(self) -> Self {
        Self { started: Instant::now(), ..self }
    }
}

/// Attempts to send a request after the first one.
struct Attempts {
    deadline: Deadline,
    /// Set if the server may have run an earlier attempt.
    was_lost: bool,
    refusal: Option<RedisError>,
}

impl Attempts {
    /// Returns the reason for another attempt, or the error if there is none.
    fn after(&mut self, error: RedisError) -> Result<Retry, OperationError> {
        let may_repeat = |retry: &Retry| !(self.was_lost && *retry == Retry::Lost);
        let has_time = Instant::now() + PAUSE < self.deadline.end;
        match Retry::after(&error).filter(may_repeat) {
            Some(retry) if has_time => {
                self.refusal = Some(error);
                Ok(retry)
            }
            _ => Err(error.into()),
        }
    }

    /// Returns the last refusal of the server, which is clearer than a timeout.
    fn timeout(self) -> OperationError {
        let timeout = OperationError::Timeout(self.deadline.timeout);
        self.refusal.map_or(timeout, OperationError::from)
    }
}

/// Command, commands in one round trip, or a script with commands that wait for replicas.
pub(super) enum Request<'a> {
    Command(Cow<'a, Cmd>),
    Pipeline(&'a Pipeline),
    Acknowledged(Pipeline),
}

impl Connection {
    /// Sends a command that may run twice without harm.
    pub(crate) async fn query(
        self: &Arc<Self>,
        command: &Cmd,
        timeout: Duration,
    ) -> Result<Value, OperationError> {
        self.send(|_| Request::Command(Cow::Borrowed(command)), Deadline::new(timeout)).await
    }

    /// Sends commands that may run twice without harm, in one round trip.
    pub(crate) async fn query_pipeline(
        self: &Arc<Self>,
        pipeline: &Pipeline,
        timeout: Duration,
    ) -> Result<Value, OperationError> {
        self.send(|_| Request::Pipeline(pipeline), Deadline::new(timeout)).await
    }

    /// Sends a command, and sends it again in three cases:
    ///
    /// - The connection fails. It may have been closed since the last command.
    /// - There is no response within half of the timeout. redis-rs never completes a command that
    ///   was written just after the server closed the connection.
    /// - The server refuses it for a while, see [`Retry`].
    pub(super) async fn send<'a>(
        self: &Arc<Self>,
        request: impl Fn(bool) -> Request<'a>,
        deadline: Deadline,
    ) -> Result<Value, OperationError> {
        let number = self.number();
        let first_request = request(false);
        // Pinned here, because the outer future stores a moved future twice.
        let first = pin!(self.send_once(&first_request));
        // One timer only: every request would pay for a second one.
        let retry = match tokio::time::timeout_at(deadline.half(), first).await {
            Ok(Err(error)) => match Retry::after(&error) {
                Some(retry) => retry,
                None => return Err(error.into()),
            },
            Ok(Ok(response)) => return Ok(response),
            Err(_) => {
                self.discard(number);
                Retry::Lost
            }
        };
        // Boxed, because a rare case must not make the future of every request larger.
        Box::pin(self.send_again(request, deadline, retry)).await
    }

    async fn send_again<'a>(
        self: &Arc<Self>,
        request: impl Fn(bool) -> Request<'a>,
        deadline: Deadline,
        mut retry: Retry,
    ) -> Result<Value, OperationError> {
        let mut attempts = Attempts { deadline, was_lost: false, refusal: None };
        loop {
            attempts.was_lost |= retry == Retry::Lost;
            let (number, request) = (self.number(), request(attempts.was_lost));
            let sent = self.send_once(&request);
            match tokio::time::timeout_at(deadline.end, sent).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => retry = attempts.after(error)?,
                Err(_) => {
                    // The connection may have failed silently.
                    self.discard(number);
                    return Err(attempts.timeout());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn send_once(self: &Arc<Self>, request: &Request<'_>) -> Result<Value, RedisError> {
        let NumberedConnection { number, mut connection, .. } = self.get_or_connect().await?;
        // redis-rs returns server errors as values.
        let response = match request {
            Request::Command(command) => {
                connection.send_packed_command(command).await.and_then(Value::extract_error)
            }
            Request::Pipeline(pipeline) => {
                let responses = connection.send_packed_commands(pipeline, 0, pipeline.len());
                Box::pin(responses).await.map(Value::Array).and_then(Value::extract_error)
            }
            Request::Acknowledged(pipeline) => {
                let responses = connection.send_packed_commands(pipeline, 0, pipeline.len());
                Box::pin(responses).await.and_then(read_responses)
            }
        };
        match response.as_ref().err().and_then(Retry::after) {
            Some(Retry::Lost) => self.discard(number),
            Some(Retry::Replica) => self.discard_replica(number),
            _ => {}
        }
        response
    }
}
