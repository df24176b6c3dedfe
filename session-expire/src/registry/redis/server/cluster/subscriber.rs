//! Subscription to the changes in a Cluster, which exists while there is a listener.
//!
//! Each primary has its own connection, see [`SubscribedNode`]. The subscriber compares the owners
//! of the slots every second, and at once if a connection fails, a slot moves or a check fails.
//! After it has connected to a new owner, it reports [`Change::Any`].
//!
//! # Exactness
//!
//! A script and its report run on a primary that claims the slot. A check asks all primaries, and
//! succeeds only if all of them see the same owners as at the subscription, in the same epoch:
//!
//! - A primary to which a slot has moved claims it in its own response.
//! - A replica takes over in an epoch that it has requested from most primaries before.
//!
//! A subscription is complete only after two comparisons with the same result. Otherwise it could
//! begin between the votes for a replica and its first message.
//!
//! [`Change::Any`]: crate::registry::change::Change::Any

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{join_all, try_join_all};
use redis::{RedisError, Value};

use super::{
    Cluster,
    connector::{Connector, State},
    link_check::report_again,
    slots::slot_of,
    subscribed_node::{NODE_TIMEOUT, SubscribedNode},
};
use crate::registry::redis::{
    error::OperationError,
    server::{channel::Channel, connection::Connection, pipeline::convert, subscriber::log_outage},
};

/// Pause between two comparisons.
const INTERVAL: Duration = Duration::from_secs(1);

/// Pause between two comparisons while the subscription is incomplete.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Minimum time between two reports of [`Change::Any`](crate::registry::change::Change::Any) while
/// slots move.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// Connections of a subscription. Dropping it closes them.
pub(crate) struct ClusterSubscriber {
    /// Connection of the registry.
    registry: Arc<Connection>,
    connector: Connector,
    channel: Arc<Channel>,
    timeout: Duration,
    state: Mutex<State>,
    /// Number of comparisons.
    comparisons: AtomicUsize,
    /// Number of checks of the registry's connection that are under way.
    link_checks: Arc<AtomicUsize>,
    is_unavailable: AtomicBool,
}

impl ClusterSubscriber {
    /// Returns a subscriber that connects in the background. `names` are those of all channels.
    pub(crate) fn start(
        registry: &Arc<Connection>,
        cluster: &Arc<Cluster>,
        names: impl Iterator<Item = String>,
        channel: Channel,
        timeout: Duration,
    ) -> Arc<Self> {
        let (registry, channel) = (Arc::clone(registry), Arc::new(channel));
        let connector = Connector::new(cluster, names, &channel);
        let (state, link_checks, is_unavailable) = <_>::default();
        // Many processes that start together ask different nodes.
        let comparisons = AtomicUsize::new(rand::random::<u16>().into());
        let this = Arc::new(Self {
            registry,
            connector,
            channel,
            timeout,
            state,
            comparisons,
            link_checks,
            is_unavailable,
        });
        this.watch();
        this
    }

    /// Follows the owners of the slots until the subscriber is dropped.
    fn watch(self: &Arc<Self>) {
        let (this, channel) = (Arc::downgrade(self), Arc::clone(&self.channel));
        self.registry.spawn(async move {
            while let Some(this) = this.upgrade() {
                let followed = this.follow().await;
                this.log(followed.as_ref().err());
                drop(this);
                match followed {
                    Ok(true) => {
                        let _ = tokio::time::timeout(INTERVAL, channel.failed.notified()).await;
                    }
                    _ => tokio::time::sleep(RETRY_INTERVAL).await,
                }
            }
        });
    }

    /// Compares the owners, and subscribes at new ones. Returns `true` if the subscription is
    /// complete.
    async fn follow(&self) -> Result<bool, RedisError> {
        let state = self.state().clone();
        if !self.channel.state().is_closed && self.is_confirmed(&state).await {
            let is_complete = self.link_checks.load(Ordering::SeqCst) == 0;
            self.state().is_complete = is_complete;
            return Ok(is_complete);
        }
        self.state().is_complete = false;
        match state.reported_at {
            Some(at) if at.elapsed() < REPORT_INTERVAL => Ok(false),
            _ => self.subscribe(&state).await.map(|()| false),
        }
    }

