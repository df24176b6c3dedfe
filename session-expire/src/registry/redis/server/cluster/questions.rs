//! Questions to a node for the owners of the slots.
//!
//! While the cluster client asks, it does not continue other commands. They may hold the lock of
//! the node's state, or wait for their turn on its connection. A question therefore uses a
//! connection of its own.
//!
//! A question continues after the cluster client has stopped waiting for it. Until the node
//! responds, no other question waits: the cluster client asks the other nodes at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{Cmd, Pipeline, RedisError, Value, aio::MultiplexedConnection};
use tokio::{sync::Mutex, task::JoinHandle};

use super::{
    node_connection::NodeConnection,
    node_error::{is_outdated, timed_out},
};
use crate::registry::redis::server::sentinel::is_temporary;

/// Pause after a question that failed. The cluster client asks again at once.
const PAUSE: Duration = Duration::from_millis(10);

/// Maximum time to wait for a response.
const TIMEOUT: Duration = Duration::from_millis(200);

/// The same for a node without an earlier connection while the cluster client starts. Nothing else
/// waits then, and a handshake may take long. The cluster client asks each node twice.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);

/// Time in which a cluster client starts.
const START: Duration = Duration::from_secs(3);

/// State of the questions to a node.
pub(super) struct Questions {
    created_at: Instant,
    /// Set when the node gets another command: the cluster client has started.
    has_started: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Question to which the node has not responded in time.
    late: Option<JoinHandle<Asked>>,
}

/// Responses of the node, with the connection.
type Asked = Result<(Vec<Value>, MultiplexedConnection), RedisError>;

impl Questions {
    pub(super) fn new() -> Self {
        let (has_started, state) = <_>::default();
        Self { created_at: Instant::now(), has_started, state }
    }

    /// Ends the longer time for a response, because other commands wait from now on.
    pub(super) fn end_start(&self) {
        self.has_started.store(true, Ordering::Relaxed);
    }
}

impl NodeConnection {
    /// Returns the owners of the slots, unless the node is cut off from the Cluster.
    pub(super) async fn find_owners(self: &Arc<Self>, command: &Cmd) -> Result<Value, RedisError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("CLUSTER").arg("INFO").add_command(command.clone());
        let responses = self.ask(pipeline).await.map_err(|error| {
            let is_away = is_temporary(&error) || is_outdated(&error);
            if is_away { self.unavailable(&error.to_string()) } else { error }
        });
        let found = responses.and_then(|responses| self.read_owners(responses));
        if found.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        found
    }

    fn read_owners(&self, mut responses: Vec<Value>) -> Result<Value, RedisError> {
        let (owners, info) = (responses.pop(), responses.pop());
        let info = info.map(Value::extract_error).transpose()?;
        let info = info.map(redis::from_redis_value::<String>).transpose()?;
        match info.is_some_and(|info| info.contains("cluster_state:ok")) {
            true => Ok(owners.unwrap_or(Value::Nil)),
            false => Err(self.unavailable("cluster_state is not ok")),
        }
    }

    async fn ask(self: &Arc<Self>, pipeline: Pipeline) -> Result<Vec<Value>, RedisError> {
        // Another question may wait for a silent node.
        let patience = if self.is_starting() { FIRST_TIMEOUT } else { TIMEOUT };
        let state = tokio::time::timeout(patience, self.questions.state.lock()).await;
        let Ok(mut state) = state else { return Err(timed_out()) };
        if let Some(late) = state.late.take() {
            self.wait_for_late(late, &mut state, &pipeline).await?;
        }
        let mut question = self.begin_question(state.connection.take(), pipeline);
        let patience = if self.is_starting() { FIRST_TIMEOUT } else { TIMEOUT };
        let Ok(asked) = tokio::time::timeout(patience, &mut question).await else {
            state.late = Some(question);
            return Err(timed_out());
        };
        let (responses, connection) = asked.map_err(io::Error::other)??;
        state.connection = Some(connection);
        Ok(responses)
    }

    /// Takes the connection of an earlier question. Without a response, the node is asked in the
    /// background.
    async fn wait_for_late(
        self: &Arc<Self>,
        mut late: JoinHandle<Asked>,
        state: &mut State,
        pipeline: &Pipeline,
    ) -> Result<(), RedisError> {
        let patience = if self.is_starting() { FIRST_TIMEOUT } else { Duration::ZERO };
        let Ok(asked) = tokio::time::timeout(patience, &mut late).await else {
            state.late = Some(late);
            return Err(timed_out());
        };
        match asked.map_err(io::Error::other)? {
            Ok((_, connection)) => {
                state.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                let is_silent = is_temporary(&error);
                state.late = is_silent.then(|| self.begin_question(None, pipeline.clone()));
                Err(error)
            }
        }
    }

    fn begin_question(
        self: &Arc<Self>,
        connection: Option<MultiplexedConnection>,
        pipeline: Pipeline,
    ) -> JoinHandle<Asked> {
        let node = Arc::clone(self);
        tokio::spawn(async move {
            let mut connection = match connection {
                Some(connection) => connection,
                None => node.connect().await?,
            };
            let responses = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
            Ok((responses, connection))
        })
    }

    fn is_starting(&self) -> bool {
        let Questions { created_at, has_started, .. } = &self.questions;
        let has_started = has_started.load(Ordering::Relaxed) || self.id.is_known();
        !has_started && created_at.elapsed() < START
    }
}
