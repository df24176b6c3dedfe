//! Node of a Redis Cluster, and its view of the Cluster.

use std::{collections::BTreeMap, ops::RangeInclusive};

use crate::{RedisServer, find_free_port, redis_cluster::wait_until};

/// Option that each node replaces with a free port.
pub(crate) const FREE_PORT: &str = "FREE-PORT";

/// A node that a test starts, pauses and kills.
pub(crate) struct Node {
    pub(crate) server: RedisServer,
    /// Port that the node announces to other nodes and to clients.
    port: String,
    /// Port of the messages between nodes.
    bus: String,
    /// Id of the node in the Cluster.
    pub(crate) id: String,
    /// `false` while the node is killed or paused.
    pub(crate) responds: bool,
    /// A slot that the node owned when it was killed or paused.
    pub(crate) last_slot: Option<u16>,
}

/// Line of `CLUSTER NODES`: the view that a node has of another node or of itself.
pub(crate) struct NodeView {
    pub(crate) id: String,
    flags: String,
    /// Primary of this replica.
    pub(crate) primary: Option<String>,
    /// Epoch of the claims to slots. If two nodes claim a slot, the higher epoch decides.
    pub(crate) epoch: u64,
    is_connected: bool,
    pub(crate) slots: Vec<RangeInclusive<u16>>,
}

impl Node {
    /// Starts a node without slots.
    pub(crate) fn start(options: &[&str]) -> Self {
        let (mut bus, mut tls_port) = <(String, String)>::default();
        let server = RedisServer::start_with("", || {
            (bus, tls_port) = (find_free_port().to_string(), find_free_port().to_string());
            let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            let word = |word| if word == FREE_PORT { tls_port.as_str() } else { word };
            let options = options.iter().copied().map(word);
            cluster.into_iter().chain(options).map(str::to_owned).collect()
        });
        let has_tls = options.contains(&FREE_PORT);
        let id = server.command(&["CLUSTER", "MYID"]);
        let port = if has_tls { tls_port } else { server.port.to_string() };
        Self { server, port, bus, id, responds: true, last_slot: None }
    }

    /// Introduces the nodes to each other.
    pub(crate) fn meet(&self, other: &Self) {
        let words = ["CLUSTER", "MEET", "127.0.0.1", &other.port, &other.bus];
        let _: String = self.server.command(&words);
    }

    /// Sends a command, and waits while a replica loads the records of its primary.
    fn ask(&self, words: &[&str]) -> String {
        let mut response = None;
        wait_until("the node has loaded its records", || {
            response = match self.server.try_command(words) {
                Err(error) if error.code() == Some("LOADING") => None,
                response => Some(response.unwrap()),
            };
            response.is_some()
        });
        response.unwrap()
    }

    /// Returns the node's view of the Cluster.
    pub(crate) fn view(&self) -> Vec<NodeView> {
        let nodes = self.ask(&["CLUSTER", "NODES"]);
        nodes.lines().map(NodeView::parse).collect()
    }

    /// Returns the node's view of itself.
    pub(crate) fn own_view(&self) -> NodeView {
        self.view().into_iter().find(|node| node.id == self.id).unwrap()
    }

    /// Returns the primary and the slots of each node, in the view of this node.
    pub(crate) fn roles(&self) -> BTreeMap<String, (Option<String>, Vec<RangeInclusive<u16>>)> {
        self.view().into_iter().map(|node| (node.id, (node.primary, node.slots))).collect()
    }

    /// Returns `true` if the node has joined a complete Cluster, and is connected to this number of
    /// nodes.
    pub(crate) fn is_ok(&self, nodes: usize) -> bool {
        let info = self.ask(&["CLUSTER", "INFO"]);
        let connected = self.view().iter().filter(|node| node.is_available()).count();
        info.contains("cluster_state:ok") && connected == nodes && self.is_linked()
    }

    /// Returns `true` for a replica with a connection to its primary, and for a primary whose
    /// replicas receive new changes.
    fn is_linked(&self) -> bool {
        let info: String = self.server.command(&["INFO", "replication"]);
        if info.contains("role:slave") {
            return info.contains("master_link_status:up");
        }
        let view = self.view();
        let of_this = view.iter().filter(|node| node.primary.as_ref() == Some(&self.id));
        let replicas = of_this.filter(|node| node.is_available()).count();
        info.matches("state=online").count() >= replicas
    }
}

impl NodeView {
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let primary = Some(words[3].to_owned()).filter(|id| id != "-");
        // A slot in brackets is migrating.
        let slots = words[8..].iter().filter(|word| !word.starts_with('['));
        Self {
            id: words[0].to_owned(),
            flags: words[2].to_owned(),
            primary,
            epoch: words[6].parse().unwrap(),
            is_connected: words[7] == "connected",
            slots: slots.map(|word| parse_range(word)).collect(),
        }
    }

    fn is_available(&self) -> bool {
        let is_faulty =
            ["fail", "handshake", "noaddr"].iter().any(|flag| self.flags.contains(flag));
        self.is_connected && !is_faulty
    }

    pub(crate) fn owns(&self, slot: u16) -> bool {
        self.primary.is_none() && self.slots.iter().any(|slots| slots.contains(&slot))
    }

    pub(crate) fn first_slot(&self) -> Option<u16> {
        self.slots.first().map(|slots| *slots.start())
    }
}

fn parse_range(word: &str) -> RangeInclusive<u16> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    first.parse().unwrap()..=last.parse().unwrap()
}
