//! Open watches of all sessions, with their deadlines.
//!
//! The watches of a session form a linked list, the oldest first. The cost of opening or closing a
//! watch does not depend on the length of the list.

use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, task::Waker};

use super::{
    chunked_slab::ChunkedSlab,
    slot::{CloseReason, Slot},
    stream_end::StreamEnd,
    table::SessionNumber,
    watched_session::{NEVER, OpenWatch, WatchedSession},
};
use crate::{
    session::{reason::Reason, record::SessionRecord},
    time::Timestamp,
};

/// Number of a watch. It may be reused after the watch has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WatchNumber(NonZeroU32);

impl WatchNumber {
    fn new(index: usize) -> Self {
        // A watch needs memory, so there are fewer than 2^32 of them.
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.unwrap_or(NonZeroU32::MAX))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[derive(Default)]
pub(super) struct WatchList {
    watches: ChunkedSlab<OpenWatch>,
    deadlines: BTreeSet<(Timestamp, WatchNumber)>,
    /// Number of event streams.
    pages: usize,
}

impl WatchList {
    fn get(&self, number: WatchNumber) -> Option<&OpenWatch> {
        self.watches.get(number.index())
    }

    /// Returns the session of a watch; `None` if the number now belongs to a watch with another
    /// slot.
    pub(super) fn session(&self, number: WatchNumber, slot: &Arc<Slot>) -> Option<SessionNumber> {
        let watch = self.get(number).filter(|watch| Arc::ptr_eq(&watch.slot, slot));
        watch.map(|watch| watch.session)
    }

    /// Adds the newest watch of a session.
    pub(super) fn add(&mut self, session: &mut WatchedSession, watch: OpenWatch) -> WatchNumber {
        let (deadline, newest) = (watch.deadline, session.watches.map(|(_, newest)| newest));
        self.count_page(session, &watch, true);
        let number = WatchNumber::new(self.watches.insert(OpenWatch { older: newest, ..watch }));
        self.add_deadline(deadline, number);
        if let Some(newest) = newest {
            self.watches[newest.index()].newer = Some(number);
        }
        session.watches = Some((session.watches.map_or(number, |(oldest, _)| oldest), number));
        number
    }

    /// Removes a watch of a session.
    pub(super) fn remove(
        &mut self,
        session: &mut WatchedSession,
        number: WatchNumber,
    ) -> OpenWatch {
        let watch = self.watches.remove(number.index());
        self.deadlines.remove(&(watch.deadline, number));
        self.count_page(session, &watch, false);
        if let Some(older) = watch.older {
            self.watches[older.index()].newer = watch.newer;
        }
        if let Some(newer) = watch.newer {
            self.watches[newer.index()].older = watch.older;
        }
        session.watches = session.watches.and_then(|(oldest, newest)| {
            let oldest = if oldest == number { watch.newer? } else { oldest };
            let newest = if newest == number { watch.older? } else { newest };
            Some((oldest, newest))
        });
        watch
    }

    fn count_page(&mut self, session: &mut WatchedSession, watch: &OpenWatch, is_new: bool) {
        match (watch.page.is_some(), is_new) {
            (false, _) => {}
            (true, true) => (session.pages, self.pages) = (session.pages + 1, self.pages + 1),
            (true, false) => (session.pages, self.pages) = (session.pages - 1, self.pages - 1),
        }
    }

    fn add_deadline(&mut self, deadline: Timestamp, number: WatchNumber) {
        if deadline != NEVER {
            self.deadlines.insert((deadline, number));
        }
    }

    fn set_deadline(&mut self, number: WatchNumber, deadline: Timestamp) {
        let former = std::mem::replace(&mut self.watches[number.index()].deadline, deadline);
        if former != deadline {
            self.deadlines.remove(&(former, number));
            self.add_deadline(deadline, number);
        }
    }

    /// Returns the deadlines with their sessions, the earliest first.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = (Timestamp, SessionNumber)> {
        let deadlines = self.deadlines.iter();
        deadlines.filter_map(|(deadline, number)| Some((*deadline, self.get(*number)?.session)))
    }

