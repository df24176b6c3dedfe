//! Reports of changes: `subscribe`.
//!
//! A script that changes sessions publishes one message after its changes, see
//! [`report`](super::server::report). Messages and responses arrive over one connection in order.
//! The response to a command therefore shows that all earlier messages have arrived. Reports are
//! lost only if the connection fails. Each new connection reports [`Change::Any`].
//!
//! The key `sx3:{00}:epoch` contains the epoch, a random text. A subscription creates the key if it
//! is missing. `end_everyone` replaces the epoch, and reports the new one after the scripts of all
//! tags. A check reads the key. If the epoch is missing or was not reported, a report is missing or
//! the database was flushed.
//!
//! In a Cluster, each tag has a sharded channel in the slot of its keys. A subscription has a
//! connection to each primary, see [`ClusterSubscriber`].
//!
//! [`Change::Any`]: crate::registry::change::Change::Any

use std::sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering};

use super::{
    error::OperationError,
    lists::tags,
    operations::Operations,
    run_operation,
    server::{
        channel::Channel, cluster::subscriber::ClusterSubscriber, pipeline::ScriptCall,
        subscriber::ServerSubscriber,
    },
    stored::{as_string::flag, names::tag, script_args::ScriptArgs},
};
use crate::registry::{
    RegistryFuture,
    change::{ChangeListener, Listeners, Subscription},
};

/// Listeners of a registry, and the connection that they share.
#[derive(Default)]
pub(super) struct Changes {
    listeners: Listeners,
    subscriber: Mutex<Weak<Subscriber>>,
}

/// Connections of a subscription.
enum Subscriber {
    Server(Arc<ServerSubscriber>),
    Cluster(Arc<ClusterSubscriber>),
}

impl Subscriber {
    async fn check(&self) -> Result<bool, OperationError> {
        match self {
            Self::Server(subscriber) => subscriber.check().await,
            // Boxed, because its future is much larger.
            Self::Cluster(subscriber) => Box::pin(subscriber.check()).await,
        }
    }
}

/// Subscription of one listener. Dropping the last subscription closes the connection.
struct RedisSubscription {
    subscriber: Arc<Subscriber>,
    _listening: Box<dyn Subscription>,
}

impl Subscription for RedisSubscription {
    fn check(&self) -> RegistryFuture<'_, bool> {
        run_operation("check for lost reports", self.subscriber.check())
    }
}

impl Operations {
    pub(super) fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        let Changes { listeners, subscriber } = &self.changes;
        let listening = listeners.subscribe(listener, false);
        let mut shared = subscriber.lock().unwrap_or_else(PoisonError::into_inner);
        let subscriber = shared.upgrade().unwrap_or_else(|| self.start_subscriber());
        *shared = Arc::downgrade(&subscriber);
        Box::new(RedisSubscription { subscriber, _listening: listening })
    }

    fn start_subscriber(&self) -> Arc<Subscriber> {
        let (listeners, cache) = (self.changes.listeners.clone(), self.connection.cache.clone());
        let channel =
            Channel::new(self.channel_name(&first_tag()), self.epoch_key(), listeners, cache);
        let (connection, timeout) = (&self.connection, self.timeout);
        Arc::new(match connection.cluster() {
            Some(cluster) => {
                let names = tags().map(|tag| self.channel_name(&tag));
                let start = ClusterSubscriber::start;
                Subscriber::Cluster(start(connection, cluster, names, channel, timeout))
            }
            None => Subscriber::Server(ServerSubscriber::start(connection, channel, timeout)),
        })
    }

    /// Returns the arguments of a script that reports its changes. The first script of a registry
    /// checks the permission for the channel before it writes. In a Cluster, each script does,
    /// because each node has its own permissions.
    pub(super) fn reported(&self, partition_key: &str, arguments: ScriptArgs) -> ScriptArgs {
        let is_cluster = self.connection.is_cluster();
        ScriptArgs {
            partition: Some(partition_key.to_owned()),
            channel: Some(self.channel_name(tag(partition_key))),
            has_slot: flag(is_cluster),
            tests_channel: flag(is_cluster || !self.has_reported.load(Ordering::Relaxed)),
            ..arguments
        }
    }

    /// Returns the call that reports the end of all sessions. `arguments` are those of the scripts
    /// that end them.
    pub(super) fn report_of_all(
        &self,
        arguments: ScriptArgs,
    ) -> Result<ScriptCall, OperationError> {
        let tag = first_tag();
        let channel = Some(self.channel_name(&tag));
        let has_slot = flag(self.connection.is_cluster());
        self.call(&tag, &ScriptArgs { channel, has_slot, ..arguments })
    }

    /// Returns the key of the epoch, in the tag with which `end_everyone` begins.
    pub(super) fn epoch_key(&self) -> String {
        format!("{}:epoch", self.tag_key(&first_tag()))
    }
}

fn first_tag() -> String {
    tags().next().unwrap_or_default()
}
