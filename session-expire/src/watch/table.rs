//! Table of watched sessions, with their deadlines.
//!
//! It does no I/O and reads no clock. The watcher adds and removes watches; the thread asks which
//! sessions to load, and applies the records.

use std::{collections::BTreeSet, sync::Arc, task::Waker};

use slab::Slab;

use super::{
    slot::{CloseReason, Slot, WatchKind},
    stream_end::StreamEnd,
    watched_session::{LimitsFn, NEVER, OpenWatch, WatchedSession, deadline},
};
use crate::{
    session::{
        key::{PublicId, RecordKey},
        reason::Reason,
        record::SessionRecord,
    },
    time::Timestamp,
};

/// Largest number of event streams of a session in one process.
pub(crate) const MAX_PAGES: usize = 8;

/// Watch to open.
pub(crate) struct NewWatch {
    pub(crate) key: RecordKey,
    pub(crate) record: Arc<SessionRecord>,
    pub(crate) limits: LimitsFn,
    pub(crate) kind: WatchKind,
}

/// Number of a watched session in the table. It may be used again after the last watch has closed.
pub(super) type SessionNumber = usize;

/// Result of loading a watched session.
pub(super) enum Loaded {
    Record(Arc<SessionRecord>),
    /// The registry does not know the key.
    Unknown,
    Failed,
}

#[derive(Default)]
pub(super) struct WatchTable {
    sessions: Slab<WatchedSession>,
    /// Sessions by the partition of their user.
    partitions: BTreeSet<([u8; 8], SessionNumber)>,
    deadlines: BTreeSet<(Timestamp, SessionNumber)>,
    /// Number of event streams.
    pages: usize,
}

impl WatchTable {
    /// Returns the number of watched sessions.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Opens a watch, and closes the oldest event stream if the session has too many.
    pub(super) fn open(
        &mut self,
        watch: NewWatch,
        now: Timestamp,
    ) -> (SessionNumber, Arc<Slot>, Vec<Waker>) {
        let number = self.find(&watch.key).unwrap_or_else(|| self.add_session(&watch));
        let slot = Arc::new(Slot::default());
        let deadline = deadline(&watch.record, (watch.limits)(&watch.record), now);
        let deadline = deadline.unwrap_or(now);
        let (limits, kind) = (watch.limits, watch.kind);
        let watches = &mut self.sessions[number].watches;
        watches.push(OpenWatch { slot: Arc::clone(&slot), limits, deadline, kind });
        let wakers = self.close_surplus_pages(number, kind);
        self.set_deadline(number);
        (number, slot, wakers)
    }

    fn add_session(&mut self, watch: &NewWatch) -> SessionNumber {
        let number = self.sessions.insert(WatchedSession {
            key: watch.key,
            id: watch.record.id,
            signing_key: *watch.record.signing_key(),
            last_seen: watch.record.last_seen,
            deadline: NEVER,
            watches: Vec::with_capacity(1),
        });
        self.partitions.insert((partition(watch.key.partition_key()), number));
        number
    }

    fn close_surplus_pages(&mut self, number: SessionNumber, kind: WatchKind) -> Vec<Waker> {
        if kind == WatchKind::Guard {
            return vec![];
        }
        let session = &mut self.sessions[number];
        let surplus = session.pages().saturating_sub(MAX_PAGES);
        self.pages = self.pages + 1 - surplus;
        session.close_pages(surplus, CloseReason::TooMany)
    }

    fn find(&self, key: &RecordKey) -> Option<SessionNumber> {
        self.in_partition(key.partition_key()).find(|number| self.sessions[*number].key == *key)
    }

    /// Returns the sessions of a partition.
    pub(super) fn in_partition(&self, key: &str) -> impl Iterator<Item = SessionNumber> {
        let key = partition(key);
        self.partitions.range((key, 0)..=(key, usize::MAX)).map(|(_, number)| *number)
    }

    /// Returns `true` if the session has an event stream.
    pub(super) fn has_page(&self, number: SessionNumber) -> bool {
        self.sessions.get(number).is_some_and(WatchedSession::has_page)
    }

    pub(super) fn has_id(&self, number: SessionNumber, id: PublicId) -> bool {
        self.sessions.get(number).is_some_and(|session| session.id == id)
    }

