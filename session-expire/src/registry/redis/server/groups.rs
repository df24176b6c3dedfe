//! Commands on the nodes of a Cluster, many in one round trip.
//!
//! The commands of a node form a group, although their keys have different slots. A node refuses
//! single commands of a group, for example because their slot has moved; it runs the others. The
//! refused commands are sent again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use super::{
    acknowledge::Wait,
    cluster::{SlotOwners, new_group, slot_of},
    connection::Connection,
    pipeline::{ScriptCall, convert},
    retry::Retry,
    send::{Deadline, Request},
};
use crate::registry::redis::{error::OperationError, script::Script};

/// How often commands are sent in groups before the rest is sent one by one.
const GROUPED_ATTEMPTS: usize = 2;

/// Maximum number of commands that are sent one by one at the same time.
const SINGLE_COMMANDS: usize = 200;

/// Commands that may run twice without harm.
pub(super) struct Batch<'a> {
    pub(super) commands: Vec<Cmd>,
    /// A key of each command.
    pub(super) keys: Vec<&'a str>,
    /// Script that the commands call, and its calls.
    pub(super) script: Option<(&'a Script, &'a [ScriptCall])>,
    /// Maximum number of commands in one round trip.
    pub(super) round: usize,
    /// Timeout of each round trip.
    pub(super) timeout: Duration,
}

/// Responses in the order of the commands; `None` for commands that have not run yet.
type Responses = Vec<Option<Value>>;

impl Connection {
    /// Runs commands on the nodes of their slots, and returns their responses in order.
    pub(super) async fn run_batch(
        self: &Arc<Self>,
        batch: &Batch<'_>,
    ) -> Result<Vec<Value>, OperationError> {
        let mut responses: Responses = vec![None; batch.commands.len()];
        for attempt in 0..GROUPED_ATTEMPTS {
            let mut groups = self.group(batch, missing(&responses)).await?;
            // The first call of a node loads the script. After a refusal, the client may still send
            // to a former owner of the slots. A redirect of a single command shows it the new one.
            if batch.script.is_some() || attempt > 0 {
                let firsts: Vec<_> = groups.iter_mut().map(|group| group.remove(0)).collect();
                self.run_singles(batch, &firsts, &mut responses).await?;
            }
            let sent = groups.iter().map(|group| self.send_group(batch, group));
            for (number, response) in try_join_all(sent).await?.into_iter().flatten() {
                responses[number] = response;
            }
        }
        let rest = missing(&responses);
        self.run_singles(batch, &rest, &mut responses).await?;
        responses.into_iter().map(|response| response.ok_or(OperationError::Response)).collect()
    }

    /// Returns the numbers of the commands of each node.
    async fn group(
        self: &Arc<Self>,
        batch: &Batch<'_>,
        numbers: Vec<usize>,
    ) -> Result<Vec<Vec<usize>>, OperationError> {
        if numbers.is_empty() {
            return Ok(vec![]);
        }
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let response = self.query_slot(0, &command, batch.timeout).await?;
        let owners = SlotOwners::read(response)?;
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for number in numbers {
            if let Some(owner) = owners.owner_of(slot_of(batch.keys[number])) {
                groups.entry(owner).or_default().push(number);
            }
        }
        Ok(groups.into_values().collect())
    }

    /// Sends commands to one node, two rounds at a time. Rounds that wait for replicas block their
    /// connection, and are sent one at a time.
    async fn send_group(
        self: &Arc<Self>,
        batch: &Batch<'_>,
        numbers: &[usize],
    ) -> Result<Vec<(usize, Option<Value>)>, OperationError> {
        let replicas = batch.script.and_then(|(script, _)| self.replicas(script));
        let parallel = if replicas.is_some() { 1 } else { 2 };
        let mut responses = vec![];
        for rounds in numbers.chunks(parallel * batch.round) {
            let rounds =
                rounds.chunks(batch.round).map(|round| self.send_round(batch, round, replicas));
            responses.extend(try_join_all(rounds).await?.into_iter().flatten());
        }
        Ok(numbers.iter().copied().zip(responses).collect())
    }

