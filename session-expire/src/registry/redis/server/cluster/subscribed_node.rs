//! Connection to one primary of a Cluster that has subscribed to the channels of its slots.
//!
//! The server removes a subscription when its slot leaves the node. redis-rs takes that message for
//! a response. The connection therefore counts as closed from then on.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, Pipeline, PushInfo, PushKind, RedisError,
    ServerErrorKind, Value,
    aio::{MultiplexedConnection, SendError},
    from_redis_value,
};

use super::view::{Owners, Primary, View, owners_commands, view_commands};
use crate::registry::redis::server::{channel::Channel, servers::Servers};

/// Maximum time of an attempt to connect. A handshake takes several round trips.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum time of the subscriptions.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum time of another response.
pub(crate) const NODE_TIMEOUT: Duration = Duration::from_millis(500);

/// Connection to a primary.
pub(crate) struct SubscribedNode {
    pub(crate) primary: Primary,
    /// One of the channels.
    pub(crate) name: Option<String>,
    host: String,
    connection: MultiplexedConnection,
    is_closed: Arc<AtomicBool>,
}

impl SubscribedNode {
    /// Connects, and subscribes to the channels of the node's slots. Returns `None` if it does not
    /// own exactly these slots.
    pub(crate) async fn connect(
        client: Client,
        (primary, host): (&Primary, &str),
        names: &[&str],
        channel: &Arc<Channel>,
    ) -> Result<Option<Self>, RedisError> {
        let is_closed = Arc::<AtomicBool>::default();
        let config = config().set_push_sender(receiver(channel, &is_closed));
        let connection = connect_to_node(client, config).await?;
        let name = names.first().map(|&name| name.to_owned());
        let (primary, host) = (primary.clone(), host.to_owned());
        let node = Self { primary, name, host, connection, is_closed };
        Ok(node.subscribe(names).await?.then_some(node))
    }

    /// Subscribes to channels. Returns `true` if the node owns the slots. A replica would also
    /// accept the subscription.
    async fn subscribe(&self, names: &[&str]) -> Result<bool, RedisError> {
        // The confirmation of one channel is one response.
        let mut commands = Pipeline::with_capacity(names.len());
        names.iter().for_each(|name| {
            commands.cmd("SSUBSCRIBE").arg(name);
        });
        owners_commands().cmd_iter().for_each(|command| {
            commands.add_command(command.clone());
        });
        let responses = match self.send(&commands, SUBSCRIBE_TIMEOUT).await {
            Err(error) if error.kind() == ServerErrorKind::Moved.into() => return Ok(false),
            responses => responses?.split_off(names.len()),
        };
        let view = View::read(responses, &self.host)?;
        let is_owner =
            view.own_id == self.primary.id && view.owners.primaries.contains(&self.primary);
        Ok(is_owner && self.is_open())
    }

    /// Returns `true` if every change under the slots of the node is reported.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_closed.load(Ordering::SeqCst)
    }

    /// Returns the view of the node.
    pub(crate) async fn view(&self) -> Result<View, RedisError> {
        View::read(self.send(&view_commands(), NODE_TIMEOUT).await?, &self.host)
    }

    /// Sends `command`, and returns its response if the node sees these owners. All earlier reports
    /// of the node have then arrived.
    pub(crate) async fn confirm(
        &self,
        owners: &Owners,
        command: Option<Cmd>,
        timeout: Duration,
    ) -> Result<Option<Value>, RedisError> {
        let mut commands = owners_commands();
        let count = commands.len();
        if let Some(command) = command {
            commands.add_command(command);
        }
        let mut responses = self.send(&commands, timeout).await?;
        let response = responses.drain(count..).next().unwrap_or(Value::Nil);
        let view = View::read(responses, &self.host)?;
        let is_same = view.is_ok && view.own_id == self.primary.id && view.owners == *owners;
        Ok((is_same && self.is_open()).then_some(response))
    }

    /// Begins an epoch if there is none, and returns the present one.
    pub(crate) async fn begin_epoch(
        &self,
        channel: &Channel,
    ) -> Result<Option<String>, RedisError> {
        let mut commands = redis::pipe();
        commands.add_command(channel.begin_epoch_command()).add_command(channel.epoch_command());
        let epoch = self.send(&commands, NODE_TIMEOUT).await?.pop().unwrap_or(Value::Nil);
        Ok(from_redis_value(epoch)?)
    }

    /// Sends commands. After an error, the connection counts as closed.
    pub(crate) async fn send(
        &self,
        commands: &Pipeline,
        timeout: Duration,
    ) -> Result<Vec<Value>, RedisError> {
        let sent = send_within(timeout, &mut self.connection.clone(), commands).await;
        if sent.is_err() {
            self.is_closed.store(true, Ordering::SeqCst);
        }
        sent
    }
}

/// Connects to a node, and returns its view.
pub(crate) async fn view_of(client: Client) -> Result<View, RedisError> {
    let host = match client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => String::new(),
    };
    let mut connection = connect_to_node(client, config()).await?;
    View::read(send_within(NODE_TIMEOUT, &mut connection, &view_commands()).await?, &host)
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

async fn connect_to_node(
    client: Client,
    config: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, RedisError> {
    let server = Servers::Single(Arc::new(client));
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, server.connect_to_server(&config, true));
    connected.await.unwrap_or_else(|_| Err(no_response()))
}

async fn send_within(
    timeout: Duration,
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
) -> Result<Vec<Value>, RedisError> {
    let sent = connection.send_packed_commands(commands, 0, commands.len());
    let responses =
        tokio::time::timeout(timeout, sent).await.unwrap_or_else(|_| Err(no_response()));
    responses?.into_iter().map(Value::extract_error).collect()
}

fn no_response() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

/// Returns the function that handles the messages of a connection.
fn receiver(
    channel: &Arc<Channel>,
    is_closed: &Arc<AtomicBool>,
) -> impl Fn(PushInfo) -> Result<(), SendError> + Send + Sync + 'static {
    let (channel, is_closed) = (Arc::clone(channel), Arc::clone(is_closed));
    move |message| {
        match (&message.kind, message.data.last()) {
            (PushKind::SMessage, Some(Value::BulkString(text))) => channel.receive_text(text),
            (PushKind::SUnsubscribe | PushKind::Disconnection, _) => {
                is_closed.store(true, Ordering::SeqCst);
                channel.failed.notify_one();
            }
            _ => {}
        }
        Ok(())
    }
}