    pub(super) fn key(&self, number: SessionNumber) -> Option<RecordKey> {
        self.sessions.get(number).map(|session| session.key)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = SessionNumber> {
        self.sessions.iter().map(|(number, _)| number)
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Returns the sessions whose deadline has passed, the earliest first.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = SessionNumber> {
        let due = self.deadlines.iter().take_while(move |(deadline, _)| *deadline <= now);
        due.map(|(_, number)| *number)
    }

    /// Closes a watch.
    pub(super) fn close(&mut self, number: SessionNumber, slot: &Arc<Slot>) {
        let Some(session) = self.sessions.get_mut(number) else { return };
        let is_watch = |watch: &OpenWatch| Arc::ptr_eq(&watch.slot, slot);
        let Some(index) = session.watches.iter().position(is_watch) else { return };
        let watch = session.watches.remove(index);
        self.pages -= usize::from(watch.kind == WatchKind::Page);
        self.set_deadline(number);
    }

    /// Applies the result of loading a session, and returns the wakers of the streams to notify. If
    /// `is_news`, its event streams get an event. Does nothing if the number is in use for another
    /// session.
    pub(super) fn apply(
        &mut self,
        number: SessionNumber,
        key: RecordKey,
        loaded: Loaded,
        is_news: bool,
        now: Timestamp,
    ) -> Vec<Waker> {
        let session = self.sessions.get_mut(number).filter(|session| session.key == key);
        let Some(session) = session else { return vec![] };
        let before = session.pages();
        let wakers = match loaded {
            Loaded::Record(record) => session.apply(&record, is_news, now),
            Loaded::Unknown => session.end_all(&StreamEnd::from_reason(Reason::Unknown)),
            Loaded::Failed => session.end_due(now),
        };
        self.pages = self.pages + session.pages() - before;
        self.set_deadline(number);
        wakers
    }

    /// Ends all watches.
    pub(super) fn end_all(&mut self, end: &StreamEnd) -> Vec<Waker> {
        let sessions = self.sessions.iter_mut();
        let wakers = sessions.flat_map(|(_, session)| session.end_all(end)).collect();
        *self = Self::default();
        wakers
    }

    /// Sends a heartbeat to all event streams, and returns their wakers.
    pub(super) fn beat(&self) -> Vec<Waker> {
        if self.pages == 0 {
            return vec![];
        }
        let watches = self.sessions.iter().flat_map(|(_, session)| &session.watches);
        let pages = watches.filter(|watch| watch.kind == WatchKind::Page);
        pages.filter_map(|watch| watch.slot.beat()).collect()
    }

    /// Updates the deadline of a session from those of its watches, and removes it without watches.
    fn set_deadline(&mut self, number: SessionNumber) {
        let session = &mut self.sessions[number];
        let first = session.watches.iter().map(|watch| watch.deadline).min();
        let (former, deadline) = (session.deadline, first.unwrap_or(NEVER));
        session.deadline = deadline;
        if former != deadline {
            self.deadlines.remove(&(former, number));
            if deadline != NEVER {
                self.deadlines.insert((deadline, number));
            }
        }
        if session.watches.is_empty() {
            let key = self.sessions.remove(number).key;
            self.partitions.remove(&(partition(key.partition_key()), number));
        }
    }
}

fn partition(key: &str) -> [u8; 8] {
    let mut letters = [0; 8];
    letters.iter_mut().zip(key.bytes()).for_each(|(letter, byte)| *letter = byte);
    letters
}

#[cfg(test)]
#[cfg(not(shuttle))]
pub(super) mod tests {
    use std::task::{Context, Poll};

    use super::*;
    use crate::{
        policy::{Policy, limit::Limits},
        registry::partition_key,
        session::{ended::Ended, login::NewLogin, signing_key::SigningKey},
        time::{hours, minutes},
        watch::slot::PageNews,
    };

    pub(in crate::watch) const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    /// Returns the key and the record of a login at noon.
    pub(in crate::watch) fn login(user: &str) -> (RecordKey, SessionRecord) {
        let login = NewLogin::new(user, NOON, &Policy::new());
        (login.key, SessionRecord::new(&login))
    }

    /// Returns a watch with an idle timeout.
    pub(in crate::watch) fn watch(
        (key, record): &(RecordKey, SessionRecord),
        kind: WatchKind,
        idle: std::time::Duration,
    ) -> NewWatch {
        let limits = Limits { idle: idle.into(), absolute: hours(8).into() };
        let record = Arc::new(record.clone());
        NewWatch { key: *key, record, limits: Box::new(move |_| limits), kind }
    }

    fn news(slot: &Slot) -> Option<PageNews> {
        match slot.poll_news(&Context::from_waker(Waker::noop())) {
            Poll::Ready(news) => Some(news),
            Poll::Pending => None,
        }
    }

    fn end(slot: &Slot) -> Option<&'static str> {
        match slot.poll_end(&Context::from_waker(Waker::noop())) {
            Poll::Ready(end) => Some(end.as_str()),
            Poll::Pending => None,
        }
    }

    fn ended(record: &SessionRecord, reason: Reason) -> Loaded {
        let mut record = record.clone();
        record.end(Ended::new(reason, NOON));
        Loaded::Record(Arc::new(record))
    }

    /// Result of a load: its name, the time, the end of a guard, and the news of a page.
    type Row = (&'static str, u64, Option<&'static str>, &'static str);

    const ROWS: [Row; 12] = [
        ("open", 0, None, "none"),
        ("open", 9, None, "none"),
        ("open", 10, Some("idle"), "ended: idle"),
        ("news", 0, None, "changed"),
        ("news", 10, Some("idle"), "ended: idle"),
        ("evicted", 0, Some("evicted"), "ended: evicted"),
        ("evicted", 10, Some("evicted"), "ended: evicted"),
        ("renewed", 0, Some("renewed"), "closed"),
        ("unknown", 0, Some("unknown"), "ended: unknown"),
        ("failed", 9, None, "none"),
        ("failed", 10, Some("unavailable"), "ended: unavailable"),
        ("other policy", 0, None, "closed"),
    ];

    #[test]
    fn result_of_a_load_ends_guards_and_notifies_pages() {
        for row @ (loaded, minute, guard_end, page_news) in ROWS {
            let (mut table, alice) = (WatchTable::default(), login("alice"));
            let mut open = |kind| table.open(watch(&alice, kind, minutes(10)), NOON).1;
            let (guard, page) = (open(WatchKind::Guard), open(WatchKind::Page));
            let record = alice.1.clone();
            let result = match loaded {
                "open" | "news" => Loaded::Record(Arc::new(record)),
                "evicted" => ended(&record, Reason::Evicted),
                "renewed" => ended(&record, Reason::Renewed),
                "unknown" => Loaded::Unknown,
                "failed" => Loaded::Failed,
                _ => Loaded::Record(Arc::new(record.with_signing_key(SigningKey::random()))),
            };
            let is_news = loaded != "open";
            drop(table.apply(0, alice.0, result, is_news, NOON.plus(minutes(minute))));
            let shown = match news(&page) {
                None => "none".to_owned(),
                Some(PageNews::Ended(end)) => format!("ended: {}", end.as_str()),
                Some(PageNews::Closed(_)) => "closed".to_owned(),
                Some(PageNews::Changed(_)) => "changed".to_owned(),
                Some(PageNews::Heartbeat) => "heartbeat".to_owned(),
            };
            assert_eq!((end(&guard), shown.as_str()), (guard_end, page_news), "{row:?}");
            assert_eq!(table.is_empty(), guard_end.is_some(), "{row:?}");
        }
    }

    #[test]
    fn each_watch_ends_at_its_own_deadline() {
        let (mut table, alice) = (WatchTable::default(), login("alice"));
        let mut open = |idle| table.open(watch(&alice, WatchKind::Guard, idle), NOON).1;
        let (laxer, stricter) = (open(minutes(9)), open(minutes(3)));
        assert_eq!(table.next_deadline(), Some(NOON.plus(minutes(3))));
        let record = || Loaded::Record(Arc::new(alice.1.clone()));
        drop(table.apply(0, alice.0, record(), false, NOON.plus(minutes(3))));
        assert_eq!((end(&stricter), end(&laxer)), (Some("idle"), None));
        assert_eq!(table.next_deadline(), Some(NOON.plus(minutes(9))));
        table.close(0, &stricter);
        table.close(0, &laxer);
        assert!(table.is_empty() && table.next_deadline().is_none());
    }

    #[test]
    fn load_of_a_future_time_does_not_extend_a_watch() {
        let (mut table, alice) = (WatchTable::default(), login("alice"));
        let guard = table.open(watch(&alice, WatchKind::Guard, minutes(10)), NOON).1;
        let earlier = NOON.minus(hours(3));
        for (minute, expected) in [(0, None), (9, None), (10, Some("idle"))] {
            let record = Loaded::Record(Arc::new(alice.1.clone()));
            drop(table.apply(0, alice.0, record, false, earlier.plus(minutes(minute))));
            assert_eq!(end(&guard), expected, "{minute}");
        }
    }

    #[test]
    fn load_of_a_closed_session_ends_no_other_one() {
        let (mut table, alice, bob) = (WatchTable::default(), login("alice"), login("bob"));
        let (number, slot, _) = table.open(watch(&alice, WatchKind::Guard, minutes(10)), NOON);
        table.close(number, &slot);
        let (reused, of_bob, _) = table.open(watch(&bob, WatchKind::Guard, minutes(10)), NOON);
        assert_eq!(reused, number);
        assert!(table.apply(number, alice.0, Loaded::Unknown, true, NOON).is_empty());
        table.close(number, &slot);
        assert_eq!((end(&of_bob), table.len()), (None, 1));
    }

    #[test]
    fn sessions_are_found_by_their_user() {
        let mut table = WatchTable::default();
        for user in ["alice", "bob", "alice"] {
            table.open(watch(&login(user), WatchKind::Guard, minutes(10)), NOON);
        }
        let of = |user: &str| table.in_partition(&partition_key(user)).collect::<Vec<_>>();
        assert_eq!((of("alice"), of("bob"), of("carol")), (vec![0, 2], vec![1], vec![]));
    }

    #[test]
    fn only_pages_get_heartbeats() {
        let (mut table, alice) = (WatchTable::default(), login("alice"));
        let mut open = |kind| table.open(watch(&alice, kind, minutes(10)), NOON).1;
        let (guard, page) = (open(WatchKind::Guard), open(WatchKind::Page));
        assert_eq!((end(&guard), news(&page)), (None, None));
        assert_eq!(table.beat().len(), 1);
        assert_eq!((news(&page), news(&page)), (Some(PageNews::Heartbeat), None));
        table.close(0, &page);
        assert!(table.beat().is_empty());
    }
}
