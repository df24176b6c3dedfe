//! Connection to the server: one for all requests of the process, replaced when it fails.
//!
//! redis-rs has a connection that reconnects. But it keeps a connection that is dead without a sign
//! (a firewall dropped it, the other machine lost its power) until the kernel gives up after a
//! quarter of an hour, and it waits a minute between two attempts.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    PushInfo, RedisError, ServerErrorKind, aio::MultiplexedConnection,
};

use super::{cache::Cache, error::RedisConnectError};

/// How long the start of an application waits for its server.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one attempt to reconnect may take, however short the timeout of requests: a handshake
/// takes several round trips.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How much later an attempt to connect is taken for dead.
const GRACE: Duration = Duration::from_millis(100);

/// The pause between two attempts while a server reads its file.
const LOADING_PAUSE: Duration = Duration::from_millis(100);

/// A connection and its number, counted from the first.
#[derive(Clone)]
pub(super) struct NumberedConnection {
    pub(super) number: u64,
    pub(super) connection: MultiplexedConnection,
}

/// The connection to a server.
pub(super) struct Connection {
    client: Client,
    state: Mutex<ConnectionState>,
    /// What the server keeps true over this connection.
    pub(super) cache: Option<Arc<Cache>>,
}

#[derive(Default)]
struct ConnectionState {
    current: Option<NumberedConnection>,
    opened: u64,
    /// Held while connecting: of many requests only one connects.
    connecting: Arc<tokio::sync::Mutex<()>>,
    /// When the attempt to connect must be complete.
    deadline: Option<Instant>,
}

impl ConnectionState {
    /// Returns how long one attempt to connect may take.
    fn connect_timeout(&self) -> Duration {
        if self.opened == 0 { START_TIMEOUT } else { RECONNECT_TIMEOUT }
    }

    /// Returns what to hold while connecting. A runtime that is no longer polled, such as that of a
    /// job that is complete, does not release what its tasks hold: then it is replaced.
    fn connecting(&mut self) -> Arc<tokio::sync::Mutex<()>> {
        if self.deadline.is_some_and(|deadline| deadline < Instant::now()) {
            (self.connecting, self.deadline) = <_>::default();
        }
        Arc::clone(&self.connecting)
    }
}

impl Connection {
    pub(super) async fn open(
        url: &str,
        cache: Option<Arc<Cache>>,
    ) -> Result<Arc<Self>, RedisConnectError> {
        let mut info =
            url.into_connection_info().map_err(|error| RedisConnectError::Url(error.into()))?;
        if cache.is_some() {
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            info = info.set_redis_settings(settings);
        }
        let client = Client::open(info).map_err(|error| RedisConnectError::Url(error.into()))?;
        let connection = Arc::new(Self { client, state: Mutex::default(), cache });
        let server = connection.address();
        match tokio::time::timeout(START_TIMEOUT, connection.check_when_loaded()).await {
            Ok(Ok(())) => Ok(connection),
            Ok(Err(source)) => Err(RedisConnectError::Server { server, source: source.into() }),
            Err(_) => Err(RedisConnectError::Silent { server }),
        }
    }

