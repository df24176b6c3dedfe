//! State that a stream shares with the watch thread.
//!
//! The thread writes it and wakes the stream, which reads it when it is polled.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::stream_end::StreamEnd;
use crate::session::record::SessionRecord;

/// Kind of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchKind {
    /// It is notified of the end only.
    Guard,
    /// It is also notified of changes of the user's sessions, and of heartbeats.
    Page,
}

/// News for the event stream of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PageNews {
    /// The sessions of the user have changed. Contains the current record of the page's session.
    Changed(Arc<SessionRecord>),
    /// The connection must carry some data, so that proxies do not close it.
    Heartbeat,
    /// The session has ended.
    Ended(StreamEnd),
    /// The stream closes without an event, and the page reconnects.
    Closed(CloseReason),
}

/// Reason why the stream of an active session closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The key or the policy of the session has changed.
    Changed,
    /// The session has too many streams.
    TooMany,
}

#[derive(Default)]
pub(super) struct Slot(Mutex<SlotState>);

#[derive(Default)]
struct SlotState {
    /// Allocated at the end only, so an open stream needs less memory.
    end: Option<Box<StreamEnd>>,
    closed: Option<CloseReason>,
    /// Current record, if an event is due.
    changed: Option<Arc<SessionRecord>>,
    has_heartbeat: bool,
    waker: Option<Waker>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and returns the waker of the stream.
    fn set(&self, change: impl FnOnce(&mut SlotState)) -> Option<Waker> {
        let mut state = self.lock();
        change(&mut state);
        state.waker.take()
    }

    /// Sets the end. The first one stays.
    pub(super) fn end(&self, end: StreamEnd) -> Option<Waker> {
        self.set(|state| _ = state.end.get_or_insert_with(|| Box::new(end)))
    }

    pub(super) fn close(&self, reason: CloseReason) -> Option<Waker> {
        self.set(|state| state.closed = Some(reason))
    }

    pub(super) fn change(&self, record: Arc<SessionRecord>) -> Option<Waker> {
        self.set(|state| state.changed = Some(record))
    }

    pub(super) fn beat(&self) -> Option<Waker> {
        self.set(|state| state.has_heartbeat = true)
    }

    pub(super) fn poll_end(&self, cx: &Context<'_>) -> Poll<StreamEnd> {
        let mut state = self.lock();
        match &state.end {
            Some(end) => Poll::Ready(StreamEnd::clone(end)),
            None => state.wait(cx),
        }
    }

    pub(super) fn poll_news(&self, cx: &Context<'_>) -> Poll<PageNews> {
        let mut state = self.lock();
        if let Some(end) = &state.end {
            return Poll::Ready(PageNews::Ended(StreamEnd::clone(end)));
        }
        if let Some(reason) = state.closed {
            return Poll::Ready(PageNews::Closed(reason));
        }
        if let Some(record) = state.changed.take() {
            return Poll::Ready(PageNews::Changed(record));
        }
        match std::mem::take(&mut state.has_heartbeat) {
            true => Poll::Ready(PageNews::Heartbeat),
            false => state.wait(cx),
        }
    }
}

impl SlotState {
    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("end", &self.lock().end).finish_non_exhaustive()
    }
}
