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
//! Redis Cluster is not supported: its `PUBLISH` reaches all nodes, but not in the order of the
//! responses. Each node would need a subscription to one sharded channel per tag (`SSUBSCRIBE`,
//! `SPUBLISH`), and a check would need a command per node.
//!
//! [`Change::Any`]: crate::registry::change::Change::Any

use std::sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering};

use super::{
    error::OperationError,
    lists::tags,
    operations::Operations,
    run_operation,
    script::REPORT_ANY,
    server::{channel::Channel, subscriber::Subscriber},
    stored::{as_string::flag, script_args::ScriptArgs},
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
        let channel = Channel::new(self.channel_name(), self.epoch_key(), listeners, cache);
        Subscriber::start(&self.connection, channel, self.timeout)
    }

    /// Returns the arguments of a script that reports its changes. The first script of a registry
    /// checks the permission for the channel before it writes.
    pub(super) fn reported(&self, partition_key: &str, arguments: ScriptArgs) -> ScriptArgs {
        ScriptArgs {
            partition: Some(partition_key.to_owned()),
            channel: Some(self.channel_name()),
            tests_channel: flag(!self.has_reported.load(Ordering::Relaxed)),
            ..arguments
        }
    }

    /// Reports the end of all sessions. `arguments` are those of the scripts that ended them.
    pub(super) async fn report_any(&self, arguments: ScriptArgs) -> Result<(), OperationError> {
        let args = ScriptArgs { channel: Some(self.channel_name()), ..arguments };
        let (keys, arguments) = self.call(&first_tag(), &args)?;
        self.connection.run(&REPORT_ANY, &keys, &[&arguments], self.timeout).await.map(drop)
    }

    /// Returns the key of the epoch, in the tag with which `end_everyone` begins.
    pub(super) fn epoch_key(&self) -> String {
        format!("{}:epoch", self.tag_key(&first_tag()))
    }
}

fn first_tag() -> String {
    tags().next().unwrap_or_default()
}
