//! Many commands in one round trip.
//!
//! Lists of all users and `end_everyone` send a command for every tag.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use redis::{Arg, Cmd, FromRedisValue, Pipeline, Value, from_redis_value};

use super::{connection::Connection, groups::Batch};
use crate::registry::redis::{error::OperationError, script::Script};

/// Maximum numbers of commands and of script calls in one round trip. Between two round trips, the
/// server and the connection serve other requests.
const COMMANDS_PER_ROUND: usize = 1_000;
const CALLS_PER_ROUND: usize = 200;

/// Keys and argument of a script.
pub(crate) type ScriptCall = (Vec<String>, String);

impl Connection {
    /// Sends commands that may run twice without harm, and returns their responses in order.
    ///
    /// The timeout applies to each round trip.
    pub(crate) async fn query_all(
        self: &Arc<Self>,
        commands: &[Cmd],
        timeout: Duration,
    ) -> Result<Vec<Value>, OperationError> {
        if self.is_cluster() {
            return self.query_nodes(commands, timeout).await;
        }
        let rounds: Vec<_> = commands.chunks(COMMANDS_PER_ROUND).map(pipeline).collect();
        run_rounds(rounds.iter().map(|round| self.query_pipeline(round, timeout))).await
    }

    /// Runs a script with the keys and the argument of each call, and returns the responses in
    /// order. A call may run twice.
    pub(crate) async fn run_all(
        self: &Arc<Self>,
        script: &Script,
        calls: &[ScriptCall],
        timeout: Duration,
    ) -> Result<Vec<Value>, OperationError> {
        // The first call loads the script.
        let Some(((keys, argument), others)) = calls.split_first() else { return Ok(vec![]) };
        let mut responses = vec![self.run(script, keys, &[argument], timeout).await?];
        if self.is_cluster() {
            responses.extend(self.run_on_nodes(script, others, timeout).await?);
            return Ok(responses);
        }
        let rounds = others.chunks(CALLS_PER_ROUND);
        responses
            .extend(run_rounds(rounds.map(|calls| self.run_round(script, calls, timeout))).await?);
        if self.replicas(script).is_some() {
            // The repeated call waits until the replicas also have the changes of all other calls.
            self.run(script, keys, &[argument], timeout).await?;
        }
        Ok(responses)
    }

    /// Sends commands to the nodes that have their keys.
    async fn query_nodes(
        self: &Arc<Self>,
        commands: &[Cmd],
        timeout: Duration,
    ) -> Result<Vec<Value>, OperationError> {
        let batch = Batch {
            commands: commands.to_vec(),
            keys: commands.iter().map(key_of).collect(),
            script: None,
            round: COMMANDS_PER_ROUND,
            timeout,
        };
        self.run_batch(&batch).await
    }

    /// Runs a script on the nodes that have its keys.
    async fn run_on_nodes(
        self: &Arc<Self>,
        script: &Script,
        calls: &[ScriptCall],
        timeout: Duration,
    ) -> Result<Vec<Value>, OperationError> {
        let batch = Batch {
            commands: calls.iter().map(|call| script_call("EVALSHA", &script.hash, call)).collect(),
            keys: calls.iter().map(|(keys, _)| keys.first().map_or("", String::as_str)).collect(),
            script: Some((script, calls)),
            round: CALLS_PER_ROUND,
            timeout,
        };
        self.run_batch(&batch).await
    }

    /// Runs a script several times in one round trip. Sends its code if the server does not know
    /// it, for example after a failover.
    async fn run_round(
        self: &Arc<Self>,
        script: &Script,
        calls: &[ScriptCall],
        timeout: Duration,
    ) -> Result<Value, OperationError> {
        let commands: Vec<_> =
            calls.iter().map(|call| script_call("EVALSHA", &script.hash, call)).collect();
        match self.query_pipeline(&pipeline(&commands), timeout).await {
            Err(error) if error.is_unknown_script() => {
                let by_code = calls.first().map(|call| script_call("EVAL", &script.code, call));
                let commands: Vec<_> =
                    by_code.into_iter().chain(commands.into_iter().skip(1)).collect();
                self.query_pipeline(&pipeline(&commands), timeout).await
            }
            responses => responses,
        }
    }
}

/// Runs two rounds at a time, and returns their responses in order. The server runs one round while
/// this process reads the responses of another.
async fn run_rounds<F>(mut rounds: impl Iterator<Item = F>) -> Result<Vec<Value>, OperationError>
where
    F: Future<Output = Result<Value, OperationError>>,
{
    let mut responses = vec![];
    loop {
        let pair: Vec<_> = rounds.by_ref().take(2).collect();
        if pair.is_empty() {
            return Ok(responses);
        }
        for round in try_join_all(pair).await? {
            responses.extend(convert::<Vec<Value>>(round)?);
        }
    }
}

/// Returns the key of a command, which is its first argument.
fn key_of(command: &Cmd) -> &str {
    match command.args_iter().nth(1) {
        Some(Arg::Simple(key)) => str::from_utf8(key).unwrap_or_default(),
        _ => "",
    }
}

fn script_call(verb: &str, script: &str, (keys, argument): &ScriptCall) -> Cmd {
    let mut command = redis::cmd(verb);
    command.arg(script).arg(keys.len()).arg(keys).arg(argument);
    command
}

fn pipeline(commands: &[Cmd]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    commands.iter().for_each(|command| {
        pipeline.add_command(command.clone());
    });
    pipeline
}

/// Converts a response.
pub(crate) fn convert<T: FromRedisValue>(response: Value) -> Result<T, OperationError> {
    from_redis_value(response).map_err(|_| OperationError::Response)
}
