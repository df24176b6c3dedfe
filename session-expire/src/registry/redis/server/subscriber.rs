//! Connection of a subscription to one server, which exists while there is a listener.
//!
//! The subscriber replaces the connection if the server closes it, if the registry is connected to
//! another primary, or if a check fails. The registry sends `INFO` over its own connection every
//! second, and thereby detects a failover or a server that does not respond. The subscriber reads
//! the state of its own server only if the registry has reconnected or has another primary.
//!
//! Each new connection reports [`Change::Any`], because earlier reports may have been lost.
//!
//! A change is reported before replicas have acknowledged it. If the primary fails in between, the
//! change may be lost. A listener may then have received the report of an end that was lost, and a
//! stream ends too early. The connection to the new primary reports [`Change::Any`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Pipeline, PushInfo, RedisError, aio::MultiplexedConnection};

use super::{
    channel::Channel,
    check::{CHECK_TIMEOUT, read_replication_id},
    connection::Connection,
    pipeline::convert,
};
use crate::registry::{change::Change, redis::error::OperationError};

/// Pause between two comparisons with the connection of the registry.
const INTERVAL: Duration = Duration::from_secs(1);

/// Pause between two attempts to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Connection of a subscription. Dropping it closes the connection.
pub(crate) struct ServerSubscriber {
    /// Connection of the registry.
    registry: Arc<Connection>,
    connection: Arc<Connection>,
    channel: Arc<Channel>,
    timeout: Duration,
    /// Number of the registry's connection at the last comparison.
    registry_number: AtomicU64,
    /// Set while the two connections are to different primaries.
    has_other_primary: AtomicBool,
    is_unavailable: AtomicBool,
}

impl ServerSubscriber {
    /// Returns a subscriber that connects in the background.
    pub(crate) fn start(
        registry: &Arc<Connection>,
        channel: Channel,
        timeout: Duration,
    ) -> Arc<Self> {
        let (registry, channel) = (Arc::clone(registry), Arc::new(channel));
        let connection = Arc::new(registry.subscribing(Arc::clone(&channel)));
        let registry_number = AtomicU64::new(registry.number());
        let (has_other_primary, is_unavailable) = <_>::default();
        let this = Arc::new(Self {
            registry,
            connection,
            channel,
            timeout,
            registry_number,
            has_other_primary,
            is_unavailable,
        });
        this.watch();
        this
    }

    /// Connects, and connects again after a failure, until the subscriber is dropped.
    fn watch(self: &Arc<Self>) {
        let (this, channel) = (Arc::downgrade(self), Arc::clone(&self.channel));
        self.connection.spawn(async move {
            while let Some(this) = this.upgrade() {
                let is_connected = this.keep_connected().await;
                drop(this);
                let pause = if is_connected { INTERVAL } else { RETRY_INTERVAL };
                let _ = tokio::time::timeout(pause, channel.failed.notified()).await;
            }
        });
    }

    /// Replaces a failed connection. Returns `true` if there is a connection.
    async fn keep_connected(&self) -> bool {
        let number = self.connection.number();
        if self.channel.state().is_closed || !self.has_same_primary().await {
            self.connection.discard(number);
        }
        let connected = self.connection.get_or_connect().await;
        self.log(connected.as_ref().err());
        connected.is_ok()
    }

    /// Returns `true` if both connections are to the same primary, or if the subscriber has none.
    /// Sends commands only if the registry has reconnected or has another primary.
    async fn has_same_primary(&self) -> bool {
        let number = self.registry.number();
        let is_same = || self.registry.replication_id() == self.channel.state().replication_id;
        let has_reconnected = self.registry_number.swap(number, Ordering::Relaxed) != number;
        if !self.connection.is_connected_as(self.connection.number()) {
            return true;
        }
        let needs_inspection = has_reconnected || !is_same();
        let is_alive = !needs_inspection || self.inspect().await.is_ok();
        self.report_same_primary(is_alive && is_same());
        is_alive && is_same()
    }

    /// Reports [`Change::Any`] when the registry has also connected to the new primary. Loads after
    /// earlier reports may have read from the former primary.
    fn report_same_primary(&self, is_same: bool) {
        let had_other = self.has_other_primary.swap(!is_same, Ordering::Relaxed);
        if is_same && had_other {
            self.channel.report(Change::Any);
        }
    }

    /// Reads the epoch and the state of the server.
    async fn inspect(&self) -> Result<(), OperationError> {
        let before = self.channel.state();
        let inspection = inspection(&self.channel);
        let response = self.connection.query_pipeline(&inspection, CHECK_TIMEOUT).await?;
        let (epoch, info): (Option<String>, String) = convert(response)?;
        self.channel.set_replication_id(read_replication_id(&info));
        self.channel.check_epoch(&before, epoch.as_deref());
        Ok(())
    }

    /// Returns `true` if all earlier reports have arrived. Sends one command.
    pub(crate) async fn check(&self) -> Result<bool, OperationError> {
        let before = self.channel.state();
        let epoch = self.connection.query(&self.channel.epoch_command(), self.timeout).await?;
        let epoch: Option<String> = convert(epoch)?;
        Ok(self.channel.check_epoch(&before, epoch.as_deref()))
    }

    /// Logs an outage once.
    fn log(&self, error: Option<&RedisError>) {
        let was_unavailable = self.is_unavailable.swap(error.is_some(), Ordering::Relaxed);
        if let Some(error) = error.filter(|_| !was_unavailable) {
            log_outage(&self.connection.address(), error);
        }
    }
}

pub(crate) fn log_outage(server: &str, error: &RedisError) {
    tracing::error!(
        event = "sys_redis_subscription",
        server,
        %error,
        "no subscription to session changes; open streams may end late"
    );
}

impl Connection {
    /// Connects and subscribes to a channel.
    pub(crate) async fn connect_to_channel(
        &self,
        channel: &Arc<Channel>,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let (receiver, number) = (Arc::clone(channel), channel.begin());
        let receive = move |message: PushInfo| {
            receiver.receive(number, &message);
            Ok::<_, redis::aio::SendError>(())
        };
        let mut connection =
            self.servers.connect_to_server(&config.set_push_sender(receive), true).await?;
        connection.subscribe(channel.name()).await?;
        channel.begin_epoch_command().exec_async(&mut connection).await?;
        let (epoch, info): (_, String) = inspection(channel).query_async(&mut connection).await?;
        channel.complete(epoch, read_replication_id(&info));
        Ok(connection)
    }
}

fn inspection(channel: &Channel) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.add_command(channel.epoch_command()).cmd("INFO").arg("replication");
    pipeline
}
