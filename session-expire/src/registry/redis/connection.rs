//! Connection to the server: one for all requests of the process, replaced after a failure.
//!
//! The reconnecting connection of redis-rs is not used. After a silent failure, such as a power
//! failure of the server, it waits up to 15 minutes for the kernel. It then waits a minute between
//! two attempts.

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

/// Time to wait for the server when an application starts.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time of one attempt to reconnect. It does not depend on the timeout of operations,
/// because a handshake takes several round trips.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after the timeout of a connection attempt the next request starts another.
const GRACE: Duration = Duration::from_millis(100);

/// Pause between two checks while a server loads its file.
const LOADING_PAUSE: Duration = Duration::from_millis(100);

/// Connection with its number, counted from 1.
#[derive(Clone)]
pub(super) struct NumberedConnection {
    pub(super) number: u64,
    pub(super) connection: MultiplexedConnection,
}

/// Connection to a server, which reconnects.
pub(super) struct Connection {
    client: Client,
    state: Mutex<ConnectionState>,
    /// Cache that the server invalidates over this connection.
    pub(super) cache: Option<Arc<Cache>>,
}

#[derive(Default)]
struct ConnectionState {
    current: Option<NumberedConnection>,
    /// Number of connections so far.
    opened: u64,
    /// Locked by the one request that connects.
    connect_lock: Arc<tokio::sync::Mutex<()>>,
    /// Time at which the attempt to connect must be complete.
    deadline: Option<Instant>,
}

impl ConnectionState {
    fn connect_timeout(&self) -> Duration {
        if self.opened == 0 { START_TIMEOUT } else { RECONNECT_TIMEOUT }
    }

    /// Returns the lock for connecting. It is replaced after the deadline: if the runtime of the
    /// request that connects is no longer polled, that request never releases its lock.
    fn connect_lock(&mut self) -> Arc<tokio::sync::Mutex<()>> {
        if self.deadline.is_some_and(|deadline| deadline < Instant::now()) {
            (self.connect_lock, self.deadline) = <_>::default();
        }
        Arc::clone(&self.connect_lock)
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
            Err(_) => Err(RedisConnectError::NoResponse { server }),
        }
    }

    /// Checks the server, and waits while it loads its file after a start.
    async fn check_when_loaded(self: &Arc<Self>) -> Result<(), RedisError> {
        let started = Instant::now();
        loop {
            let checked = self.check().await;
            let is_loading = |error: &RedisError| {
                error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading)
            };
            let is_last = started.elapsed() > START_TIMEOUT - LOADING_PAUSE * 2;
            // The last attempt returns the server's error, which is clearer than a timeout.
            if !checked.as_ref().is_err_and(is_loading) || is_last {
                return checked;
            }
            tokio::time::sleep(LOADING_PAUSE).await;
        }
    }

    /// Checks that the server accepts commands. Logs a warning if it may evict keys.
    async fn check(self: &Arc<Self>) -> Result<(), RedisError> {
        let mut connection = self.get_or_connect().await?.connection;
        redis::cmd("PING").exec_async(&mut connection).await?;
        let memory = redis::cmd("INFO").arg("memory").query_async::<String>(&mut connection).await;
        let memory = memory.unwrap_or_default();
        if may_evict_keys(&memory) {
            tracing::warn!(
                event = "sys_redis_may_evict",
                server = self.address(),
                "Redis may evict active sessions; set `maxmemory-policy noeviction`"
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

    /// Returns the connection, and connects if there is none.
    ///
    /// # Cancel safety
    ///
    /// If a request is dropped, the task that connects continues for the next request.
    pub(super) async fn get_or_connect(self: &Arc<Self>) -> Result<NumberedConnection, RedisError> {
        match self.current() {
            Some(current) => Ok(current),
            // Boxed, because a rare case must not make the future of every request larger.
            None => Box::pin(self.wait_for_connection()).await,
        }
    }

    async fn wait_for_connection(self: &Arc<Self>) -> Result<NumberedConnection, RedisError> {
        let lock = self.state().connect_lock();
        let guard = lock.lock_owned().await;
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
        // The defaults of redis-rs are shorter than `START_TIMEOUT` and than long operation
        // timeouts.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
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
        // The server does not track the keys that the previous connection has read.
        cache.clear();
        Ok(connection)
    }

    fn current(&self) -> Option<NumberedConnection> {
        self.state().current.clone()
    }

    /// Returns the number of the newest connection.
    pub(super) fn number(&self) -> u64 {
        self.state().opened
    }

    /// Discards the failed connection with this number.
    pub(super) fn discard(&self, number: u64) {
        let mut state = self.state();
        state.current = state.current.take().filter(|current| current.number != number);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `true` if the server deletes keys when its memory is full, according to `INFO memory`.
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
