//! Redis Cluster that a test starts, breaks and repairs.

use std::{
    ops::RangeInclusive,
    thread,
    time::{Duration, Instant},
};

use session_expire::RedisRegistry;

use crate::{
    Certificates, RedisServer,
    cluster_node::{FREE_PORT, Node},
    redis_server::WATCHING,
};

/// Longest wait on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const SLOTS: usize = 16_384;

/// Three primaries and their replicas on free ports, without persistence. Dropping the Cluster
/// stops all nodes.
///
/// Nodes 0, 1 and 2 are the first primaries, with a third of the slots each. Node `n + 3` is the
/// first replica of node `n`. A primary that restarts before its failover is empty, and also
/// empties its replica.
pub struct RedisCluster {
    nodes: Vec<Node>,
    options: Vec<String>,
}

impl RedisCluster {
    /// Options of nodes that fail over within a few seconds. On a busy machine, they may fail over
    /// without a fault.
    pub const FAST_FAILOVER: [&str; 2] = ["--cluster-node-timeout", "1000"];

    /// Starts three primaries with a replica each. A node counts as failed after 10 seconds.
    #[must_use]
    pub fn start() -> Self {
        Self::with_options(&[])
    }

    /// Starts three primaries with a replica each. Each node has these options on its command line.
    #[must_use]
    pub fn with_options(options: &[&str]) -> Self {
        Self::with_nodes(3, 1, options)
    }

    /// Starts three primaries without replicas.
    #[must_use]
    pub fn without_replicas(options: &[&str]) -> Self {
        Self::with_nodes(3, 0, options)
    }

    /// Starts a Cluster with this number of primaries, each with this number of replicas.
    ///
    /// # Panics
    ///
    /// Panics if the Cluster does not start.
    #[must_use]
    pub fn with_nodes(primaries: usize, replicas: usize, options: &[&str]) -> Self {
        let options = [&WATCHING[..], &["--cluster-node-timeout", "10000"], options].concat();
        let nodes = start_nodes(primaries * (1 + replicas), &options);
        assign_slots(&nodes[..primaries]);
        for (n, node) in nodes.iter().enumerate() {
            let epoch = (n + 1).to_string();
            let _: String = node.server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            nodes[..n].iter().for_each(|other| node.meet(other));
        }
        for (n, replica) in nodes.iter().enumerate().skip(primaries) {
            let primary = &nodes[n % primaries];
            let words = ["CLUSTER", "REPLICATE", &primary.id];
            // The replica learns about its primary from messages.
            wait_until("a replica joins", || replica.server.try_command::<String>(&words).is_ok());
        }
        let cluster = Self { nodes, options: options.iter().map(|&o| o.to_owned()).collect() };
        cluster.wait_until_ok();
        cluster
    }

    /// Starts three primaries without replicas, with TLS for clients and between nodes. They
    /// require no client certificates.
    #[must_use]
    pub fn with_tls(certificates: &Certificates, options: &[&str]) -> Self {
        let files = certificates.options().map(|(key, file)| (format!("--{key}"), file));
        let mut words = vec!["--tls-port", FREE_PORT, "--tls-cluster", "yes"];
        words.extend(["--tls-auth-clients", "no"].into_iter().chain(options.iter().copied()));
        words.extend(files.iter().flat_map(|(key, file)| [key.as_str(), file]));
        Self::without_replicas(&words)
    }

    /// Returns the URLs of nodes with TLS. `user` has the form `name:password@`.
    #[must_use]
    pub fn tls_urls(&self, user: &str) -> Vec<String> {
        let port =
            |node: &Node| node.server.command::<(String, u16)>(&["CONFIG", "GET", "tls-port"]).1;
        self.nodes.iter().map(|node| format!("rediss://{user}localhost:{}", port(node))).collect()
    }

    /// Adds a primary without slots. Returns its number.
    pub fn add_empty_primary(&mut self) -> usize {
        let options: Vec<_> = self.options.iter().map(String::as_str).collect();
        let node = Node::start(&options);
        self.responding().for_each(|(_, other)| node.meet(other));
        self.nodes.push(node);
        self.wait_until_ok();
        self.nodes.len() - 1
    }

