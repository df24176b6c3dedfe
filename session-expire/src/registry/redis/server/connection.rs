//! Connection to the server: one for all requests of the process, replaced after a failure.
//!
//! `ConnectionManager` of redis-rs does not suffice:
//!
//! - It does not leave a primary that has become a replica.
//! - After a silent failure, such as a power failure of the server, it waits up to 15 minutes for
//!   the kernel. Then it waits a minute between two attempts.
//! - It runs on the event loop of the worker that connects.

use std::{
    io, iter,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64},
    },
    time::{Duration, Instant},
};

use redis::RedisError;
use tokio::sync::watch;

use super::{
    channel::Channel,
    check::read_replication_id,
    clock::ServerClock,
    cluster::Cluster,
    connect::install_crypto_provider,
    io_thread::IoThread,
    retry::PAUSE,
    servers::{Link, Servers},
};
use crate::registry::redis::{cache::Cache, error::RedisConnectError};

/// Timeout of operations unless the application sets another one.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);

/// Time to wait for the server when an application starts.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time of one attempt to reconnect. It does not depend on the timeout of operations,
/// because a handshake takes several round trips.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Connection with its number, counted from 1.
#[derive(Clone)]
pub(crate) struct NumberedConnection {
    pub(crate) number: u64,
    pub(crate) link: Link,
    opened_at: Instant,
    /// Number of primaries that Sentinel had named when the connection was opened.
    pub(crate) primary: u64,
}

/// Outcome of an attempt to connect.
type Connected = Result<NumberedConnection, RedisError>;

/// Connection to a server, which reconnects.
pub(crate) struct Connection {
    pub(super) servers: Servers,
    io: Arc<IoThread>,
    state: Mutex<ConnectionState>,
    /// Cache that the server invalidates over this connection.
    pub(crate) cache: Option<Arc<Cache>>,
    /// Channel to which this connection subscribes.
    pub(super) channel: Option<Arc<Channel>>,
    /// Replication id of the server in the most recent `INFO`; `None` for a replica.
    replication_id: Mutex<Option<String>>,
    /// How many replicas must acknowledge a login or an end.
    pub(crate) replicas: AtomicU32,
    /// Second connection, for acknowledged scripts.
    pub(crate) acknowledging: OnceLock<Arc<Self>>,
    /// Number of the connection whose last change was acknowledged; 0 if it was not.
    pub(crate) acknowledged_on: AtomicU64,
    pub(crate) clock: ServerClock,
}

#[derive(Default)]
struct ConnectionState {
    current: Option<NumberedConnection>,
    /// Number of connections so far.
    opened: u64,
    /// Receives the outcome of the most recent attempt to connect.
    attempt: Option<watch::Receiver<Option<Connected>>>,
}

impl Connection {
    pub(crate) async fn open(
        servers: Servers,
        cache: Option<Arc<Cache>>,
    ) -> Result<Arc<Self>, RedisConnectError> {
        if servers.uses_tls() {
            install_crypto_provider();
        }
        let io = Arc::new(IoThread::start().map_err(RedisConnectError::Thread)?);
        let connection = Arc::new(Self::new(servers, io, cache));
        connection.check_server().await?;
        Ok(connection)
    }

    fn new(servers: Servers, io: Arc<IoThread>, cache: Option<Arc<Cache>>) -> Self {
        Self {
            servers,
            io,
            state: <_>::default(),
            cache,
            channel: None,
            replication_id: <_>::default(),
            replicas: <_>::default(),
            acknowledging: <_>::default(),
            acknowledged_on: <_>::default(),
            clock: <_>::default(),
        }
    }

