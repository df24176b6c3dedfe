//! Many commands in one round trip.
//!
//! Lists of all users and `end_everyone` send a command for every tag.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use redis::{Cmd, FromRedisValue, Pipeline, Value, from_redis_value};

use super::connection::Connection;
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
        self.send_rounds(commands, COMMANDS_PER_ROUND, timeout).await
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
        let commands = others.iter().map(|(keys, argument)| {
            let mut command = redis::cmd("EVALSHA");
            command.arg(&script.hash).arg(keys.len()).arg(keys).arg(argument);
            command
        });
        let commands: Vec<_> = commands.collect();
        responses.extend(self.send_rounds(&commands, CALLS_PER_ROUND, timeout).await?);
        if self.replicas(script).is_some() {
            // The repeated call waits until the replicas also have the changes of all other calls.
            self.run(script, keys, &[argument], timeout).await?;
        }
        Ok(responses)
    }

    async fn send_rounds(
        self: &Arc<Self>,
        commands: &[Cmd],
        size: usize,
        timeout: Duration,
    ) -> Result<Vec<Value>, OperationError> {
        let mut responses = Vec::with_capacity(commands.len());
        let rounds: Vec<_> = commands.chunks(size).map(pipeline).collect();
        // The server runs one round while this process reads the responses of another.
        for rounds in rounds.chunks(2) {
            let sent = rounds.iter().map(|round| self.query_pipeline(round, timeout));
            for round in try_join_all(sent).await? {
                responses.extend(convert::<Vec<Value>>(round)?);
            }
        }
        Ok(responses)
    }
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
