//! Reports of changes: `subscribe`.
//!
//! A script that changes sessions publishes one message after its changes, see
//! [`report`](super::server::report). It increments a counter, which numbers the messages. The hash
//! `sx3:changes:0` with the counter and the channel have the same name: the version of the layout
//! and the number of the database, because channels are common to all databases.
//!
//! In a Redis Cluster, a script may only use keys of one slot. The counter would be one key per tag,
//! `sx3:{aB}:changes`, and the state of a subscription one number per tag. `PUBLISH` reaches all
//! nodes. A check would read the counters of all tags of a node in one round trip per node.

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

/// Subscription of one listener. The last one that is dropped closes the connection.
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
        let channel = Channel::new(self.channel_name(), listeners, cache);
        Subscriber::start(&self.connection, channel, self.timeout)
    }

    /// Returns the arguments of a script that reports its changes. The first script of a process
    /// tests the permission for the channel before it writes.
    pub(super) fn reported(&self, partition_key: &str, arguments: ScriptArgs) -> ScriptArgs {
        let has_reported = self.has_reported.load(Ordering::Relaxed);
        ScriptArgs {
            partition: Some(partition_key.to_owned()),
            tests_channel: flag(!has_reported),
            ..arguments
        }
    }

    /// Reports that all sessions may have changed.
    pub(super) async fn report_any(&self) -> Result<(), OperationError> {
        let tag = tags().next().unwrap_or_default();
        let (mut keys, arguments) = self.call(&tag, &self.args_now())?;
        keys.push(self.channel_name());
        self.connection.run(&REPORT_ANY, &keys, &[&arguments], self.timeout).await.map(drop)
    }
}
