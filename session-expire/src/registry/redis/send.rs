//! Commands over the connection.
//!
//! A command that fails with its connection is repeated once over a new connection, within the same
//! timeout.

use std::{
    borrow::Cow,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::time::Instant;

use super::{
    connection::{Connection, NumberedConnection},
    error::OperationError,
    script::Script,
};

/// Deadline of an operation, with its start and its timeout.
#[derive(Clone, Copy)]
struct Deadline {
    started: Instant,
    end: Instant,
    timeout: Duration,
}

impl Deadline {
    fn new(timeout: Duration) -> Self {
        let started = Instant::now();
        Self { started, end: started + timeout, timeout }
    }

    /// Returns the time at which the first half has passed.
    fn half(self) -> Instant {
        self.started + self.end.saturating_duration_since(self.started) / 2
    }

    /// Returns the same deadline for an attempt that starts now.
    fn restarted(self) -> Self {
        Self { started: Instant::now(), ..self }
    }
}

impl Connection {
    /// Runs a script by its SHA-1, and sends its code if the server does not know it.
    ///
    /// The second attempt of a script has the argument `retry`, because the first one may have run
    /// before its response was lost.
    pub(super) async fn run(
        self: &Arc<Self>,
        script: &Script,
        keys: &[String],
        arguments: &[&str],
        timeout: Duration,
    ) -> Result<Value, OperationError> {
        let command = |verb, script: &str, is_retry: bool| {
            let mut command = redis::cmd(verb);
            command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            command.arg(is_retry.then_some("retry"));
            Cow::Owned(command)
        };
        // The server may lose the script after a first attempt that has run it.
        let was_retried = AtomicBool::new(false);
        let by_hash = |is_retry| {
            was_retried.fetch_or(is_retry, Ordering::Relaxed);
            command("EVALSHA", &script.hash, is_retry)
        };
        let by_code = |is_retry| {
            command("EVAL", &script.code, is_retry || was_retried.load(Ordering::Relaxed))
        };
        let deadline = Deadline::new(timeout);
        match self.send(by_hash, deadline).await {
            Err(OperationError::Redis(error))
                if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) =>
            {
                Box::pin(self.send(by_code, deadline.restarted())).await
            }
            response => response,
        }
    }

    /// Sends a command that may run twice without harm.
    pub(super) async fn query(
        self: &Arc<Self>,
        command: &Cmd,
        timeout: Duration,
    ) -> Result<Value, OperationError> {
        self.send(|_| Cow::Borrowed(command), Deadline::new(timeout)).await
    }

    /// Sends a command, and sends it again over a new connection in two cases:
    ///
    /// - The connection fails. It may have been closed since the last command.
    /// - There is no response within half of the timeout. redis-rs never completes a command that
    ///   was written just after the server had closed the connection.
    async fn send<'a>(
        self: &Arc<Self>,
        command: impl Fn(bool) -> Cow<'a, Cmd>,
        deadline: Deadline,
    ) -> Result<Value, OperationError> {
        let number = self.number();
        let first_command = command(false);
        // Pinned here, because the outer future stores a moved future twice.
        let first = pin!(self.send_once(&first_command));
        // One timer only: every request would pay for a second one.
        match tokio::time::timeout_at(deadline.half(), first).await {
            Ok(Err(error)) if error.is_unrecoverable_error() && !error.is_connection_refusal() => {}
            Ok(response) => return Ok(response?),
            Err(_) => self.discard(number),
        }
        // Boxed, because a rare case must not make the future of every request larger.
        Box::pin(self.send_again(command(true), deadline)).await
    }

    async fn send_again(
        self: &Arc<Self>,
        command: Cow<'_, Cmd>,
        deadline: Deadline,
    ) -> Result<Value, OperationError> {
        let number = self.number();
        match tokio::time::timeout_at(deadline.end, self.send_once(&command)).await {
            Ok(response) => Ok(response?),
            Err(_) => {
                // The connection may have failed silently.
                self.discard(number);
                Err(OperationError::Timeout(deadline.timeout))
            }
        }
    }

    async fn send_once(self: &Arc<Self>, command: &Cmd) -> Result<Value, RedisError> {
        let NumberedConnection { number, mut connection } = self.get_or_connect().await?;
        // redis-rs returns server errors as values.
        let response = connection.send_packed_command(command).await;
        let response = response.and_then(Value::extract_error);
        if let Err(error) = &response {
            // After a failover the address may lead to another server.
            if error.is_unrecoverable_error()
                || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
            {
                self.discard(number);
            }
        }
        response
    }
}
