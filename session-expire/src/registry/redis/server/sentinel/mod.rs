//! Sentinels, which name the primary.
//!
//! The registry asks all of them at the same time, and uses the newest answer: the one with the
//! highest configuration epoch. Every failover has an epoch of its own. A Sentinel that has been
//! cut off therefore does not lead the registry back to a former primary.

mod error;
mod one;
mod primary;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use redis::{
    AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection, sentinel::SentinelClient,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout, timeout_at},
};

pub(crate) use self::error::{SentinelFailure, is_temporary};
use self::{
    one::Sentinel,
    primary::{KnownPrimary, Primary},
};
use super::servers::with_messages;

/// Maximum time in which a Sentinel must answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long other answers are awaited after an answer: of a minority or a majority with an old view,
/// or of another majority.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(10));

/// Pause between two questions while the registry connects to a primary.
const INTERVAL: Duration = Duration::from_millis(100);

/// Sentinels of one primary.
pub(crate) struct Sentinels {
    name: String,
    sentinels: Vec<Arc<Sentinel>>,
    uses_tls: bool,
    /// Database of the most recent primary.
    database: AtomicI64,
    known: KnownPrimary,
    /// Number of primaries so far.
    number: watch::Sender<u64>,
    /// Notified when a Sentinel reports a failover.
    failover: Arc<Notify>,
}

impl Sentinels {
    /// Returns the Sentinels of the clients, with their addresses if these are known.
    pub(crate) fn new(
        name: &str,
        clients: Vec<(SentinelClient, Option<String>)>,
        uses_tls: bool,
    ) -> Self {
        let failover = Arc::<Notify>::default();
        let sentinel = |(client, address)| Arc::new(Sentinel::new(client, address, &failover));
        Self {
            name: name.to_owned(),
            sentinels: clients.into_iter().map(sentinel).collect(),
            uses_tls,
            database: AtomicI64::default(),
            known: KnownPrimary::default(),
            number: watch::Sender::default(),
            failover,
        }
    }

    pub(crate) fn database(&self) -> i64 {
        self.database.load(Ordering::Relaxed)
    }

    /// Returns the known addresses of the Sentinels, without user and password.
    pub(crate) fn address(&self) -> String {
        let addresses = self.sentinels.iter().map(|sentinel| sentinel.address.get());
        let addresses: Vec<_> = addresses.flatten().map(String::as_str).collect();
        if addresses.is_empty() {
            return format!("the addresses of the clients for {}", self.name);
        }
        format!("redis+sentinel://{}/{}", addresses.join(","), self.name)
    }

    pub(crate) fn uses_tls(&self) -> bool {
        self.uses_tls
    }

    /// Returns the number of primaries so far. A connection that was opened under another number
    /// leads to a former primary.
    pub(crate) fn number(&self) -> u64 {
        *self.number.borrow()
    }

    /// Waits until the number of primaries differs from this one.
    pub(crate) async fn wait_for_other_than(&self, number: u64) {
        let _ = self.number.subscribe().wait_for(|current| *current != number).await;
    }

    /// Waits until a Sentinel reports a failover, at most this long.
    pub(crate) async fn wait(&self, longest: Duration) {
        let _ = timeout(longest, self.failover.notified()).await;
    }

    /// Asks for the primary. Connections to another one count as former from now on.
    pub(crate) async fn ask(&self) -> Result<Primary, RedisError> {
        let (answers, failure) = self.answers().await;
        let Some(newest) = primary::newest(&answers, self.sentinels.len()) else {
            return Err(failure.unwrap_or_else(SentinelFailure::no_response));
        };
        let (primary, is_new) = self.known.update(newest);
        if is_new {
            self.number.send_modify(|number| *number += 1);
        }
        Ok(primary)
    }

    /// Asks all Sentinels, and returns their answers and the clearest error.
    async fn answers(&self) -> (Vec<Primary>, Option<RedisError>) {
        let (mut answers, mut failure) = (vec![], None);
        let mut asked: FuturesUnordered<_> =
            self.sentinels.iter().map(|sentinel| sentinel.ask(&self.name)).collect();
        let mut end = Instant::now() + ASK_TIMEOUT;
        while let Ok(Some(answer)) = timeout_at(end, asked.next()).await {
            match answer {
                Ok(primary) => {
                    answers.push(primary);
                    let is_majority = 2 * answers.len() > self.sentinels.len();
                    let is_settled = is_majority && self.known.is_reached_by(&answers);
                    let patience = if is_settled { PATIENCE.1 } else { PATIENCE.0 };
                    end = end.min(Instant::now() + patience);
                }
                Err(error) => failure = Some(SentinelFailure::clearer(failure, error)),
            }
        }
        (answers, failure)
    }

    /// Connects to the newest primary. With `has_messages`, the server may send messages (RESP3).
    pub(super) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
        has_messages: bool,
    ) -> Result<MultiplexedConnection, RedisError> {
        let Some(primary) = self.known.get() else { return Err(SentinelFailure::no_primary()) };
        let connecting = pin!(self.connect_to(&primary, config, has_messages));
        // A server that does not respond must not delay the connection to its successor.
        match select(connecting, pin!(self.wait_for_another(&primary))).await {
            Either::Left((connected, _)) => connected,
            Either::Right(_) => Err(SentinelFailure::no_primary()),
        }
    }

    async fn connect_to(
        &self,
        primary: &Primary,
        config: &AsyncConnectionConfig,
        has_messages: bool,
    ) -> Result<MultiplexedConnection, RedisError> {
        let client = self.client_of(primary).await?;
        let database = client.get_connection_info().redis_settings().db();
        self.database.store(database, Ordering::Relaxed);
        let client = if has_messages { with_messages(&client)? } else { client };
        client.get_multiplexed_async_connection_with_config(config).await
    }

    /// Returns the client of a Sentinel that names this primary and has checked it.
    async fn client_of(&self, primary: &Primary) -> Result<Client, RedisError> {
        let mut found: FuturesUnordered<_> =
            self.sentinels.iter().map(|sentinel| sentinel.client_of(primary)).collect();
        let mut temporary = SentinelFailure::no_primary();
        while let Some(client) = found.next().await {
            match client {
                Err(error) if SentinelFailure::is_temporary_error(&error) => temporary = error,
                client => return client,
            }
        }
        Err(temporary)
    }

    async fn wait_for_another(&self, primary: &Primary) {
        loop {
            self.wait(INTERVAL).await;
            if self.ask().await.is_ok_and(|other| !other.has_address_of(primary)) {
                return;
            }
        }
    }
}
