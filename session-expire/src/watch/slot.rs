//! State that a stream shares with the watch thread.
//!
//! The thread writes the state and wakes the stream. The stream reads it when it is polled.

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
    /// Watch of a guarded stream. It is notified of the end only.
    Guard,
    /// Watch of an event stream. It is also notified of changes of the user's sessions, and of
    /// heartbeats.
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

/// Reason why an event stream closes although its session is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The key or the policy of the session has changed.
    Changed,
    /// The session has too many event streams.
    TooMany,
}

#[derive(Default)]
pub(super) struct Slot(Mutex<SlotState>);

/// State of a slot. It is small, because each open stream has one.
#[derive(Default)]
struct SlotState {
    news: News,
    waker: Option<Waker>,
}

/// News that the stream has not read. The end replaces all other news, and a heartbeat replaces
/// none.
#[derive(Default)]
enum News {
    #[default]
    None,
    Heartbeat,
    Changed(Arc<SessionRecord>),
    Closed(CloseReason),
    /// Boxed, so that an open stream needs less memory.
    Ended(Box<StreamEnd>),
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the news if `replaces` returns `true`, and returns the waker of the stream.
    fn set(&self, news: News, replaces: impl FnOnce(&News) -> bool) -> Option<Waker> {
        let mut state = self.lock();
        let former = replaces(&state.news).then(|| std::mem::replace(&mut state.news, news));
        let waker = state.waker.take();
        drop(state);
        drop(former);
        waker
    }

    /// Sets the end, unless there is one already.
    pub(super) fn end(&self, end: StreamEnd) -> Option<Waker> {
        self.set(News::Ended(Box::new(end)), |news| !matches!(news, News::Ended(_)))
    }

    pub(super) fn close(&self, reason: CloseReason) -> Option<Waker> {
        self.set(News::Closed(reason), |news| !matches!(news, News::Ended(_)))
    }

    pub(super) fn change(&self, record: Arc<SessionRecord>) -> Option<Waker> {
        let is_open = |news: &News| !matches!(news, News::Ended(_) | News::Closed(_));
        self.set(News::Changed(record), is_open)
    }

    pub(super) fn send_heartbeat(&self) -> Option<Waker> {
        self.set(News::Heartbeat, |news| matches!(news, News::None))
    }

    pub(super) fn poll_end(&self, cx: &Context<'_>) -> Poll<StreamEnd> {
        self.poll(cx, |news| match news {
            News::Ended(end) => Some(StreamEnd::clone(end)),
            _ => None,
        })
    }

    pub(super) fn poll_news(&self, cx: &Context<'_>) -> Poll<PageNews> {
        self.poll(cx, News::take)
    }

    fn poll<T>(&self, cx: &Context<'_>, take: impl FnOnce(&mut News) -> Option<T>) -> Poll<T> {
        let mut state = self.lock();
        if let Some(value) = take(&mut state.news) {
            return Poll::Ready(value);
        }
        let former = state.wait(cx);
        drop(state);
        drop(former);
        Poll::Pending
    }
}

impl News {
    fn take(&mut self) -> Option<PageNews> {
        match self {
            Self::None => return None,
            Self::Closed(reason) => return Some(PageNews::Closed(*reason)),
            Self::Ended(end) => return Some(PageNews::Ended(StreamEnd::clone(end))),
            Self::Heartbeat | Self::Changed(_) => {}
        }
        Some(match std::mem::take(self) {
            Self::Changed(record) => PageNews::Changed(record),
            _ => PageNews::Heartbeat,
        })
    }
}

impl SlotState {
    /// Stores the waker of `cx`, and returns the former one. Dropping a waker may drop a stream,
    /// which must not happen while the slot is locked.
    fn wait(&mut self, cx: &Context<'_>) -> Option<Waker> {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => self.waker.replace(cx.waker().clone()),
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot(…)")
    }
}
