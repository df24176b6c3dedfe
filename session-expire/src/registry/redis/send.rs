//! Commands over the connection, repeated once when it fails.

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

/// When an operation must be complete.
#[derive(Clone, Copy)]
struct Deadline {
    started: Instant,
    end: Instant,
    limit: Duration,
}

impl Deadline {
    fn new(limit: Duration) -> Self {
        let started = Instant::now();
        Self { started, end: started + limit, limit }
    }

    /// Returns the middle of the time.
    fn half(self) -> Instant {
        self.started + self.end.saturating_duration_since(self.started) / 2
    }

    /// Returns what is left of it.
    fn rest(self) -> Self {
        Self { started: Instant::now(), ..self }
    }
}

impl Connection {
    /// Runs a script, by its name if the server knows it. A script that is sent a second time gets
    /// the argument `again`: the first attempt may have run, and only its response was lost.
    pub(super) async fn run(
        self: &Arc<Self>,
        script: &Script,
        keys: &[String],
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Value, OperationError> {
        let command = |verb, what: &str, again: bool| {
            let mut command = redis::cmd(verb);
            command.arg(what).arg(keys.len()).arg(keys).arg(arguments);
            command.arg(again.then_some("again"));
            Cow::Owned(command)
        };
        // Also for a server that has lost the script between the attempts.
        let is_again = AtomicBool::new(false);
        let by_name = |again| {
            is_again.fetch_or(again, Ordering::Relaxed);
            command("EVALSHA", &script.hash, again)
        };
        let whole =
            |again| command("EVAL", &script.code, again || is_again.load(Ordering::Relaxed));
        let deadline = Deadline::new(limit);
        match self.send(by_name, deadline).await {
            Err(OperationError::Redis(error))
                if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) =>
            {
                Box::pin(self.send(whole, deadline.rest())).await
            }
            response => response,
        }
    }

    /// Sends a command that may run twice.
    pub(super) async fn ask(
        self: &Arc<Self>,
        command: &Cmd,
        limit: Duration,
    ) -> Result<Value, OperationError> {
        self.send(|_| Cow::Borrowed(command), Deadline::new(limit)).await
    }

    /// Sends a command, and once more over a new connection if the first one fails: a connection
    /// that was closed since the last command is noticed only now. The same if there is no response
    /// for half of the time: redis-rs never completes a command that was written just after the
    /// server had closed.
    async fn send<'a>(
        self: &Arc<Self>,
        command: impl Fn(bool) -> Cow<'a, Cmd>,
        deadline: Deadline,
    ) -> Result<Value, OperationError> {
        let number = self.number();
        let first_command = command(false);
        // Pinned, as a future that is moved is kept twice in the future that moves it.
        let first = pin!(self.send_once(&first_command));
        // One timer: a second one for the whole would cost every request as much again.
        match tokio::time::timeout_at(deadline.half(), first).await {
            Ok(Err(error)) if error.is_unrecoverable_error() && !error.is_connection_refusal() => {}
            Ok(response) => return Ok(response?),
            Err(_) => self.discard(number),
        }
        // Boxed, as what is rare must not make the future of every request larger.
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
                // The connection may be dead without a sign.
                self.discard(number);
                Err(OperationError::Timeout(deadline.limit))
            }
        }
    }

    async fn send_once(self: &Arc<Self>, command: &Cmd) -> Result<Value, RedisError> {
        let NumberedConnection { number, mut connection } = self.live().await?;
        // Errors of the server come as values.
        let response = connection.send_packed_command(command).await;
        let response = response.and_then(Value::extract_error);
        if let Err(error) = &response {
            // A primary that became a replica is no longer the server behind its name.
            if error.is_unrecoverable_error()
                || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
            {
                self.discard(number);
            }
        }
        response
    }
}