    /// Adds a replica of a primary. Returns its number.
    pub fn add_replica_of(&mut self, primary: usize) -> usize {
        let n = self.add_empty_primary();
        self.command_on::<String>(n, &["CLUSTER", "REPLICATE", &self.nodes[primary].id]);
        self.wait_until_ok();
        n
    }

    /// Returns the URLs of all nodes.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.server.url()).collect()
    }

    /// Connects a registry whose timeout allows for a busy machine.
    ///
    /// # Panics
    ///
    /// Panics if it does not connect.
    pub async fn registry(&self) -> RedisRegistry {
        RedisRegistry::cluster(self.urls()).await.unwrap().timeout(Duration::from_secs(10))
    }

    /// Returns the numbers of the nodes that own slots.
    #[must_use]
    pub fn primaries(&self) -> Vec<usize> {
        let owns_its_slots = |(n, node): (usize, &Node)| {
            let view = node.own_view();
            let slot = view.first_slot().filter(|slot| view.owns(*slot))?;
            (self.owner_of(slot) == n).then_some(n)
        };
        self.responding().filter_map(owns_its_slots).collect()
    }

    /// Returns the number of a replica of this node. Waits for one that responds.
    #[must_use]
    pub fn replica_of(&self, n: usize) -> usize {
        let id = Some(&self.nodes[n].id);
        let is_replica = |(_, node): &(usize, &Node)| node.own_view().primary.as_ref() == id;
        let mut replica = None;
        wait_until("the node has a replica", || {
            replica = self.responding().find(is_replica).map(|(number, _)| number);
            replica.is_some()
        });
        replica.unwrap_or_default()
    }

    /// Returns the port of a node.
    #[must_use]
    pub fn port_of(&self, n: usize) -> u16 {
        self.nodes[n].server.port
    }

    /// Returns the slots that a node claims.
    #[must_use]
    pub fn slots_of(&self, n: usize) -> Vec<RangeInclusive<u16>> {
        self.nodes[n].own_view().slots
    }

    /// Returns the number of the node that owns a slot.
    ///
    /// # Panics
    ///
    /// Panics if no node that responds owns it.
    #[must_use]
    pub fn owner_of(&self, slot: u16) -> usize {
        let views = self.responding().map(|(n, node)| (n, node.own_view()));
        let owners = views.filter(|(_, view)| view.owns(slot));
        // A former primary still claims its slots until it learns of the failover.
        owners.max_by_key(|(_, view)| view.epoch).expect("no node owns the slot").0
    }

    /// Returns the slot of a key.
    #[must_use]
    pub fn slot_of(&self, key: &str) -> u16 {
        self.any().server.command(&["CLUSTER", "KEYSLOT", key])
    }

    /// Kills a node.
    pub fn kill(&mut self, n: usize) {
        self.note_slots(n);
        self.nodes[n].server.stop();
    }

    /// Starts a killed node again, on its ports.
    pub fn restart(&mut self, n: usize) {
        self.nodes[n].server.restart();
        self.nodes[n].responds = true;
    }

    /// Sends a signal to a node, such as `STOP` or `CONT`.
    pub fn signal(&mut self, n: usize, signal: &str) {
        if signal == "STOP" {
            self.note_slots(n);
        }
        self.nodes[n].server.signal(signal);
        self.nodes[n].responds = signal != "STOP";
    }

    fn note_slots(&mut self, n: usize) {
        let view = self.nodes[n].own_view();
        self.nodes[n].last_slot = view.first_slot().filter(|slot| view.owns(*slot));
        self.nodes[n].responds = false;
    }

    /// Cuts off the replicas of a primary until [`reconnect_replicas`](Self::reconnect_replicas).
    pub fn cut_off_replicas(&self, primary: usize) {
        let _: String = self.command_on(primary, &["ACL", "SETUSER", "watch", "off"]);
        let _: u64 = self.command_on(primary, &["CLIENT", "KILL", "USER", "watch"]);
    }

    /// Lets replicas connect to a primary again.
    pub fn reconnect_replicas(&self, primary: usize) {
        let _: String = self.command_on(primary, &["ACL", "SETUSER", "watch", "on"]);
    }

    /// Fails over without losses: the primary of this replica hands over its slots.
    ///
    /// # Panics
    ///
    /// Panics if the replica is not the primary within 120 seconds.
    pub fn fail_over(&self, replica: usize) {
        let (node, mut sent_at) = (&self.nodes[replica], None::<Instant>);
        wait_until("the replica takes over", || {
            // A failover that takes longer than 5 seconds is cancelled.
            if sent_at.is_none_or(|sent_at| sent_at.elapsed() > Duration::from_secs(6)) {
                let _: Result<String, _> = node.server.try_command(&["CLUSTER", "FAILOVER"]);
                sent_at = Some(Instant::now());
            }
            node.own_view().primary.is_none()
        });
    }

    /// Makes a replica the primary without the consent of its current primary. `how` is `FORCE`,
    /// which needs the votes of other primaries, or `TAKEOVER`.
    ///
    /// # Panics
    ///
    /// Panics if the replica is not the primary within 120 seconds.
    pub fn take_over(&self, replica: usize, how: &str) {
        let node = &self.nodes[replica];
        self.command_on::<String>(replica, &["CLUSTER", "FAILOVER", how]);
        wait_until("the replica takes over", || node.own_view().primary.is_none());
    }

    /// Waits until the nodes that respond agree that another node owns the slots of this killed or
    /// paused primary. Returns the number of that node.
    ///
    /// # Panics
    ///
    /// Panics after 120 seconds, and if the node owned no slots.
    pub fn wait_for_failover_of(&self, n: usize) -> usize {
        let slot = self.nodes[n].last_slot.expect("the node owned no slots");
        let (former, mut owner) = (&self.nodes[n].id, None);
        wait_until("a replica takes over", || {
            let views: Vec<_> = self.responding().map(|(_, node)| node.view()).collect();
            let mut owners = views.iter().map(|view| view.iter().find(|node| node.owns(slot)));
            let is_new = owners.all(|owner| owner.is_some_and(|owner| owner.id != *former));
            owner = is_new.then(|| self.owner_of(slot));
            is_new
        });
        owner.unwrap()
    }

    /// Waits until all nodes that respond have joined the Cluster, serve all slots, and receive the
    /// changes of their primaries.
    ///
    /// # Panics
    ///
    /// Panics after 120 seconds.
    pub fn wait_until_ok(&self) {
        let count = self.responding().count();
        wait_until("the Cluster is complete", || {
            self.responding().all(|(_, node)| node.is_ok(count))
        });
    }

    /// Returns the server of a node.
    #[must_use]
    pub fn server(&self, n: usize) -> &RedisServer {
        &self.nodes[n].server
    }

    /// Sends a command to one node.
    pub fn command_on<T: redis::FromRedisValue>(&self, n: usize, words: &[&str]) -> T {
        self.nodes[n].server.command(words)
    }

    /// Sends a command to one node.
    ///
    /// # Errors
    ///
    /// Returns the error of the node, or that of the connection.
    pub fn try_command_on<T: redis::FromRedisValue>(
        &self,
        n: usize,
        words: &[&str],
    ) -> redis::RedisResult<T> {
        self.nodes[n].server.try_command(words)
    }

    /// Returns the number of calls of a command on all nodes since the last `CONFIG RESETSTAT`.
    #[must_use]
    pub fn calls(&self, command: &str) -> u64 {
        self.responding().map(|(_, node)| node.server.calls(command)).sum()
    }

    pub(crate) fn node(&self, n: usize) -> &Node {
        &self.nodes[n]
    }

    /// Returns the nodes that are neither killed nor paused.
    pub(crate) fn responding(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.responds)
    }

    fn any(&self) -> &Node {
        self.responding().next().expect("no node responds").1
    }
}

fn start_nodes(count: usize, options: &[&str]) -> Vec<Node> {
    thread::scope(|scope| {
        let starting: Vec<_> = (0..count).map(|_| scope.spawn(|| Node::start(options))).collect();
        starting.into_iter().map(|node| node.join().unwrap()).collect()
    })
}

/// Gives each primary the same number of slots.
fn assign_slots(primaries: &[Node]) {
    let first = |n: usize| n * SLOTS / primaries.len();
    for (n, primary) in primaries.iter().enumerate() {
        let (first, last) = (first(n).to_string(), (first(n + 1) - 1).to_string());
        let _: String = primary.server.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
    }
}

/// Waits for a condition.
///
/// # Panics
///
/// Panics after 120 seconds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