    /// Sends commands to one node in one round trip.
    async fn send_round(
        self: &Arc<Self>,
        batch: &Batch<'_>,
        numbers: &[usize],
        replicas: Option<u32>,
    ) -> Result<Responses, OperationError> {
        let Some(first) = numbers.first() else { return Ok(vec![]) };
        let (deadline, key) = (Deadline::new(batch.timeout), batch.keys[*first]);
        let connection = if replicas.is_some() { self.acknowledging() } else { self };
        let wait = replicas.map(|replicas| Wait { replicas, end: deadline.end });
        let request = |_| {
            let mut pipeline = new_group(numbers.len());
            for number in numbers {
                pipeline.add_command(batch.commands[*number].clone());
            }
            if let Some(wait) = wait {
                wait.add_to(&mut pipeline, key);
            }
            Request::Group(slot_of(key), pipeline)
        };
        let mut responses: Vec<Value> = convert(connection.send(request, deadline).await?)?;
        if responses.len() < numbers.len() {
            return Err(OperationError::Response);
        }
        let acknowledgement = responses.split_off(numbers.len());
        if let Some(wait) = wait
            && !is_acknowledged(acknowledgement, wait)?
        {
            return Ok(vec![None; numbers.len()]);
        }
        responses.into_iter().map(unless_refused).collect()
    }

    /// Runs commands one by one. They follow redirects, and wait while their slots move.
    async fn run_singles(
        self: &Arc<Self>,
        batch: &Batch<'_>,
        numbers: &[usize],
        responses: &mut Responses,
    ) -> Result<(), OperationError> {
        for numbers in numbers.chunks(SINGLE_COMMANDS) {
            let run = try_join_all(numbers.iter().map(|number| self.run_single(batch, *number)));
            for (number, response) in numbers.iter().zip(run.await?) {
                responses[*number] = Some(response);
            }
        }
        Ok(())
    }

    async fn run_single(
        self: &Arc<Self>,
        batch: &Batch<'_>,
        number: usize,
    ) -> Result<Value, OperationError> {
        match batch.script {
            Some((script, calls)) => {
                let (keys, argument) = &calls[number];
                self.run(script, keys, &[argument], batch.timeout).await
            }
            None => self.query(&batch.commands[number], batch.timeout).await,
        }
    }
}

/// Returns the numbers of the commands that have not run.
fn missing(responses: &Responses) -> Vec<usize> {
    (0..responses.len()).filter(|number| responses[*number].is_none()).collect()
}

/// Returns `false` if the commands must run again, because the test write was refused.
fn is_acknowledged(responses: Vec<Value>, wait: Wait) -> Result<bool, OperationError> {
    let mut responses = responses.into_iter().map(unless_refused);
    // A server whose memory is full refuses the test write, but not every script.
    if matches!(responses.next(), Some(Ok(None))) {
        return Ok(false);
    }
    let Some(replicas) = responses.next().ok_or(OperationError::Response)?? else {
        return Ok(false);
    };
    wait.check(vec![Value::Okay, replicas]).map(|()| true)
}

/// Returns the response to a command; `None` if the node has refused to run it.
fn unless_refused(response: Value) -> Result<Option<Value>, OperationError> {
    let response = convert::<Vec<Value>>(response)?.pop().ok_or(OperationError::Response)?;
    match response.extract_error() {
        Ok(response) => Ok(Some(response)),
        Err(error) if is_refusal(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns `true` if the node may run the command later, or another node runs it.
fn is_refusal(error: &RedisError) -> bool {
    let is_unknown_script = error.kind() == ErrorKind::Server(ServerErrorKind::NoScript);
    is_unknown_script || Retry::in_cluster(error).is_some()
}
