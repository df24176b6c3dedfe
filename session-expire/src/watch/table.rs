//! Table of watched sessions, with their deadlines.
//!
//! The table does no I/O and reads no clock. The watcher adds and removes watches. The watch thread
//! gets the sessions to load from it, and applies the loaded records.

use std::{collections::BTreeSet, sync::Arc, task::Waker};

use super::{
    chunked_slab::ChunkedSlab,
    load_queue::LoadState,
    slot::{CloseReason, Slot, WatchKind},
    stream_end::StreamEnd,
    watch_list::{WatchList, WatchNumber},
    watched_session::{LimitsFn, OpenWatch, WatchedSession},
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

/// Number of a watched session in the table. It may be reused after its last watch has closed.
pub(super) type SessionNumber = usize;

/// Watch in the table.
pub(super) struct WatchRef {
    number: WatchNumber,
    pub(super) slot: Arc<Slot>,
}

/// Result of loading a watched session.
pub(super) enum Loaded {
    Record(Arc<SessionRecord>),
    /// The registry does not know the key.
    Unknown,
    Failed,
}

#[derive(Default)]
pub(super) struct WatchTable {
    sessions: ChunkedSlab<WatchedSession>,
    /// Sessions by the partition of their user.
    partitions: BTreeSet<([u8; 8], SessionNumber)>,
    watches: WatchList,
}

impl WatchTable {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.len() == 0
    }

    /// Opens a watch. If the session then has more than [`MAX_PAGES`] event streams, the oldest
    /// closes.
    pub(super) fn open(&mut self, watch: NewWatch, now: Timestamp) -> (WatchRef, Vec<Waker>) {
        let number = self.find(&watch.key).unwrap_or_else(|| self.add_session(&watch));
        let open = OpenWatch::new(watch, number, now);
        let (slot, session) = (Arc::clone(&open.slot), &mut self.sessions[number]);
        let watch = self.watches.add(session, open);
        let surplus = (session.pages as usize).saturating_sub(MAX_PAGES);
        let wakers = self.watches.close_pages(session, surplus, CloseReason::TooMany);
        (WatchRef { number: watch, slot }, wakers)
    }

    fn add_session(&mut self, watch: &NewWatch) -> SessionNumber {
        let number = self.sessions.insert(WatchedSession {
            key: watch.key,
            id: watch.record.id,
            last_seen: watch.record.last_seen,
            load: LoadState::default(),
            watches: None,
            pages: 0,
        });
        self.partitions.insert((partition(watch.key.partition_key()), number));
        number
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
        self.sessions.get(number).is_some_and(|session| session.pages > 0)
    }

    pub(super) fn has_id(&self, number: SessionNumber, id: PublicId) -> bool {
        self.sessions.get(number).is_some_and(|session| session.id == id)
    }

    pub(super) fn key(&self, number: SessionNumber) -> Option<RecordKey> {
        self.sessions.get(number).map(|session| session.key)
    }

    pub(super) fn load(&self, number: SessionNumber) -> Option<&LoadState> {
        self.sessions.get(number).map(|session| &session.load)
    }

    pub(super) fn load_mut(&mut self, number: SessionNumber) -> Option<&mut LoadState> {
        self.sessions.get_mut(number).map(|session| &mut session.load)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = SessionNumber> {
        self.sessions.iter().map(|(number, _)| number)
    }

    /// Returns the earliest deadline of the sessions without a running load.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let mut deadlines = self.watches.deadlines();
        deadlines.find(|(_, number)| !self.is_loading(*number)).map(|(deadline, _)| deadline)
    }

    /// Returns at most `count` sessions whose deadline has passed and that have no running load, in
    /// the order of their deadlines.
    pub(super) fn due(&self, now: Timestamp, count: usize) -> Vec<SessionNumber> {
        let mut seen = BTreeSet::new();
        let due = self.watches.deadlines().take_while(|(deadline, _)| *deadline <= now);
        let numbers = due.map(|(_, number)| number);
        let numbers = numbers.filter(|number| !self.is_loading(*number) && seen.insert(*number));
        numbers.take(count).collect()
    }

    fn is_loading(&self, number: SessionNumber) -> bool {
        self.load(number).is_some_and(|load| load.running.is_some())
    }

    /// Closes a watch.
    pub(super) fn close(&mut self, watch: &WatchRef) {
        if let Some(number) = self.session(watch)
            && let Some(session) = self.sessions.get_mut(number)
        {
            drop(self.watches.remove(session, watch.number));
            self.remove_without_watches(number);
        }
    }

    /// Returns the session of a watch; `None` if the watch has closed.
    pub(super) fn session(&self, watch: &WatchRef) -> Option<SessionNumber> {
        self.watches.session(watch.number, &watch.slot)
    }

    /// Applies the result of loading a session, and returns the wakers of the streams to notify. If
    /// `is_news` is `true`, the event streams of the session get an event.
    pub(super) fn apply(
        &mut self,
        number: SessionNumber,
        loaded: &Loaded,
        is_news: bool,
        now: Timestamp,
    ) -> Vec<Waker> {
        let (Some(session), watches) = (self.sessions.get_mut(number), &mut self.watches) else {
            return vec![];
        };
        let wakers = match loaded {
            Loaded::Record(record) => watches.apply(session, record, is_news, now),
            Loaded::Unknown => watches.end_all(session, &StreamEnd::from_reason(Reason::Unknown)),
            Loaded::Failed => watches.end_due(session, now),
        };
        self.remove_without_watches(number);
        wakers
    }

    /// Ends all watches.
    pub(super) fn end_all(&mut self, end: &StreamEnd) -> Vec<Waker> {
        std::mem::take(self).watches.end_each(end)
    }

    /// Sends a heartbeat to all event streams, and returns their wakers.
    pub(super) fn send_heartbeats(&self) -> Vec<Waker> {
        self.watches.send_heartbeats()
    }

    fn remove_without_watches(&mut self, number: SessionNumber) {
        if self.sessions[number].watches.is_none() {
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
        NewWatch { key: *key, record, limits: Arc::new(move |_| limits), kind }
    }

    pub(in crate::watch) fn news(watch: &WatchRef) -> Option<PageNews> {
        match watch.slot.poll_news(&Context::from_waker(Waker::noop())) {
            Poll::Ready(news) => Some(news),
            Poll::Pending => None,
        }
    }

    pub(in crate::watch) fn end(watch: &WatchRef) -> Option<&'static str> {
        match watch.slot.poll_end(&Context::from_waker(Waker::noop())) {
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
            let mut open = |kind| table.open(watch(&alice, kind, minutes(10)), NOON).0;
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
            drop(table.apply(0, &result, is_news, NOON.plus(minutes(minute))));
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
        let mut open = |idle| table.open(watch(&alice, WatchKind::Guard, idle), NOON).0;
        let (laxer, stricter) = (open(minutes(9)), open(minutes(3)));
        assert_eq!(table.next_deadline(), Some(NOON.plus(minutes(3))));
        let record = || Loaded::Record(Arc::new(alice.1.clone()));
        drop(table.apply(0, &record(), false, NOON.plus(minutes(3))));
        assert_eq!((end(&stricter), end(&laxer)), (Some("idle"), None));
        assert_eq!(table.next_deadline(), Some(NOON.plus(minutes(9))));
        table.close(&stricter);
        table.close(&laxer);
        assert!(table.is_empty() && table.next_deadline().is_none());
    }

    #[test]
    fn load_of_a_future_time_does_not_extend_a_watch() {
        let (mut table, alice) = (WatchTable::default(), login("alice"));
        let guard = table.open(watch(&alice, WatchKind::Guard, minutes(10)), NOON).0;
        let earlier = NOON.minus(hours(3));
        for (minute, expected) in [(0, None), (9, None), (10, Some("idle"))] {
            let record = Loaded::Record(Arc::new(alice.1.clone()));
            drop(table.apply(0, &record, false, earlier.plus(minutes(minute))));
            assert_eq!(end(&guard), expected, "{minute}");
        }
    }

    #[test]
    fn closed_watch_closes_no_other_one() {
        let (mut table, alice, bob) = (WatchTable::default(), login("alice"), login("bob"));
        let first = table.open(watch(&alice, WatchKind::Guard, minutes(10)), NOON).0;
        table.close(&first);
        let other = table.open(watch(&bob, WatchKind::Guard, minutes(10)), NOON).0;
        assert_eq!(other.number, first.number);
        table.close(&first);
        assert_eq!((end(&other), table.len()), (None, 1));
    }

    #[test]
    fn any_watch_of_a_session_may_close_first() {
        for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            let (mut table, alice) = (WatchTable::default(), login("alice"));
            let mut open = |_| table.open(watch(&alice, WatchKind::Guard, minutes(10)), NOON).0;
            let watches = [0, 1, 2].map(&mut open);
            table.close(&watches[order[0]]);
            table.close(&watches[order[1]]);
            assert_eq!(table.apply(0, &Loaded::Unknown, false, NOON).len(), 0, "{order:?}");
            let ends = order.map(|number| end(&watches[number]));
            assert_eq!(ends, [None, None, Some("unknown")], "{order:?}");
            assert!(table.is_empty() && table.next_deadline().is_none(), "{order:?}");
        }
    }

    /// A request may load its record before `refresh_policy`, and open its stream after it.
    #[test]
    fn page_with_a_void_token_is_closed() {
        let (mut table, alice) = (WatchTable::default(), login("alice"));
        let refreshed = Arc::new(alice.1.clone().with_signing_key(SigningKey::random()));
        let current = (alice.0, SessionRecord::clone(&refreshed));
        let page = |record| watch(record, WatchKind::Page, minutes(10));
        let (current, void) =
            (table.open(page(&current), NOON).0, table.open(page(&alice), NOON).0);
        drop(table.apply(0, &Loaded::Record(refreshed), false, NOON));
        let closed = Some(PageNews::Closed(CloseReason::Changed));
        assert_eq!((news(&current), news(&void)), (None, closed));
    }

    #[test]
    fn ninth_page_closes_the_oldest() {
        let (mut table, alice) = (WatchTable::default(), login("alice"));
        let mut open = |kind| table.open(watch(&alice, kind, minutes(10)), NOON).0;
        let guard = open(WatchKind::Guard);
        let pages: Vec<_> = (0..=MAX_PAGES).map(|_| open(WatchKind::Page)).collect();
        assert_eq!(news(&pages[0]), Some(PageNews::Closed(CloseReason::TooMany)));
        assert!(pages[1..].iter().chain([&guard]).all(|watch| news(watch).is_none()));
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
        let mut open = |kind| table.open(watch(&alice, kind, minutes(10)), NOON).0;
        let (guard, page) = (open(WatchKind::Guard), open(WatchKind::Page));
        assert_eq!((end(&guard), news(&page)), (None, None));
        assert_eq!(table.send_heartbeats().len(), 1);
        assert_eq!((news(&page), news(&page)), (Some(PageNews::Heartbeat), None));
        table.close(&page);
        assert!(table.send_heartbeats().is_empty());
    }
}
