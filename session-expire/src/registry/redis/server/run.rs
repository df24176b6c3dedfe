//! Scripts over the connection.
//!
//! A script runs by its SHA-1. If its change must be acknowledged, it runs on the second connection.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::Value;

use super::{
    acknowledge::{Wait, acknowledged, test_write},
    connection::Connection,
    send::{Deadline, Request},
};
use crate::registry::redis::{error::OperationError, script::Script};

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
        Box::pin(self.acknowledging().run_acknowledged(run, wait, deadline)).await
    }

    async fn run_acknowledged(
        self: &Arc<Self>,
        run: ScriptRun<'_>,
        wait: Wait,
        deadline: Deadline,
    ) -> Result<Value, OperationError> {
        if let Some(key) = run.keys.first()
            && Self::needs_replicas(run.script)
            && !self.has_replicas()
        {
            let request = |_| Request::Acknowledged(test_write(key, wait));
            wait.check_test(self.send(request, deadline).await?)?;
        }
        let response = self.run_script(run, deadline.restarted()).await;
        self.check_replicas(run.script, wait, response)
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
            Err(error) if error.is_unknown_script() => {
                Box::pin(self.send(by_code, deadline.restarted())).await
            }
            response => response,
        }
    }
}