    /// Returns `true` if the nodes still see the same owners. Of a complete subscription, only one
    /// node is asked, another one each time.
    async fn is_confirmed(&self, state: &State) -> bool {
        let Some(owners) = state.owners.as_ref().filter(|_| state.is_open()) else { return false };
        let turn = self.comparisons.fetch_add(1, Ordering::Relaxed) % state.nodes.len().max(1);
        let one = state.nodes.get(turn..=turn).unwrap_or_default();
        let asked = if state.is_complete { one } else { &state.nodes };
        let confirmed = asked.iter().map(|node| node.confirm(owners, None, NODE_TIMEOUT));
        // An error closes the connection.
        let confirmed = join_all(confirmed).await;
        confirmed.iter().all(|response| matches!(response, Ok(Some(_))))
    }

    /// Connects to new owners, and reports that any session may have changed.
    async fn subscribe(&self, former: &State) -> Result<(), RedisError> {
        let view = self.connector.newest_view(former).await?;
        let connect = |primary| self.connector.connect_to(primary, &view, former);
        let connected = join_all(view.owners.primaries.iter().map(connect)).await;
        let (nodes, errors): (Vec<_>, Vec<_>) = connected.into_iter().partition(Result::is_ok);
        let nodes: Vec<_> = nodes.into_iter().flatten().flatten().collect();
        let new: Vec<_> = nodes.iter().filter(|node| former.lacks(node)).cloned().collect();
        let is_whole = nodes.len() == view.owners.primaries.len();
        let owners = is_whole.then(|| Arc::new(view.owners.clone()));
        let addresses = view.addresses().cloned().collect();
        self.state().replace(nodes, owners, addresses);
        if !new.is_empty() || self.channel.state().is_closed {
            self.report(new).await;
        }
        errors.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }

    /// Reads the epoch, and reports that any session may have changed.
    async fn report(&self, new: Vec<Arc<SubscribedNode>>) {
        let nodes = self.state().nodes.clone();
        let epoch = match nodes.iter().find(|node| self.owns_epoch(node)) {
            Some(owner) => owner.begin_epoch(&self.channel).await.unwrap_or_default(),
            None => None,
        };
        let is_replacement = self.state().reported_at.replace(Instant::now()).is_some();
        self.channel.restart(epoch);
        let (registry, channel) = (Arc::clone(&self.registry), Arc::clone(&self.channel));
        let nodes: Vec<_> = new.iter().map(Arc::downgrade).collect();
        let running = Arc::clone(&self.link_checks);
        running.fetch_add(1, Ordering::SeqCst);
        self.registry.spawn(async move {
            report_again(registry, nodes, channel, is_replacement).await;
            running.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Returns `true` if all earlier reports have arrived. Sends two commands to each primary.
    pub(crate) async fn check(&self) -> Result<bool, OperationError> {
        let (before, state) = (self.channel.state(), self.state().clone());
        let Some(owners) = state.owners.filter(|_| state.is_complete) else { return Ok(false) };
        let confirm = |node: &'_ Arc<SubscribedNode>| {
            let epoch = self.owns_epoch(node).then(|| self.channel.epoch_command());
            let (node, owners) = (Arc::clone(node), Arc::clone(&owners));
            async move { node.confirm(&owners, epoch, self.timeout).await }
        };
        let confirmed = try_join_all(state.nodes.iter().map(confirm)).await;
        let Ok(Some(responses)) = confirmed.map(|all| all.into_iter().collect::<Option<Vec<_>>>())
        else {
            // The nodes must confirm the owners again.
            self.state().owners = None;
            self.channel.failed.notify_one();
            return Ok(false);
        };
        let epoch = responses.into_iter().find(|response| *response != Value::Nil);
        let epoch: Option<String> = epoch.map(convert).transpose()?;
        Ok(self.channel.check_epoch(&before, epoch.as_deref()))
    }

    fn owns_epoch(&self, node: &SubscribedNode) -> bool {
        node.primary.owns(slot_of(self.channel.epoch_key()))
    }

    /// Logs an outage once.
    fn log(&self, error: Option<&RedisError>) {
        let was_unavailable = self.is_unavailable.swap(error.is_some(), Ordering::Relaxed);
        if let Some(error) = error.filter(|_| !was_unavailable) {
            log_outage(&self.registry.address(), error);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
