//! Connection to a node of a Cluster, which connects with its first command and again after a
//! failure.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, Pipeline, RedisError, Value, aio::MultiplexedConnection,
};
use tokio::{sync::Mutex, task::JoinHandle};

use super::{
    node_error::{
        is_away, is_interruption, lost, outdated, timed_out, unavailable, was_interrupted,
    },
    node_id::NodeId,
    questions::Questions,
};

/// Minimum time between two attempts to connect to a node, and between two questions for the owners
/// of the slots because of it.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum time for which a command waits for a connection. Afterwards the cluster client asks for
/// the owners of the slots: another node may have taken over from a silent one.
const CONNECT_WAIT: Duration = Duration::from_millis(150);

/// Connection to a node.
pub(super) struct NodeConnection {
    client: Client,
    config: AsyncConnectionConfig,
    state: Mutex<NodeState>,
    pub(super) id: NodeId,
    pub(super) questions: Questions,
}

#[derive(Default)]
struct NodeState {
    current: Option<Numbered>,
    /// Number of connections so far.
    opened: u64,
    /// Time of the last error after which the cluster client asks for the owners of the slots.
    outdated_at: Option<Instant>,
    attempt: Attempt,
}

/// Connection with its number.
#[derive(Clone)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
}

/// Attempt to connect. It continues after a command has stopped waiting for it.
#[derive(Default)]
struct Attempt(Option<JoinHandle<Result<MultiplexedConnection, RedisError>>>);

impl NodeConnection {
    pub(super) fn new(client: Client, config: AsyncConnectionConfig) -> Arc<Self> {
        let ((state, id), questions) = (<_>::default(), Questions::new());
        Arc::new(Self { client, config, state, id, questions })
    }

    /// Sends commands together, each after `ASKING` if the node was named by `ASK`.
    pub(super) async fn send(
        self: &Arc<Self>,
        pipeline: &Pipeline,
        is_asking: bool,
        may_have_run: bool,
    ) -> Result<Vec<Value>, RedisError> {
        let responses = match is_asking {
            true => self.send_all(&with_asking(pipeline), may_have_run).await?,
            false => self.send_all(pipeline, may_have_run).await?,
        };
        let responses: Vec<_> = match is_asking {
            true => responses.into_iter().skip(1).step_by(2).collect(),
            false => responses,
        };
        match responses.first() {
            _ if was_interrupted(&responses) => Err(lost("a later command failed")),
            Some(Value::ServerError(error)) if error.code() == "CLUSTERDOWN" => {
                Err(self.outdated("CLUSTERDOWN").await)
            }
            _ => Ok(responses),
        }
    }

    pub(super) async fn send_all(
        self: &Arc<Self>,
        pipeline: &Pipeline,
        may_have_run: bool,
    ) -> Result<Vec<Value>, RedisError> {
        let Numbered { number, mut connection } = self.get_or_connect().await?;
        match connection.send_packed_commands(pipeline, 0, pipeline.len()).await {
            Err(error) if error.is_io_error() => {
                self.discard(number).await;
                let cause = error.to_string();
                Err(if may_have_run { lost(&cause) } else { self.unavailable(&cause) })
            }
            // A primary that becomes a replica interrupts `WAIT`, and then closes the connection.
            Ok(responses) if responses.iter().any(is_interruption) => {
                self.discard(number).await;
                Ok(responses)
            }
            responses => responses,
        }
    }

    /// Discards a connection, unless a later command has replaced it.
    async fn discard(&self, number: u64) {
        let mut state = self.state.lock().await;
        state.current = state.current.take().filter(|current| current.number != number);
    }

    /// Returns the connection, and connects if there is none. Other commands wait meanwhile.
    async fn get_or_connect(self: &Arc<Self>) -> Result<Numbered, RedisError> {
        self.questions.end_start();
        let mut state = self.state.lock().await;
        if let Some(current) = &state.current {
            return Ok(current.clone());
        }
        if state.is_outdated() {
            return Err(self.unavailable("it has just failed"));
        }
        let connected = tokio::time::timeout(CONNECT_WAIT, state.attempt.complete(self)).await;
        match connected.unwrap_or_else(|_| Err(timed_out())) {
            Ok(connection) => {
                state.opened += 1;
                let current = Numbered { number: state.opened, connection };
                state.current = Some(current.clone());
                Ok(current)
            }
            Err(error) if is_away(&error) => {
                state.outdated_at = Some(Instant::now());
                Err(outdated())
            }
            Err(error) => Err(error),
        }
    }

    /// Connects, and checks that the address still leads to the same node.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = &self.config;
        let connected = self.client.get_multiplexed_async_connection_with_config(config).await;
        let mut connection = connected?;
        let id = redis::cmd("CLUSTER").arg("MYID").take();
        let id: String = id.query_async(&mut connection).await?;
        if self.id.accepts(&id) { Ok(connection) } else { Err(outdated()) }
    }

    /// Returns the error of a command that the node has not run because its slot has no primary, or
    /// because another node owns it by now.
    async fn outdated(&self, cause: &str) -> RedisError {
        let mut state = self.state.lock().await;
        if state.is_outdated() {
            return self.unavailable(cause);
        }
        state.outdated_at = Some(Instant::now());
        outdated()
    }

    pub(super) fn unavailable(&self, cause: &str) -> RedisError {
        unavailable(self.client.get_connection_info().addr(), cause)
    }
}

impl Attempt {
    /// Waits for the attempt, and starts one if there is none.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt continues.
    async fn complete(
        &mut self,
        node: &Arc<NodeConnection>,
    ) -> Result<MultiplexedConnection, RedisError> {
        let attempt = self.0.get_or_insert_with(|| {
            let node = Arc::clone(node);
            tokio::spawn(async move { node.connect().await })
        });
        let connected = attempt.await;
        self.0 = None;
        connected.map_err(io::Error::other)?
    }
}

impl NodeState {
    fn is_outdated(&self) -> bool {
        self.outdated_at.is_some_and(|at| at.elapsed() < RETRY_INTERVAL)
    }
}

fn with_asking(pipeline: &Pipeline) -> Pipeline {
    let mut asking = Pipeline::with_capacity(2 * pipeline.len());
    for command in pipeline.cmd_iter() {
        asking.cmd("ASKING").add_command(command.clone());
    }
    asking
}
