//! Commands over the connection.
//!
//! A command that fails with its connection is repeated once over a new connection. A command that
//! the server refuses for a while, during a failover or while it loads its file, is repeated until
//! the timeout.

use std::{
    borrow::Cow,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value};
use tokio::time::Instant;

use super::{
    acknowledge::{Wait, acknowledged, read_responses},
    connection::{Connection, NumberedConnection},
    retry::{PAUSE, Retry},
};
use crate::registry::redis::{error::OperationError, script::Script};

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
enum Request<'a> {
    Command(Cow<'a, Cmd>),
    Pipeline(&'a Pipeline),
    Acknowledged(Pipeline),
}

/// Script with its arguments. After an attempt whose response was lost, it has the argument
/// `retry`, because the script may have run before.
#[derive(Clone, Copy)]
struct ScriptRun<'a> {
    script: &'a Script,
    keys: &'a [String],
    arguments: &'a [&'a str],
    wait: Option<Wait>,
}

impl ScriptRun<'_> {
    fn request(&self, verb: &str, script: &str, is_retry: bool) -> Request<'static> {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(self.keys.len()).arg(self.keys).arg(self.arguments);
        command.arg(is_retry.then_some("retry"));
        match (self.wait, self.keys.first()) {
            (Some(wait), Some(key)) => Request::Acknowledged(acknowledged(command, key, wait)),
            _ => Request::Command(Cow::Owned(command)),
        }
    }
}

impl Connection {
    /// Runs a script, and waits for replicas if its change must be acknowledged.
    pub(crate) async fn run(
        self: &Arc<Self>,
        script: &Script,
        keys: &[String],
        arguments: &[&str],
        timeout: Duration,
    ) -> Result<Value, OperationError> {
        let deadline = Deadline::new(timeout);
        let run = ScriptRun { script, keys, arguments, wait: None };
        let Some(replicas) = self.replicas(script) else {
            return self.run_script(run, deadline).await;
        };
        let wait = Wait { replicas, end: deadline.end };
        let run = ScriptRun { wait: Some(wait), ..run };
        wait.check(Box::pin(self.acknowledging().run_script(run, deadline)).await?)
    }

    /// Runs a script by its SHA-1, and sends its code if the server does not know it.
    async fn run_script(
        self: &Arc<Self>,
        run: ScriptRun<'_>,
        deadline: Deadline,
    ) -> Result<Value, OperationError> {
        // The server may lose the script after a first attempt that has run it.
        let was_retried = AtomicBool::new(false);
        let by_hash = |is_retry| {
            was_retried.fetch_or(is_retry, Ordering::Relaxed);
            run.request("EVALSHA", &run.script.hash, is_retry)
        };
        let by_code = |is_retry| {
            let is_retry = is_retry || was_retried.load(Ordering::Relaxed);
            run.request("EVAL", &run.script.code, is_retry)
        };
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
    async fn send<'a>(
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