    /// Runs a task on the thread of the connection.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.io.spawn(task);
    }

    /// Returns another connection to the same servers.
    pub(crate) fn second(&self) -> Self {
        Self::new(self.servers.clone(), Arc::clone(&self.io), None)
    }

    /// Returns another connection to the same server, which subscribes to a channel.
    pub(crate) fn subscribing(&self, channel: Arc<Channel>) -> Self {
        Self { channel: Some(channel), ..self.second() }
    }

    pub(crate) fn database(&self) -> i64 {
        self.servers.database()
    }

    /// Returns the address of the servers, without user and password.
    pub(crate) fn address(&self) -> String {
        self.servers.address()
    }

    /// Returns the nodes of the Cluster; `None` for other servers.
    pub(crate) fn cluster(&self) -> Option<&Arc<Cluster>> {
        match &self.servers {
            Servers::Cluster(cluster) => Some(cluster),
            _ => None,
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.servers.is_cluster()
    }

    /// Sets the timeout of operations. Connections to a Cluster depend on it, and are opened again.
    pub(crate) fn set_timeout(&self, timeout: Duration) {
        if let Servers::Cluster(cluster) = &self.servers
            && cluster.set_timeout(timeout)
        {
            let acknowledging = self.acknowledging.get().map(Arc::as_ref);
            for connection in iter::once(self).chain(acknowledging) {
                connection.discard(connection.number());
            }
        }
    }

    /// Returns the connection, and connects if there is none.
    ///
    /// # Cancel safety
    ///
    /// If a request is dropped, the task that connects continues for the next request.
    pub(crate) async fn get_or_connect(self: &Arc<Self>) -> Connected {
        match self.current() {
            Some(current) => Ok(current),
            // Boxed, because a rare case must not make the future of every request larger.
            None => Box::pin(self.wait_for_connection()).await,
        }
    }

    async fn wait_for_connection(self: &Arc<Self>) -> Connected {
        let mut attempt = self.attempt();
        let outcome = attempt.wait_for(Option::is_some).await;
        match outcome.as_deref() {
            Ok(Some(connected)) => connected.clone(),
            _ => Err(io::Error::other("the attempt to connect was aborted").into()),
        }
    }

    /// Returns the attempt that is under way, or starts one.
    fn attempt(self: &Arc<Self>) -> watch::Receiver<Option<Connected>> {
        let mut state = self.state();
        let is_under_way = |attempt: &&watch::Receiver<_>| attempt.has_changed().is_ok();
        if let Some(attempt) = state.attempt.as_ref().filter(is_under_way) {
            return attempt.clone();
        }
        self.leave_former_primary(&mut state);
        let (sender, attempt) = watch::channel(state.current.clone().map(Ok));
        if state.current.is_none() {
            state.attempt = Some(attempt.clone());
            let this = Arc::clone(self);
            self.io.spawn(async move { _ = sender.send_replace(Some(this.replace().await)) });
        }
        attempt
    }

    async fn replace(&self) -> Connected {
        let is_patient = self.number() == 0 || self.is_cluster();
        let timeout = if is_patient { START_TIMEOUT } else { RECONNECT_TIMEOUT };
        let connected = tokio::time::timeout(timeout, self.find_and_connect()).await;
        let (link, primary) =
            connected.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?;
        let mut state = self.state();
        state.opened += 1;
        let (number, opened_at) = (state.opened, Instant::now());
        let current = NumberedConnection { number, link, opened_at, primary };
        state.current = Some(current.clone());
        Ok(current)
    }

    async fn find_and_connect(&self) -> Result<(Link, u64), RedisError> {
        let primary = self.servers.find_primary().await?;
        Ok((self.connect().await?, primary))
    }

    fn current(&self) -> Option<NumberedConnection> {
        let mut state = self.state();
        self.leave_former_primary(&mut state);
        state.current.clone()
    }

    /// Discards the connection if Sentinel has named another primary since then. The former primary
    /// may still respond, even to writes that the new primary never receives.
    fn leave_former_primary(&self, state: &mut ConnectionState) {
        let number = self.servers.primary_number();
        state.current = state.current.take().filter(|current| current.primary == number);
    }

    /// Returns `true` if the connection with this number has not been discarded.
    pub(crate) fn is_connected_as(&self, number: u64) -> bool {
        self.current().is_some_and(|current| current.number == number)
    }

    /// Returns the replication id of the server in the most recent `INFO`; `None` for a replica.
    pub(crate) fn replication_id(&self) -> Option<String> {
        self.replication_id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stores the replication id in a response to `INFO`.
    pub(crate) fn set_replication_id(&self, info: &str) {
        *self.replication_id.lock().unwrap_or_else(PoisonError::into_inner) =
            read_replication_id(info);
    }

    /// Returns the number of the newest connection.
    pub(crate) fn number(&self) -> u64 {
        self.state().opened
    }

    /// Discards the failed connection with this number.
    pub(crate) fn discard(&self, number: u64) {
        let mut state = self.state();
        state.current = state.current.take().filter(|current| current.number != number);
    }

    /// Discards the connection with this number, which leads to a replica. A connection younger
    /// than [`PAUSE`] stays: without a primary, every command would replace it.
    pub(crate) fn discard_replica(&self, number: u64) {
        let is_new = |current: &NumberedConnection| current.opened_at.elapsed() < PAUSE;
        if !self.current().as_ref().is_some_and(is_new) {
            self.discard(number);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
