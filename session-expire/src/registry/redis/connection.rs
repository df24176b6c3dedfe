//! The connection to the server: one for all requests of the process, replaced when it fails.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, PushInfo, RedisError, Value, aio::MultiplexedConnection,
};

use super::{
    cache::Cache,
    error::{OperationError, RedisConnectError},
    script::Script,
};

/// How long the start of an application waits for its server.
const START: Duration = Duration::from_secs(5);

/// How long one attempt to connect again may take, however little time requests have: handshakes take
/// several round trips.
const AGAIN: Duration = Duration::from_secs(1);

/// How much later than that an attempt is taken for dead.
const GRACE: Duration = Duration::from_millis(100);

/// How often a server that is not ready yet is asked again.
const LOADING_PAUSE: Duration = Duration::from_millis(100);

/// The one connection, and which it is, counted from the first.
#[derive(Clone)]
struct NumberedConnection {
    number: u64,
    connection: MultiplexedConnection,
}

/// redis-rs has a connection that reconnects, but it keeps one that is dead without saying so (a
/// firewall forgot it, the other machine lost its power) until the kernel gives up after a quarter of
/// an hour, and it waits a minute between two attempts.
pub(super) struct Connection {
    client: Client,
    live: Mutex<ConnectionState>,
    /// What the server keeps true over this connection.
    pub(super) cache: Option<Arc<Cache>>,
}

#[derive(Default)]
struct ConnectionState {
    live: Option<NumberedConnection>,
    opened: u64,
    /// Held while connecting, so that of many requests only one does.
    connecting: Arc<tokio::sync::Mutex<()>>,
    /// When whoever connects must have done.
    until: Option<Instant>,
}

impl ConnectionState {
    /// How long one attempt to connect may take.
    fn patience(&self) -> Duration {
        if self.opened == 0 { START } else { AGAIN }
    }

    /// What to hold while connecting. A runtime that nobody drives any more, such as that of a job which
    /// has done its work, does not give back what its tasks hold: then it is replaced.
    fn connecting(&mut self) -> Arc<tokio::sync::Mutex<()>> {
        if self.until.is_some_and(|until| until < Instant::now()) {
            (self.connecting, self.until) = <_>::default();
        }
        Arc::clone(&self.connecting)
    }
}

impl Connection {
    pub(super) async fn open(
        url: &str,
        cache: Option<Arc<Cache>>,
    ) -> Result<Arc<Self>, RedisConnectError> {
        let mut info = url.into_connection_info().map_err(RedisConnectError::Url)?;
        if cache.is_some() {
            info.redis.protocol = ProtocolVersion::RESP3;
        }
        let client = Client::open(info).map_err(RedisConnectError::Url)?;
        let link = Arc::new(Self { client, live: Mutex::default(), cache });
        let server = link.address();
        match tokio::time::timeout(START, link.greet_when_loaded()).await {
            Ok(Ok(())) => Ok(link),
            Ok(Err(source)) => Err(RedisConnectError::Operations { server, source }),
            Err(_) => Err(RedisConnectError::Silent { server }),
        }
    }

    /// A server that has just been started may still be reading its file.
    async fn greet_when_loaded(self: &Arc<Self>) -> Result<(), RedisError> {
        let began = Instant::now();
        loop {
            let greeted = self.greet().await;
            let loading = |error: &RedisError| error.kind() == ErrorKind::BusyLoadingError;
            // Says so itself when there is no time left.
            if !greeted.as_ref().is_err_and(loading) || began.elapsed() > START - LOADING_PAUSE * 2
            {
                return greeted;
            }
            tokio::time::sleep(LOADING_PAUSE).await;
        }
    }

    /// Whether the server would serve us; and says in the log if it may throw sessions away.
    async fn greet(self: &Arc<Self>) -> Result<(), RedisError> {
        let mut connection = self.live().await?.connection;
        redis::cmd("PING").exec_async(&mut connection).await?;
        let memory = redis::cmd("INFO").arg("memory").query_async::<String>(&mut connection).await;
        let memory = memory.unwrap_or_default();
        let says = |line: &str| memory.lines().any(|said| said == line);
        if memory.contains("maxmemory_policy:")
            && !says("maxmemory_policy:noeviction")
            && !says("maxmemory:0")
        {
            tracing::warn!(
                server = self.address(),
                "Redis throws keys away when its memory is full, which signs people out: set \
                 `maxmemory-policy noeviction`"
            );
        }
        Ok(())
    }

    /// The server's address, without user and password.
    pub(super) fn address(&self) -> String {
        let info = self.client.get_connection_info();
        match &info.addr {
            ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
            ConnectionAddr::Tcp(..) => format!("redis://{}/{}", info.addr, info.redis.db),
            ConnectionAddr::TcpTls { .. } => format!("rediss://{}/{}", info.addr, info.redis.db),
        }
    }

