//! Commands over the connection, repeated once when it fails.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, ErrorKind, RedisError, Value};

use super::{
    connection::{Connection, NumberedConnection},
    error::OperationError,
    script::Script,
};

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
            command
        };
        // Also for a server that has lost the script between the attempts.
        let is_again = AtomicBool::new(false);
        let by_name = |again| {
            is_again.fetch_or(again, Ordering::Relaxed);
            command("EVALSHA", &script.hash, again)
        };
        let whole =
            |again| command("EVAL", &script.code, again || is_again.load(Ordering::Relaxed));
        let work = async {
            match self.send(by_name, limit).await {
                Err(error) if error.kind() == ErrorKind::NoScriptError => {
                    Box::pin(self.send(whole, limit)).await
                }
                response => response,
            }
        };
        self.within(limit, pin!(work)).await
    }

    /// Sends a command that may run twice.
    pub(super) async fn ask(
        self: &Arc<Self>,
        command: &Cmd,
        limit: Duration,
    ) -> Result<Value, OperationError> {
        let work = pin!(self.send(|_| command.clone(), limit));
        self.within(limit, work).await
    }

    async fn within(
        &self,
        limit: Duration,
        // Pinned, as a future that is moved is kept twice in the future that moves it.
        work: Pin<&mut impl Future<Output = Result<Value, RedisError>>>,
    ) -> Result<Value, OperationError> {
        let number = self.number();
        match tokio::time::timeout(limit, work).await {
            Ok(response) => Ok(response?),
            Err(_) => {
                // The connection may be dead without a sign.
                self.discard(number);
                Err(OperationError::Timeout(limit))
            }
        }
    }

    /// Sends a command, and once more over a new connection if the first one fails: a connection
    /// that was closed since the last command is noticed only now. The same if there is no response
    /// for half of the limit: redis-rs never completes a command that was written just after the
    /// server had closed.
    async fn send(
        self: &Arc<Self>,
        command: impl Fn(bool) -> Cmd,
        limit: Duration,
    ) -> Result<Value, RedisError> {
        let number = self.number();
        let first_command = command(false);
        let first = pin!(self.send_once(&first_command));
        match tokio::time::timeout(limit / 2, first).await {
            Ok(Err(error)) if error.is_unrecoverable_error() && !error.is_connection_refusal() => {}
            Ok(response) => return response,
            Err(_) => self.discard(number),
        }
        // Boxed, as what is rare must not make the future of every request larger.
        Box::pin(self.send_once(&command(true))).await
    }

    async fn send_once(self: &Arc<Self>, command: &Cmd) -> Result<Value, RedisError> {
        let NumberedConnection { number, mut connection } = self.live().await?;
        // Errors of the server come as values.
        let response = connection.send_packed_command(command).await;
        let response = response.and_then(Value::extract_error);
        if let Err(error) = &response {
            // A primary that became a replica is no longer the server behind its name.
            if error.is_unrecoverable_error() || error.kind() == ErrorKind::ReadOnly {
                self.discard(number);
            }
        }
        response
    }
}
