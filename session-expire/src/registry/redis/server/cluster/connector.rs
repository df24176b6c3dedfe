//! Connections of a subscription to a Cluster.
//!
//! A [`State`] has the current connections, and a [`Connector`] opens new ones.

use std::{sync::Arc, time::Instant};

use futures_util::future::{join_all, select_ok};
use redis::{Client, RedisError};

use super::{
    Cluster,
    slots::slot_of,
    subscribed_node::{SubscribedNode, view_of},
    view::{Owners, Primary, View},
};
use crate::registry::redis::server::channel::Channel;

/// Connections of a subscription.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) nodes: Vec<Arc<SubscribedNode>>,
    /// Owners for which the connections were opened; `None` if a connection is missing.
    pub(crate) owners: Option<Arc<Owners>>,
    /// Set if all nodes have confirmed the owners.
    pub(crate) is_complete: bool,
    /// Addresses of the primaries.
    pub(crate) addresses: Vec<(String, u16)>,
    /// Time of the last report of a new connection.
    pub(crate) reported_at: Option<Instant>,
}

/// Opens the connections of a subscription.
pub(crate) struct Connector {
    cluster: Arc<Cluster>,
    /// Names of the channels, with their slots.
    names: Vec<(u16, String)>,
    channel: Arc<Channel>,
}

impl State {
    /// Replaces the connections. `owners` is `None` if a connection is missing.
    pub(crate) fn replace(
        &mut self,
        nodes: Vec<Arc<SubscribedNode>>,
        owners: Option<Arc<Owners>>,
        addresses: Vec<(String, u16)>,
    ) {
        (self.nodes, self.owners, self.addresses) = (nodes, owners, addresses);
    }

    /// Returns `true` if no connection has failed.
    pub(crate) fn is_open(&self) -> bool {
        self.nodes.iter().all(|node| node.is_open())
    }

    /// Returns `true` if the connection is a new one.
    pub(crate) fn lacks(&self, node: &Arc<SubscribedNode>) -> bool {
        !self.nodes.iter().any(|former| Arc::ptr_eq(former, node))
    }
}

impl Connector {
    pub(crate) fn new(
        cluster: &Arc<Cluster>,
        names: impl Iterator<Item = String>,
        channel: &Arc<Channel>,
    ) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            names: names.map(|name| (slot_of(&name), name)).collect(),
            channel: Arc::clone(channel),
        }
    }

    /// Asks the connected nodes for the owners. If none responds, asks all known nodes.
    pub(crate) async fn newest_view(&self, state: &State) -> Result<View, RedisError> {
        let open = state.nodes.iter().filter(|node| node.is_open());
        let views = join_all(open.map(|node| node.view())).await;
        if let Some(view) = views.into_iter().flatten().max_by_key(View::precedence) {
            return Ok(view);
        }
        let known = state.addresses.iter().map(|(host, port)| self.cluster.client_of(host, *port));
        let clients: Vec<Client> = self.cluster.clients().chain(known).collect::<Result<_, _>>()?;
        let (view, _) =
            select_ok(clients.into_iter().map(|client| Box::pin(view_of(client)))).await?;
        Ok(view)
    }

    /// Returns the connection to a primary. Opens a new one if there is none, or if the slots of
    /// the primary have changed. Returns `None` if they have changed since the view was read.
    pub(crate) async fn connect_to(
        &self,
        primary: &Primary,
        view: &View,
        former: &State,
    ) -> Result<Option<Arc<SubscribedNode>>, RedisError> {
        let is_same = |node: &&Arc<SubscribedNode>| node.is_open() && node.primary == *primary;
        if let Some(node) = former.nodes.iter().find(is_same) {
            return Ok(Some(Arc::clone(node)));
        }
        let (host, port) = view.address(&primary.id)?;
        let client = self.cluster.client_of(host, *port)?;
        let names = self.names.iter().filter(|(slot, _)| primary.owns(*slot));
        let names: Vec<_> = names.map(|(_, name)| name.as_str()).collect();
        let connected = SubscribedNode::connect(client, (primary, host), &names, &self.channel);
        Ok(connected.await?.map(Arc::new))
    }
}
