//! Commands to the primaries when an application starts.
//!
//! An application must start while a node of its Cluster is not available, because the others can
//! serve their users. The start waits for such a node only once, and then leaves it out.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use redis::{Cmd, RedisError, Value};

use super::{
    check::CHECK_TIMEOUT,
    connection::{Connection, START_TIMEOUT},
    retry::{PAUSE, Retry},
};
use crate::registry::redis::error::{OperationError, RedisConnectError};

/// How long the start waits for nodes of a Cluster after another one has responded.
const PATIENCE: Duration = Duration::from_secs(1);

/// Responses of servers, with their addresses.
type Responses = Vec<(String, Value)>;

/// Errors of servers that are not available.
type Missing = Vec<(String, RedisError)>;

/// Primaries that respond when an application starts.
pub(crate) struct StartPrimaries {
    began: Instant,
    /// Nodes of a Cluster that have responded to every command; `None` before the first one.
    addresses: Option<Vec<String>>,
    /// Time at which the start leaves out other nodes.
    patience_end: Option<Instant>,
    /// Set if a node has been left out.
    is_incomplete: bool,
}

impl StartPrimaries {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), addresses: None, patience_end: None, is_incomplete: false }
    }

    /// Returns `true` if a node of a Cluster has not responded.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// Returns `true` if there is time left for nodes that have not responded.
    fn has_patience(&mut self, has_responses: bool) -> bool {
        let now = Instant::now();
        match has_responses {
            true => now < *self.patience_end.get_or_insert(now + PATIENCE),
            false => self.began.elapsed() < START_TIMEOUT - PAUSE,
        }
    }

    fn leave_out(&mut self, responses: &Responses, missing: &Missing) {
        missing.iter().for_each(log_missing_node);
        self.addresses = Some(responses.iter().map(|(address, _)| address.clone()).collect());
        self.is_incomplete |= !missing.is_empty();
    }
}

impl Connection {
    /// Sends a command to every primary that has responded so far, and waits while one of them loads
    /// its file. Returns the responses with the addresses of their nodes, at least one.
    pub(crate) async fn query_primaries_at_start(
        self: &Arc<Self>,
        primaries: &mut StartPrimaries,
        command: &Cmd,
    ) -> Result<Responses, RedisConnectError> {
        loop {
            let responses = match &primaries.addresses {
                Some(nodes) if self.is_cluster() => Ok(self.query_responding(nodes, command).await),
                _ => self.query_every_primary(command).await,
            };
            let responses = responses.and_then(split_responses);
            let (responses, mut missing) = responses.map_err(|error| self.connect_error(error))?;
            // A handshake may take longer than the cluster client waits for it.
            if missing.is_empty() || !primaries.has_patience(!responses.is_empty()) {
                primaries.leave_out(&responses, &missing);
                return match missing.pop().filter(|_| responses.is_empty()) {
                    Some((_, error)) => Err(self.connect_error(OperationError::in_cluster(error))),
                    None => Ok(responses),
                };
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn query_every_primary(
        self: &Arc<Self>,
        command: &Cmd,
    ) -> Result<Vec<(String, Result<Value, RedisError>)>, OperationError> {
        let responses = self.query_primaries(command, START_TIMEOUT - PAUSE).await?;
        let responses = responses.into_iter();
        Ok(responses.map(|(address, response)| (address, response.extract_error())).collect())
    }

    async fn query_responding(
        self: &Arc<Self>,
        addresses: &[String],
        command: &Cmd,
    ) -> Vec<(String, Result<Value, RedisError>)> {
        let query = |address: &'_ String| {
            let address = address.clone();
            async move {
                let sent = tokio::time::timeout(CHECK_TIMEOUT, self.query_node(&address, command));
                let timed_out = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
                let response = sent.await.unwrap_or_else(timed_out);
                (address, response)
            }
        };
        join_all(addresses.iter().map(query)).await
    }

    async fn query_node(
        self: &Arc<Self>,
        address: &str,
        command: &Cmd,
    ) -> Result<Value, RedisError> {
        let mut link = self.get_or_connect().await?.link;
        link.send_to_node(address, command).await?.extract_error()
    }
}

fn log_missing_node((server, error): &(String, RedisError)) {
    let event = "sys_redis_node_unavailable";
    tracing::warn!(event, server, %error, "node of the Redis Cluster not checked");
}

/// Returns the responses, and the errors of the nodes of a Cluster that are not available. Returns
/// another error of a server.
fn split_responses(
    responses: Vec<(String, Result<Value, RedisError>)>,
) -> Result<(Responses, Missing), OperationError> {
    let (mut received, mut missing) = (vec![], vec![]);
    for (server, response) in responses {
        match response {
            Ok(response) => received.push((server, response)),
            Err(error) if Retry::in_cluster(&error).is_some() => missing.push((server, error)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((received, missing))
}