    /// Returns the watches of a session, the oldest first.
    fn numbers(&self, session: &WatchedSession) -> Vec<WatchNumber> {
        let first = session.watches.map(|(oldest, _)| oldest);
        std::iter::successors(first, |number| self.get(*number)?.newer).collect()
    }

    /// Applies the current record of a session, and returns the wakers of the streams to notify.
    pub(super) fn apply(
        &mut self,
        session: &mut WatchedSession,
        record: &Arc<SessionRecord>,
        is_news: bool,
        now: Timestamp,
    ) -> Vec<Waker> {
        match &record.ended {
            None => self.apply_open(session, record, is_news, now),
            Some(ended) => {
                let is_renewed = ended.reason == Reason::Renewed;
                let pages = if is_renewed { usize::MAX } else { 0 };
                let mut wakers = self.close_pages(session, pages, CloseReason::Changed);
                wakers.extend(self.end_all(session, &ended.clone().into()));
                wakers
            }
        }
    }

    fn apply_open(
        &mut self,
        session: &mut WatchedSession,
        record: &Arc<SessionRecord>,
        is_news: bool,
        now: Timestamp,
    ) -> Vec<Waker> {
        let is_frozen = record.last_seen == session.last_seen && record.is_ahead_of(now);
        session.last_seen = record.last_seen;
        let mut wakers = vec![];
        for number in self.numbers(session) {
            let watch = &self.watches[number.index()];
            let waker = match watch.next_deadline(record, is_frozen, now) {
                _ if watch.has_void_token(record) => {
                    self.remove(session, number).slot.close(CloseReason::Changed)
                }
                Ok(deadline) => {
                    let changed = is_news && watch.page.is_some();
                    let waker = changed.then(|| watch.slot.change(Arc::clone(record)));
                    self.set_deadline(number, deadline);
                    waker.flatten()
                }
                Err(reason) => {
                    self.remove(session, number).slot.end(StreamEnd::from_reason(reason))
                }
            };
            wakers.extend(waker);
        }
        wakers
    }

    /// Ends the watches whose deadline has passed, because the registry is unavailable.
    pub(super) fn end_due(&mut self, session: &mut WatchedSession, now: Timestamp) -> Vec<Waker> {
        let mut due = self.numbers(session);
        due.retain(|number| self.get(*number).is_some_and(|watch| watch.deadline <= now));
        self.end(session, due, &StreamEnd::Unavailable)
    }

    pub(super) fn end_all(&mut self, session: &mut WatchedSession, end: &StreamEnd) -> Vec<Waker> {
        let all = self.numbers(session);
        self.end(session, all, end)
    }

    /// Ends the watches of all sessions.
    pub(super) fn end_each(self, end: &StreamEnd) -> Vec<Waker> {
        self.watches.iter().filter_map(|(_, watch)| watch.slot.end(end.clone())).collect()
    }

    fn end(
        &mut self,
        session: &mut WatchedSession,
        numbers: Vec<WatchNumber>,
        end: &StreamEnd,
    ) -> Vec<Waker> {
        let watches = numbers.into_iter().map(|number| self.remove(session, number));
        watches.filter_map(|watch| watch.slot.end(end.clone())).collect()
    }

    /// Closes the `count` oldest event streams of a session without sending an event.
    pub(super) fn close_pages(
        &mut self,
        session: &mut WatchedSession,
        count: usize,
        reason: CloseReason,
    ) -> Vec<Waker> {
        if count == 0 || session.pages == 0 {
            return vec![];
        }
        let mut pages = self.numbers(session);
        pages.retain(|number| self.get(*number).is_some_and(|watch| watch.page.is_some()));
        let pages = pages.into_iter().take(count);
        let closed = pages.map(|number| self.remove(session, number));
        closed.filter_map(|watch| watch.slot.close(reason)).collect()
    }

    /// Sends a heartbeat to all event streams, and returns their wakers.
    pub(super) fn send_heartbeats(&self) -> Vec<Waker> {
        if self.pages == 0 {
            return vec![];
        }
        let pages = self.watches.iter().filter(|(_, watch)| watch.page.is_some());
        pages.filter_map(|(_, watch)| watch.slot.send_heartbeat()).collect()
    }
}
