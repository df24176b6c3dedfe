//! Reports that arrive over the connection of a subscription.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{Cmd, PushInfo, PushKind, Value};
use tokio::sync::Notify;

use super::report::Report;
use crate::registry::{
    change::{Change, Listeners},
    redis::cache::Cache,
};
use crate::session::key::PublicId;

/// Channel of a registry, with the state of its connection.
pub(crate) struct Channel {
    name: String,
    epoch_key: String,
    listeners: Listeners,
    /// Cache that is invalidated before a report, because a later load must return the change.
    cache: Option<Arc<Cache>>,
    state: Mutex<ChannelState>,
    /// Notified when the connection fails.
    pub(crate) failed: Notify,
}

/// State of one connection.
#[derive(Clone, Default)]
pub(crate) struct ChannelState {
    /// Number of the connection, counted from 1. Messages of earlier connections are ignored.
    connection: u64,
    /// Epoch of the last `end_everyone` that was reported; `None` before the subscription.
    epoch: Option<String>,
    /// Replication id of the server; `None` for a replica.
    pub(crate) replication_id: Option<String>,
    pub(crate) is_closed: bool,
}

impl Channel {
    pub(crate) fn new(
        name: String,
        epoch_key: String,
        listeners: Listeners,
        cache: Option<Arc<Cache>>,
    ) -> Self {
        Self { name, epoch_key, listeners, cache, state: Mutex::default(), failed: Notify::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn epoch_key(&self) -> &str {
        &self.epoch_key
    }

    /// Returns the command that reads the epoch.
    pub(crate) fn epoch_command(&self) -> Cmd {
        let mut command = redis::cmd("GET");
        command.arg(&self.epoch_key);
        command
    }

    /// Returns the command that begins an epoch if there is none.
    pub(crate) fn begin_epoch_command(&self) -> Cmd {
        let mut command = redis::cmd("SET");
        command.arg(&self.epoch_key).arg(PublicId::random().as_str()).arg("NX");
        command
    }

    /// Begins a new connection, and returns its number.
    pub(crate) fn begin(&self) -> u64 {
        let mut state = self.lock();
        *state = ChannelState { connection: state.connection + 1, ..ChannelState::default() };
        state.connection
    }

    pub(crate) fn state(&self) -> ChannelState {
        self.lock().clone()
    }

    pub(crate) fn set_replication_id(&self, replication_id: Option<String>) {
        self.lock().replication_id = replication_id;
    }

    /// Handles a push message of the connection with this number.
    pub(crate) fn receive(&self, connection: u64, message: &PushInfo) {
        let mut state = self.lock();
        if state.connection != connection {
            return;
        }
        match (&message.kind, message.data.last()) {
            (PushKind::Message, Some(Value::BulkString(text))) => {
                drop(state);
                self.receive_text(text);
            }
            (PushKind::Disconnection, _) => {
                state.is_closed = true;
                self.failed.notify_one();
            }
            _ => {}
        }
    }

    /// Reports the changes in a message.
    pub(crate) fn receive_text(&self, text: &[u8]) {
        let changes = self.lock().read_message(text);
        changes.into_iter().for_each(|change| self.report(change));
    }

    /// Returns `true` if all earlier reports have arrived. Otherwise reports [`Change::Any`], and
    /// marks the connection as closed. `epoch` was read over the connection, and `before` is the
    /// state before the command was sent.
    pub(crate) fn check_epoch(&self, before: &ChannelState, epoch: Option<&str>) -> bool {
        let mut state = self.lock();
        // A new connection has reported that any session may have changed.
        let is_new = state.connection != before.connection;
        let is_known = |epoch| [&before.epoch, &state.epoch].map(Option::as_deref).contains(&epoch);
        if is_new || epoch.is_some() && is_known(epoch) {
            return true;
        }
        // Closed, because the next connection begins an epoch if there is none.
        state.is_closed = true;
        drop(state);
        self.failed.notify_one();
        self.report(Change::Any);
        false
    }

    /// Completes a subscription: from now on, every change is reported.
    pub(crate) fn complete(&self, epoch: Option<String>, replication_id: Option<String>) {
        let mut state = self.lock();
        (state.epoch, state.replication_id) = (epoch, replication_id);
        drop(state);
        self.report(Change::Any);
    }

    /// Completes a subscription to a Cluster, and reopens it after a connection has failed.
    pub(crate) fn restart(&self, epoch: Option<String>) {
        let mut state = self.lock();
        (state.epoch, state.is_closed) = (epoch, false);
        drop(state);
        self.report(Change::Any);
    }

    pub(crate) fn report(&self, change: Change) {
        if let Some(cache) = &self.cache {
            match &change {
                Change::Session { partition, .. } | Change::User { partition } => {
                    cache.invalidate(partition);
                }
                Change::Any => cache.clear(),
            }
        }
        self.listeners.report(|| change);
    }

    fn lock(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChannelState {
    /// Returns the changes in a message.
    fn read_message(&mut self, text: &[u8]) -> Vec<Change> {
        // A registry checks its permission with an empty message.
        if text.is_empty() {
            return vec![];
        }
        match Report::read(text) {
            Report::User(changes) => changes,
            Report::Everyone(epoch) => {
                self.epoch = Some(epoch);
                vec![Change::Any]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::{
        policy::Policy,
        registry::{
            StoredSession,
            change::{ChangeListener, Subscription},
            partition_key,
        },
        session::{login::NewLogin, record::SessionRecord},
        time::Timestamp,
    };

    struct Connected {
        channel: Channel,
        connection: u64,
        reports: Receiver<Change>,
        _subscription: Box<dyn Subscription>,
    }

    /// Returns a channel in the epoch `first`.
    fn connected() -> Connected {
        let (sender, reports) = channel();
        let listeners = Listeners::default();
        let listener = ChangeListener::new(move |change| _ = sender.send(change));
        let subscription = listeners.subscribe(listener, true);
        let channel = Channel::new(String::new(), String::new(), listeners, None);
        let connection = channel.begin();
        channel.complete(Some("first".to_owned()), None);
        assert_eq!(reports.try_iter().collect::<Vec<_>>(), [Change::Any]);
        Connected { channel, connection, reports, _subscription: subscription }
    }

    impl Connected {
        fn receive(&self, text: &str) -> Vec<Change> {
            self.channel.receive(self.connection, &push_message(text));
            self.reports.try_iter().collect()
        }

        fn check_epoch(&self, epoch: &str) -> bool {
            self.channel.check_epoch(&self.channel.state(), Some(epoch))
        }
    }

    fn push_message(text: &str) -> PushInfo {
        let data = ["channel", text].map(|word| Value::BulkString(word.into()));
        PushInfo { kind: PushKind::Message, data: data.into() }
    }

    fn message() -> String {
        format!("{} *", partition_key("alice"))
    }

    #[test]
    fn other_epoch_shows_that_a_report_is_missing() {
        let connected = connected();
        assert!(connected.check_epoch("first"));
        assert_eq!(connected.receive(&message()), [Change::user("alice")]);
        assert_eq!(connected.receive(""), []);
        let before = connected.channel.state();
        assert_eq!(connected.receive("second"), [Change::Any]);
        assert!(connected.channel.check_epoch(&before, Some("first")), "replaced after the read");
        assert!(connected.check_epoch("second") && !connected.channel.state().is_closed);
        assert!(!connected.check_epoch("third") && connected.channel.state().is_closed);
        assert!(!connected.channel.check_epoch(&connected.channel.state(), None), "a flush");
        assert_eq!(connected.reports.try_iter().collect::<Vec<_>>(), [Change::Any, Change::Any]);
    }

    /// A load that starts in the listener must not find the former record in the cache. A load that
    /// started earlier must not store it there.
    #[test]
    fn cache_is_invalid_before_a_report() {
        let login = NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new());
        let record = Arc::new(SessionRecord::new(&login));
        let (key, loaded) = (login.key, StoredSession { record, data: Arc::default(), open: None });
        for text in [message(), "epoch".to_owned(), "a !".to_owned()] {
            let (cache, (sender, reports)) = (Arc::<Cache>::default(), channel());
            cache.store(&cache.start_read(key.partition_key()), &key, Some(&loaded));
            assert!(cache.get(&key, false).is_some());
            let under_way = cache.start_read(key.partition_key());
            let (listeners, in_listener) = (Listeners::default(), Arc::clone(&cache));
            let listener =
                ChangeListener::new(move |_| _ = sender.send(in_listener.get(&key, false)));
            let _subscription = listeners.subscribe(listener, true);
            let channel =
                Channel::new(<_>::default(), <_>::default(), listeners, Some(Arc::clone(&cache)));
            channel.receive(channel.begin(), &push_message(&text));
            assert_eq!(reports.try_iter().collect::<Vec<_>>(), [None], "{text}");
            cache.store(&under_way, &key, Some(&loaded));
            assert_eq!(cache.get(&key, false), None, "{text}");
        }
    }

    #[test]
    fn messages_of_an_earlier_connection_are_ignored() {
        let connected = connected();
        let before = connected.channel.state();
        connected.channel.begin();
        assert_eq!(connected.receive(&message()), []);
        let closed = PushInfo { kind: PushKind::Disconnection, data: vec![] };
        connected.channel.receive(connected.connection, &closed);
        assert!(!connected.channel.state().is_closed);
        assert!(connected.channel.check_epoch(&before, None), "the new connection reports `Any`");
    }
}
