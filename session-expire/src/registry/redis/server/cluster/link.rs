//! Connection to a Cluster that notices when the cluster client stops.
//!
//! While the cluster client of redis-rs asks for the owners of the slots, it does not poll its other
//! requests. One of them may hold the lock that the question needs: tokio suspends a task that has
//! acquired many locks in a row, even after it has acquired one. From then on, the client responds
//! to nothing. A local command every [`INTERVAL`] detects this, and fails all requests at once.
//! They are repeated over a new connection.
//!
//! This is rare, because only requests that the client begins at the same moment add up to so many
//! locks. Of a burst, the link lets [`BURST`] requests in at a time.

use std::{io, pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use redis::{
    Cmd, Pipeline, RedisError, Value,
    aio::ConnectionLike,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::{node::ClusterNode, seen_nodes::SeenNodes};

/// Time between two checks.
const INTERVAL: Duration = Duration::from_millis(50);

/// Time without a response after which the client is seen as stopped. It is longer than questions
/// for the owners to several nodes that do not respond.
const PATIENCE: Duration = Duration::from_secs(1);

/// Number of checks after which the link asks for the addresses of all nodes: a minute.
const CHECKS_PER_QUESTION: u64 = 1_200;

/// Number of nodes asked, at random, until one responds.
const QUESTIONS: usize = 10;

/// Number of requests that the client may begin at the same moment. Each acquires two of the 128
/// locks after which tokio suspends a task.
const BURST: usize = 50;

/// Time that a request of a larger burst waits at most. Requests to a node that does not respond
/// must not delay those to other nodes.
const BURST_WAIT: Duration = Duration::from_millis(5);

type Client = ClusterConnection<ClusterNode>;

/// Connections to the nodes of a Cluster. It sends each command to the primary of its slot.
#[derive(Clone)]
pub(crate) struct ClusterLink {
    client: Client,
    burst: Arc<Semaphore>,
    /// Receives `true` when the client has stopped.
    has_stopped: watch::Receiver<bool>,
}

impl ClusterLink {
    /// Returns a link, which the current runtime checks.
    ///
    /// It stores the addresses of the nodes in `seen`.
    pub(super) fn new(client: Client, seen: SeenNodes) -> Self {
        let (sender, has_stopped) = watch::channel(false);
        tokio::spawn(watch(client.clone(), sender, seen));
        let burst = Arc::new(Semaphore::new(BURST));
        Self { client, burst, has_stopped }
    }

    pub(crate) async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let Self { client, burst, has_stopped } = self;
        let _permit = enter(burst).await;
        until_stopped(has_stopped, client.req_packed_command(command)).await
    }

    pub(crate) async fn route(
        &mut self,
        command: Cmd,
        routing: RoutingInfo,
    ) -> Result<Value, RedisError> {
        let Self { client, burst, has_stopped } = self;
        let _permit = enter(burst).await;
        until_stopped(has_stopped, client.route_command(command, routing)).await
    }

    pub(crate) async fn send_all(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let Self { client, burst, has_stopped } = self;
        let _permit = enter(burst).await;
        let sent = client.req_packed_commands(pipeline, 0, pipeline.len());
        until_stopped(has_stopped, sent).await
    }

    /// Sends a [group](super::new_group) of commands to the primary of a slot.
    pub(crate) async fn send_group(
        &mut self,
        group: Pipeline,
        slot: u16,
    ) -> Result<Vec<Value>, RedisError> {
        let Self { client, burst, has_stopped } = self;
        let _permit = enter(burst).await;
        let (first, count) = (1, group.len().saturating_sub(1));
        let primary = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
        until_stopped(has_stopped, client.route_pipeline(group, first, count, primary)).await
    }
}

/// Waits while many requests are under way, for at most [`BURST_WAIT`].
async fn enter(burst: &Semaphore) -> Option<SemaphorePermit<'_>> {
    match burst.try_acquire() {
        Ok(permit) => Some(permit),
        Err(_) => tokio::time::timeout(BURST_WAIT, burst.acquire()).await.ok()?.ok(),
    }
}

/// Returns the response, or the error of a closed connection if the client stops.
async fn until_stopped<T>(
    has_stopped: &mut watch::Receiver<bool>,
    response: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    let stopped = pin!(has_stopped.wait_for(|has_stopped| *has_stopped));
    match select(pin!(response), stopped).await {
        Either::Left((response, _)) => response,
        Either::Right(_) => Err(io::Error::other("the cluster client has stopped").into()),
    }
}

/// Checks the client until it stops, or until the link is dropped.
async fn watch(mut client: Client, sender: watch::Sender<bool>, seen: SeenNodes) {
    for number in 0_u64.. {
        if sender.is_closed() {
            return;
        }
        if number.is_multiple_of(CHECKS_PER_QUESTION) {
            tokio::spawn(look_for_nodes(client.clone(), seen.clone()));
        }
        tokio::time::sleep(INTERVAL).await;
        if !responds(&mut client).await {
            let event = "sys_redis_cluster_client";
            tracing::warn!(event, "the cluster client has stopped; connecting again");
            sender.send_replace(true);
            return;
        }
    }
}

/// Asks nodes at random for the addresses of all. Without a response, the earlier ones stay.
async fn look_for_nodes(mut client: Client, seen: SeenNodes) {
    for _ in 0..QUESTIONS {
        let random = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
        let command = redis::cmd("CLUSTER").arg("SLOTS").take();
        let found = client.route_command(command, random).await;
        if found.and_then(|response| seen.read(response)).is_ok() {
            return;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Returns `true` if the client responds to a local command.
async fn responds(client: &mut Client) -> bool {
    let random = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
    let mut response = pin!(client.route_command(redis::cmd("PING"), random));
    // Counted, because the thread may be late.
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        if tokio::time::timeout(INTERVAL, &mut response).await.is_ok() {
            return true;
        }
        waited += INTERVAL;
    }
    false
}
