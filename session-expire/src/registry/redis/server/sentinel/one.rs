//! One Sentinel, with its open connection.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, PushInfo, PushKind, RedisError,
    Value, aio::MultiplexedConnection, sentinel::SentinelClient,
};
use tokio::{sync::Notify, time::timeout};

use super::{ASK_TIMEOUT, error::SentinelFailure, primary::Primary};
use crate::registry::redis::server::servers::with_messages;

/// Channels of failovers: a Sentinel has promoted a replica, or has learned of a promotion.
const CHANNELS: [&str; 2] = ["+promoted-slave", "+switch-master"];

pub(super) struct Sentinel {
    client: tokio::sync::Mutex<SentinelClient>,
    /// Address, if it is known. A client does not reveal it before it has connected.
    pub(super) address: OnceLock<String>,
    connection: Mutex<Option<MultiplexedConnection>>,
    failover: Arc<Notify>,
}

impl Sentinel {
    /// Returns the Sentinel of a client. `failover` is notified of a failover.
    pub(super) fn new(
        client: SentinelClient,
        address: Option<String>,
        failover: &Arc<Notify>,
    ) -> Self {
        Self {
            client: client.into(),
            address: address.map_or_else(OnceLock::new, OnceLock::from),
            connection: Mutex::default(),
            failover: Arc::clone(failover),
        }
    }

    /// Returns a client of `primary` if the Sentinel names it. redis-rs checks the role of the
    /// server.
    pub(super) async fn client_of(&self, primary: &Primary) -> Result<Client, RedisError> {
        let client = match self.client.lock().await.async_get_client().await {
            Err(error) if error.kind() == ErrorKind::MasterNameNotFoundBySentinel => {
                return Err(SentinelFailure::no_primary());
            }
            client => client?,
        };
        match client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }
                if (host, *port) == (&primary.host, primary.port) =>
            {
                Ok(client)
            }
            _ => Err(SentinelFailure::no_primary()),
        }
    }

    /// Asks for the primary with this name.
    pub(super) async fn ask(self: &Arc<Self>, name: &str) -> Result<Primary, RedisError> {
        let asked = timeout(ASK_TIMEOUT, self.ask_over_connection(name)).await;
        let answer = asked.unwrap_or_else(|_| Err(SentinelFailure::no_response()));
        if answer.is_err() {
            self.keep(None);
        }
        answer.map_err(|error| SentinelFailure::of_sentinel(&error))
    }

    async fn ask_over_connection(self: &Arc<Self>, name: &str) -> Result<Primary, RedisError> {
        let mut connection = match self.kept() {
            Some(connection) => connection,
            None => {
                // This task continues for later queries if other Sentinels respond earlier.
                let this = Arc::clone(self);
                let connecting = async move { timeout(ASK_TIMEOUT, this.connect()).await };
                let connected = tokio::spawn(connecting).await.map_err(io::Error::other)?;
                connected.unwrap_or_else(|_| Err(SentinelFailure::no_response()))?
            }
        };
        // Only the first command returns the epoch. During a failover, only the second command
        // returns the new primary. A Sentinel runs both without a change in between.
        let mut question = redis::pipe();
        question.cmd("SENTINEL").arg("MASTER").arg(name);
        question.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let responses = connection.send_packed_commands(&question, 0, 2).await?;
        read_answer(responses)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let failover = Arc::clone(&self.failover);
        let receive = move |message: PushInfo| {
            if message.kind == PushKind::Message {
                failover.notify_one();
            }
            Ok::<_, redis::aio::SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(receive);
        let client = self.client.lock().await.async_get_sentinel_client().await?;
        self.address.get_or_init(|| client.get_connection_info().addr().to_string());
        let client = with_messages(&client)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        self.keep(Some(connection.clone()));
        // Without the permission to subscribe, the registry finds a new primary when it asks again.
        let _ = connection.subscribe(&CHANNELS[..]).await;
        Ok(connection)
    }

    fn kept(&self) -> Option<MultiplexedConnection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, connection: Option<MultiplexedConnection>) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }
}

fn read_answer(responses: Vec<Value>) -> Result<Primary, RedisError> {
    let mut responses = responses.into_iter();
    let mut next = || responses.next().unwrap_or(Value::Nil).extract_error();
    let (state, address) = (next()?, next()?);
    let state: HashMap<String, String> = redis::from_redis_value(state)?;
    let (host, port) = redis::from_redis_value(address)?;
    let epoch = state.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    Ok(Primary { host, port, epoch })
}
