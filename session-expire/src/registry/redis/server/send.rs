//! Commands over the connection.
//!
//! A command that fails with its connection is repeated once over a new connection. A command that
//! the server refuses for a while, during a failover or while it loads its file, is repeated until
//! the timeout.

use std::{borrow::Cow, io, pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::Instant;

use super::{
    acknowledge::read_responses,
    connection::{Connection, NumberedConnection},
    pipeline::convert,
    retry::{PAUSE, Retry, is_closed_link},
    servers::{Link, Servers},
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
    refusal: Option<OperationError>,
}

impl Attempts {
    /// Returns the reason for another attempt, or the error if there is none.
    fn after(&mut self, Failure { error, retry }: Failure) -> Result<Retry, OperationError> {
        let may_repeat = |retry: &Retry| !(self.was_lost && *retry == Retry::Lost);
        let has_time = Instant::now() + PAUSE < self.deadline.end;
        match retry.filter(may_repeat) {
            Some(retry) if has_time => {
                self.refusal = Some(error);
                Ok(retry)
            }
            _ => Err(error),
        }
    }

    /// Returns the last refusal of the server, which is clearer than a timeout.
    fn timeout(self) -> OperationError {
        let timeout = OperationError::Timeout(self.deadline.timeout);
        self.refusal.unwrap_or(timeout)
    }
}

/// Failed attempt, with the reason to send the request again if there is one.
struct Failure {
    error: OperationError,
    retry: Option<Retry>,
}

/// Command, pipeline or script to send.
pub(super) enum Request<'a> {
    Command(Cow<'a, Cmd>),
    /// Command for the primary of a slot.
    Slot(u16, &'a Cmd),
    /// Command for every primary. The response maps the addresses of the primaries to their
    /// responses.
    Primaries(&'a Cmd),
    /// Commands in one round trip.
    Pipeline(&'a Pipeline),
    /// Commands for the primary of a slot. Each response is an array with one element.
    Group(u16, Pipeline),
    /// Script, with commands that wait for replicas.
    Acknowledged(Pipeline),
}

impl Request<'_> {
    /// Sends the request, and returns the response or the error of the server.
    async fn send_over(&self, link: &mut Link) -> Result<Value, RedisError> {
        // redis-rs returns server errors as values.
        match self {
            Self::Command(command) => {
                link.send_command(command).await.and_then(Value::extract_error)
            }
            Self::Slot(slot, command) => {
                let response = Box::pin(link.send_to_slot(*slot, command));
                response.await.and_then(Value::extract_error)
            }
            Self::Primaries(command) => Box::pin(link.send_to_primaries(command)).await,
            Self::Pipeline(pipeline) => {
                let responses = Box::pin(link.send_commands(pipeline));
                responses.await.map(Value::Array).and_then(Value::extract_error)
            }
            Self::Group(slot, pipeline) => {
                Box::pin(link.send_group(pipeline, *slot)).await.map(Value::Array)
            }
            Self::Acknowledged(pipeline) => {
                Box::pin(link.send_commands(pipeline)).await.and_then(read_responses)
            }
        }
    }
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

    /// Sends a command to the primary of a slot. It may run twice without harm.
    pub(crate) async fn query_slot(
        self: &Arc<Self>,
        slot: u16,
        command: &Cmd,
        timeout: Duration,
    ) -> Result<Value, OperationError> {
        self.send(|_| Request::Slot(slot, command), Deadline::new(timeout)).await
    }

    /// Sends a command to every primary, and returns the responses with their addresses. It may run
    /// twice without harm.
    pub(crate) async fn query_primaries(
        self: &Arc<Self>,
        command: &Cmd,
        timeout: Duration,
    ) -> Result<Vec<(String, Value)>, OperationError> {
        convert(self.send(|_| Request::Primaries(command), Deadline::new(timeout)).await?)
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
        // In a Cluster, the connection to the node has its own timer for half of the timeout.
        let first_end = if self.is_cluster() { deadline.end } else { deadline.half() };
        // One timer only: every request would pay for a second one.
        let retry = match tokio::time::timeout_at(first_end, first).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(Failure { retry: Some(retry), .. })) => retry,
            Ok(Err(Failure { error, .. })) => return Err(error),
            Err(_) if self.is_cluster() => return Err(OperationError::Timeout(deadline.timeout)),
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
                Ok(Err(failure)) => retry = attempts.after(failure)?,
                Err(_) => {
                    // The connection may have failed silently.
                    if !self.is_cluster() {
                        self.discard(number);
                    }
                    return Err(attempts.timeout());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn send_once(self: &Arc<Self>, request: &Request<'_>) -> Result<Value, Failure> {
        let connected = self.get_or_connect().await;
        let NumberedConnection { number, mut link, primary, .. } =
            connected.map_err(|error| self.after_connecting(error))?;
        let response = pin!(request.send_over(&mut link));
        let response = match &self.servers {
            // Without this, a request would wait for a former primary that does not respond.
            Servers::Sentinel(sentinels) => {
                let replaced = Box::pin(sentinels.wait_for_other_than(primary));
                match select(response, replaced).await {
                    Either::Left((response, _)) => response,
                    Either::Right(_) => {
                        Err(io::Error::from(io::ErrorKind::ConnectionAborted).into())
                    }
                }
            }
            _ => response.await,
        };
        response.map_err(|error| self.after_command(number, error))
    }

    fn after_connecting(&self, error: RedisError) -> Failure {
        let retry = match &self.servers {
            Servers::Single(_) => Retry::after(&error),
            _ => Retry::after_connecting(&error),
        };
        let error = match self.is_cluster() {
            true => OperationError::in_cluster(error),
            false => error.into(),
        };
        Failure { error, retry }
    }

    fn after_command(&self, number: u64, error: RedisError) -> Failure {
        if self.is_cluster() {
            if is_closed_link(&error) {
                self.discard(number);
            }
            let retry = Retry::in_cluster(&error);
            return Failure { error: OperationError::in_cluster(error), retry };
        }
        let retry = Retry::after(&error);
        match retry {
            Some(Retry::Lost) => self.discard(number),
            Some(Retry::Replica) => self.discard_replica(number),
            _ => {}
        }
        Failure { error: error.into(), retry }
    }
}