    /// Runs a script; by its name, if the server knows it by now. One that has to be sent twice gets the
    /// word `again` the second time: the first may have done the work, and only its answer was lost.
    pub(super) async fn run(
        self: &Arc<Self>,
        script: &Script,
        keys: &[String],
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Value, OperationError> {
        let command = |verb, what: &str, again: bool| {
            let mut command = redis::cmd(verb);
            command.arg(what).arg(keys.len()).arg(keys).arg(arguments);
            command.arg(again.then_some("again"));
            command
        };
        // Also true of a server that has lost the script since.
        let tried = AtomicBool::new(false);
        let by_name = |again| {
            tried.fetch_or(again, Ordering::Relaxed);
            command("EVALSHA", &script.hash, again)
        };
        let whole = |again| command("EVAL", &script.code, again || tried.load(Ordering::Relaxed));
        let work = async {
            match self.send(by_name, limit).await {
                Err(error) if error.kind() == ErrorKind::NoScriptError => {
                    self.send(whole, limit).await
                }
                answer => answer,
            }
        };
        self.within(limit, work).await
    }

    /// Sends a command that may run twice.
    pub(super) async fn ask(
        self: &Arc<Self>,
        command: &Cmd,
        limit: Duration,
    ) -> Result<Value, OperationError> {
        self.within(limit, self.send(|_| command.clone(), limit)).await
    }

    async fn within(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<Value, RedisError>>,
    ) -> Result<Value, OperationError> {
        let number = self.state().opened;
        match tokio::time::timeout(limit, work).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                // It may be dead without saying so.
                self.forget(number);
                Err(OperationError::Slow(limit))
            }
        }
    }

    /// A connection that was closed since the last request is noticed only now, so one that fails is
    /// replaced once. So is one that says nothing for half of the limit: redis-rs leaves a request
    /// without any answer that was written just after the other side had closed.
    async fn send(
        self: &Arc<Self>,
        command: impl Fn(bool) -> Cmd,
        limit: Duration,
    ) -> Result<Value, RedisError> {
        let number = self.state().opened;
        match tokio::time::timeout(limit / 2, self.send_once(&command(false))).await {
            Ok(Err(error)) if error.is_unrecoverable_error() && !error.is_connection_refusal() => {}
            Ok(answer) => return answer,
            Err(_) => self.forget(number),
        }
        self.send_once(&command(true)).await
    }

    async fn send_once(self: &Arc<Self>, command: &Cmd) -> Result<Value, RedisError> {
        let NumberedConnection { number, mut connection } = self.live().await?;
        let answer = connection.send_packed_command(command).await;
        if let Err(error) = &answer {
            // A primary that became a replica is no longer the one behind its name.
            if error.is_unrecoverable_error() || error.kind() == ErrorKind::ReadOnly {
                self.forget(number);
            }
        }
        answer.and_then(Value::extract_error)
    }

    /// The connection, after connecting if there is none; in a task of its own, which goes on for those
    /// who come next when the time of this request is over.
    async fn live(self: &Arc<Self>) -> Result<NumberedConnection, RedisError> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let connecting = self.state().connecting();
        let alone = connecting.lock_owned().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let patience = self.will_connect();
        let link = Arc::clone(self);
        let task = tokio::spawn(async move {
            let live = link.replace(patience).await;
            drop(alone);
            live
        });
        task.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped).into()))
    }

    fn will_connect(&self) -> Duration {
        let mut state = self.state();
        let patience = state.patience();
        state.until = Some(Instant::now() + patience + GRACE);
        patience
    }

    async fn replace(&self, patience: Duration) -> Result<NumberedConnection, RedisError> {
        let connected = tokio::time::timeout(patience, self.connect()).await;
        let connection =
            connected.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?;
        let mut state = self.state();
        state.opened += 1;
        let live = NumberedConnection { number: state.opened, connection };
        (state.live, state.until) = (Some(live.clone()), None);
        Ok(live)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new();
        let Some(cache) = &self.cache else {
            return self.client.get_multiplexed_async_connection_with_config(&config).await;
        };
        let listener = Arc::clone(cache);
        let hear = move |message: PushInfo| {
            listener.receive(&message);
            Ok::<_, redis::aio::SendError>(())
        };
        let config = config.set_push_sender(hear);
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await?;
        // What the connection before has read is no longer watched.
        cache.clear();
        Ok(connection)
    }

    fn current(&self) -> Option<NumberedConnection> {
        self.state().live.clone()
    }

    fn forget(&self, number: u64) {
        let mut state = self.state();
        if state.live.as_ref().is_some_and(|live| live.number == number) {
            state.live = None;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ConnectionState> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
