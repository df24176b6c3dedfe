//! Reports that arrive over the connection of a subscription.
//!
//! The server numbers the messages. A message with another number than the next one shows that
//! reports were lost, and the channel reports [`Change::Any`]. Messages and responses come over one
//! connection in order: when a command has its response, all earlier messages have arrived.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{Cmd, PushInfo, PushKind, Value};
use tokio::sync::Notify;

use super::report::Report;
use crate::registry::{
    change::{Change, Listeners},
    redis::cache::Cache,
};

/// Channel of a registry, with the state of its connection.
pub(crate) struct Channel {
    /// Name of the channel, and of the hash that counts its messages.
    name: String,
    listeners: Listeners,
    /// Cache that is invalidated before a report: a load after the report must see the change.
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
    /// Number of the last message; `None` before the first message or count.
    last: Option<u64>,
    /// Replication id of the server; `None` for a replica.
    pub(crate) primary: Option<String>,
    pub(crate) is_closed: bool,
}

impl Channel {
    pub(crate) fn new(name: String, listeners: Listeners, cache: Option<Arc<Cache>>) -> Self {
        Self { name, listeners, cache, state: Mutex::default(), failed: Notify::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the command that reads the number of messages.
    pub(crate) fn count_command(&self) -> Cmd {
        let mut command = redis::cmd("HGET");
        command.arg(&self.name).arg("reports");
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

    pub(crate) fn set_primary(&self, primary: Option<String>) {
        self.lock().primary = primary;
    }

    /// Handles a push message of the connection with this number.
    pub(crate) fn receive(&self, connection: u64, message: &PushInfo) {
        let mut state = self.lock();
        if state.connection != connection {
            return;
        }
        match (&message.kind, message.data.last()) {
            (PushKind::Message, Some(Value::BulkString(text))) => {
                let changes = state.read_message(text);
                drop(state);
                changes.into_iter().for_each(|change| self.report(change));
            }
            (PushKind::Disconnection, _) => {
                state.is_closed = true;
                self.failed.notify_one();
            }
            _ => {}
        }
    }

    /// Returns `true` if all messages that the server counted have arrived. `before` is the state
    /// before the count was requested.
    pub(crate) fn has_all(&self, before: &ChannelState, count: Option<u64>) -> bool {
        let (count, mut state) = (count.unwrap_or(0), self.lock());
        // A new connection has reported that any session may have changed.
        if state.connection != before.connection || before.last.is_none() {
            return true;
        }
        // A smaller count belongs to a database that was flushed.
        if before.last <= Some(count) && Some(count) <= state.last {
            return true;
        }
        state.last = Some(count);
        drop(state);
        self.report(Change::Any);
        false
    }

    /// Completes a subscription: from now on, every change is reported.
    pub(crate) fn complete(&self, count: Option<u64>, primary: Option<String>) {
        let mut state = self.lock();
        state.last = state.last.max(Some(count.unwrap_or(0)));
        state.primary = primary;
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
        // A process tests its permission with an empty message.
        if text.is_empty() {
            return vec![];
        }
        let Some(Report { number, changes }) = Report::parse(text) else {
            return vec![Change::Any];
        };
        let is_next = self.last.is_none_or(|last| number == last + 1);
        self.last = Some(number);
        if is_next { changes } else { vec![Change::Any] }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::registry::{
        change::{ChangeListener, Subscription},
        partition_key,
    };

    struct Connected {
        channel: Channel,
        connection: u64,
        reports: Receiver<Change>,
        _subscription: Box<dyn Subscription>,
    }

    /// Returns a channel after the fifth message.
    fn connected() -> Connected {
        let (sender, reports) = channel();
        let listeners = Listeners::default();
        let listener = ChangeListener::new(move |change| _ = sender.send(change));
        let subscription = listeners.subscribe(listener, true);
        let channel = Channel::new("sx3:changes:0".to_owned(), listeners, None);
        let connection = channel.begin();
        channel.complete(Some(5), None);
        assert_eq!(reports.try_iter().collect::<Vec<_>>(), [Change::Any]);
        Connected { channel, connection, reports, _subscription: subscription }
    }

    impl Connected {
        fn receive(&self, text: &str) -> Vec<Change> {
            let data = ["sx3:changes:0", text].map(|word| Value::BulkString(word.into()));
            let message = PushInfo { kind: PushKind::Message, data: data.into() };
            self.channel.receive(self.connection, &message);
            self.reports.try_iter().collect()
        }

        fn has_all(&self, count: u64) -> bool {
            self.channel.has_all(&self.channel.state(), Some(count))
        }
    }

    fn message(number: u64) -> String {
        format!("{number} {} *", partition_key("alice"))
    }

    #[test]
    fn missing_message_is_reported_as_any_change() {
        let connected = connected();
        assert_eq!(connected.receive(&message(6)), [Change::user("alice")]);
        assert_eq!(connected.receive(""), []);
        assert_eq!(connected.receive(&message(8)), [Change::Any]);
        assert_eq!(connected.receive(&message(9)), [Change::user("alice")]);
        assert_eq!(connected.receive("10"), [Change::Any]);
        assert_eq!(connected.receive("unreadable"), [Change::Any]);
        assert_eq!(connected.receive(&message(11)), [Change::user("alice")]);
    }

    #[test]
    fn count_shows_whether_a_message_is_missing() {
        let connected = connected();
        assert!(connected.has_all(5));
        let before = connected.channel.state();
        connected.receive(&message(6));
        assert!(connected.channel.has_all(&before, Some(5)), "the message came after the count");
        assert!(!connected.has_all(7));
        assert_eq!(connected.reports.try_iter().collect::<Vec<_>>(), [Change::Any]);
        assert!(connected.has_all(7));
        assert!(!connected.has_all(0), "the database was flushed");
        assert_eq!(connected.receive(&message(1)).pop(), Some(Change::user("alice")));
    }

    #[test]
    fn messages_of_an_earlier_connection_are_ignored() {
        let connected = connected();
        let before = connected.channel.state();
        connected.channel.begin();
        assert_eq!(connected.receive(&message(6)), []);
        let closed = PushInfo { kind: PushKind::Disconnection, data: vec![] };
        connected.channel.receive(connected.connection, &closed);
        assert!(!connected.channel.state().is_closed);
        assert!(connected.channel.has_all(&before, Some(9)), "the new connection reports `Any`");
    }
}