    /// Checks the server. One that has just been started may still read its file.
    async fn check_when_loaded(self: &Arc<Self>) -> Result<(), RedisError> {
        let began = Instant::now();
        loop {
            let checked = self.check().await;
            let loading = |error: &RedisError| {
                error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading)
            };
            let is_late = began.elapsed() > START_TIMEOUT - LOADING_PAUSE * 2;
            // Late, the error of the server says more than a timeout.
            if !checked.as_ref().is_err_and(loading) || is_late {
                return checked;
            }
            tokio::time::sleep(LOADING_PAUSE).await;
        }
    }

    /// Checks that the server accepts commands, and warns if it may delete active sessions.
    async fn check(self: &Arc<Self>) -> Result<(), RedisError> {
        let mut connection = self.live().await?.connection;
        redis::cmd("PING").exec_async(&mut connection).await?;
        let memory = redis::cmd("INFO").arg("memory").query_async::<String>(&mut connection).await;
        let memory = memory.unwrap_or_default();
        if may_evict_keys(&memory) {
            tracing::warn!(
                server = self.address(),
                "Redis deletes active sessions when its memory is full; set \
                 `maxmemory-policy noeviction`"
            );
        }
        Ok(())
    }

    /// Returns the address of the server, without user and password.
    pub(super) fn address(&self) -> String {
        let info = self.client.get_connection_info();
        let (address, database) = (info.addr(), info.redis_settings().db());
        match address {
            ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
            ConnectionAddr::TcpTls { .. } => format!("rediss://{address}/{database}"),
            _ => format!("redis://{address}/{database}"),
        }
    }

    /// Returns the connection, after connecting if there is none. The task that connects continues
    /// for the next request when this one has timed out.
    pub(super) async fn live(self: &Arc<Self>) -> Result<NumberedConnection, RedisError> {
        match self.current() {
            Some(current) => Ok(current),
            // Boxed, as what is rare must not make the future of every request larger.
            None => Box::pin(self.wait_for_connection()).await,
        }
    }

    async fn wait_for_connection(self: &Arc<Self>) -> Result<NumberedConnection, RedisError> {
        let connecting = self.state().connecting();
        let guard = connecting.lock_owned().await;
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let timeout = self.begin_connecting();
        let this = Arc::clone(self);
        let task = tokio::spawn(async move {
            let connected = this.replace(timeout).await;
            drop(guard);
            connected
        });
        task.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped).into()))
    }

    fn begin_connecting(&self) -> Duration {
        let mut state = self.state();
        let timeout = state.connect_timeout();
        state.deadline = Some(Instant::now() + timeout + GRACE);
        timeout
    }

    async fn replace(&self, timeout: Duration) -> Result<NumberedConnection, RedisError> {
        let connected = tokio::time::timeout(timeout, self.connect()).await;
        let connection =
            connected.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?;
        let mut state = self.state();
        state.opened += 1;
        let current = NumberedConnection { number: state.opened, connection };
        (state.current, state.deadline) = (Some(current.clone()), None);
        Ok(current)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new();
        let Some(cache) = &self.cache else {
            return self.client.get_multiplexed_async_connection_with_config(&config).await;
        };
        let receiver = Arc::clone(cache);
        let receive = move |message: PushInfo| {
            receiver.receive(&message);
            Ok::<_, redis::aio::SendError>(())
        };
        let config = config.set_push_sender(receive);
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await?;
        // The server no longer tracks what the former connection has read.
        cache.clear();
        Ok(connection)
    }

    fn current(&self) -> Option<NumberedConnection> {
        self.state().current.clone()
    }

    /// Returns the number of the last connection.
    pub(super) fn number(&self) -> u64 {
        self.state().opened
    }

    /// Discards a connection that has failed.
    pub(super) fn discard(&self, number: u64) {
        let mut state = self.state();
        state.current = state.current.take().filter(|current| current.number != number);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `true` if the server deletes keys when its memory is full, by its `INFO memory`.
fn may_evict_keys(memory: &str) -> bool {
    let has_line = |expected: &str| memory.lines().any(|line| line == expected);
    memory.contains("maxmemory_policy:")
        && !has_line("maxmemory_policy:noeviction")
        && !has_line("maxmemory:0")
}

#[cfg(test)]
mod tests {
    use super::may_evict_keys;

    #[test]
    fn server_with_limited_memory_may_evict_keys() {
        for (memory, expected) in [
            ("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", false),
            ("maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n", true),
            ("maxmemory:100\r\nmaxmemory_policy:noeviction\r\n", false),
            ("", false),
        ] {
            assert_eq!(may_evict_keys(memory), expected, "{memory}");
        }
    }
}
