//! Watched session: its open watches, and the effect of a loaded record on them.

use std::{sync::Arc, task::Waker};

use super::{
    slot::{CloseReason, Slot, WatchKind},
    stream_end::StreamEnd,
};
use crate::{
    policy::limit::{Limit, Limits},
    session::{
        key::{PublicId, RecordKey},
        reason::Reason,
        record::SessionRecord,
        signing_key::SigningKey,
        verdict::{Verdict, judge_limits},
    },
    time::Timestamp,
};

/// Function that returns the timeouts of a stream for the current record of its session.
pub(crate) type LimitsFn = Box<dyn Fn(&SessionRecord) -> Limits + Send + Sync>;

/// Deadline of a session without timeouts.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

pub(super) struct WatchedSession {
    pub(super) key: RecordKey,
    pub(super) id: PublicId,
    pub(super) signing_key: SigningKey,
    /// Time of the last activity when the session was loaded last.
    pub(super) last_seen: Timestamp,
    /// First deadline of the watches. [`NEVER`] without one.
    pub(super) deadline: Timestamp,
    pub(super) watches: Vec<OpenWatch>,
}

pub(super) struct OpenWatch {
    pub(super) slot: Arc<Slot>,
    pub(super) limits: LimitsFn,
    /// Last known deadline; [`NEVER`] without one.
    pub(super) deadline: Timestamp,
    pub(super) kind: WatchKind,
}

impl WatchedSession {
    pub(super) fn pages(&self) -> usize {
        self.watches.iter().filter(|watch| watch.kind == WatchKind::Page).count()
    }

    pub(super) fn has_page(&self) -> bool {
        self.watches.iter().any(|watch| watch.kind == WatchKind::Page)
    }

    pub(super) fn apply(
        &mut self,
        record: &Arc<SessionRecord>,
        is_news: bool,
        now: Timestamp,
    ) -> Vec<Waker> {
        match &record.ended {
            Some(ended) if ended.reason == Reason::Renewed => {
                let mut wakers = self.close_pages(usize::MAX, CloseReason::Changed);
                wakers.extend(self.end_all(&ended.clone().into()));
                wakers
            }
            Some(ended) => self.end_all(&ended.clone().into()),
            None => self.apply_open(record, is_news, now),
        }
    }

    fn apply_open(
        &mut self,
        record: &Arc<SessionRecord>,
        is_news: bool,
        now: Timestamp,
    ) -> Vec<Waker> {
        let mut wakers = vec![];
        if self.signing_key != *record.signing_key() {
            self.signing_key = *record.signing_key();
            wakers.extend(self.close_pages(usize::MAX, CloseReason::Changed));
        }
        let is_frozen = record.last_seen == self.last_seen && record.is_ahead_of(now);
        self.last_seen = record.last_seen;
        self.watches.retain_mut(|watch| {
            let checked = watch.next_deadline(record, is_frozen, now);
            let waker = match &checked {
                Ok(_) if is_news && watch.kind == WatchKind::Page => {
                    watch.slot.change(Arc::clone(record))
                }
                Ok(_) => None,
                Err(reason) => watch.slot.end(StreamEnd::from_reason(*reason)),
            };
            watch.deadline = checked.unwrap_or(now);
            wakers.extend(waker);
            checked.is_ok()
        });
        wakers
    }

    /// Ends the watches whose deadline has passed: the registry is unavailable.
    pub(super) fn end_due(&mut self, now: Timestamp) -> Vec<Waker> {
        let due = self.watches.extract_if(.., |watch| watch.deadline <= now);
        due.filter_map(|watch| watch.slot.end(StreamEnd::Unavailable)).collect()
    }

    pub(super) fn end_all(&mut self, end: &StreamEnd) -> Vec<Waker> {
        self.watches.drain(..).filter_map(|watch| watch.slot.end(end.clone())).collect()
    }

    /// Closes the oldest event streams without an event.
    pub(super) fn close_pages(&mut self, count: usize, reason: CloseReason) -> Vec<Waker> {
        let pages = self.watches.extract_if(.., |watch| watch.kind == WatchKind::Page);
        pages.take(count).filter_map(|watch| watch.slot.close(reason)).collect()
    }
}

impl OpenWatch {
    /// Returns the next deadline; the reason if the session has expired.
    ///
    /// `is_frozen` is `true` after the clock was set back, until the next activity. Times in the
    /// future count as `now`, so each load would extend the session.
    fn next_deadline(
        &self,
        record: &SessionRecord,
        is_frozen: bool,
        now: Timestamp,
    ) -> Result<Timestamp, Reason> {
        let limits = (self.limits)(record);
        let deadline = deadline(record, limits, now)?;
        match self.deadline.min(deadline) {
            _ if !is_frozen => Ok(deadline),
            known if known > now => Ok(known),
            _ if limits.idle.at().is_some() => Err(Reason::Idle),
            _ => Err(Reason::Absolute),
        }
    }
}

/// Returns the time at which an open session expires without further activity; the reason if it has
/// expired.
pub(super) fn deadline(
    record: &SessionRecord,
    limits: Limits,
    now: Timestamp,
) -> Result<Timestamp, Reason> {
    match judge_limits(&record.facts(), limits, now) {
        Verdict::Active(left) => match left.nearest() {
            Limit::At(left) => Ok(now.plus(left)),
            Limit::Off => Ok(NEVER),
        },
        Verdict::Expired(reason) => Err(reason),
        Verdict::Anonymous => Err(Reason::Unknown),
    }
}
