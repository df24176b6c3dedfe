//! Future that resolves when a session ends.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use super::{stream_end::StreamEnd, watcher::Watch};

/// Future that resolves when a session ends for any reason, in this process or another.
/// [`SessionHandle::ended`](crate::SessionHandle::ended) returns it.
///
/// It can be moved to another task or thread. Dropping it ends the watch of the session.
#[must_use = "futures do nothing unless polled"]
pub struct SessionEnd(State);

enum State {
    Watching(Watch),
    Ended(StreamEnd),
}

impl SessionEnd {
    pub(crate) fn watching(watch: Watch) -> Self {
        Self(State::Watching(watch))
    }

    /// Returns a future that is complete.
    pub(crate) fn ready(end: StreamEnd) -> Self {
        Self(State::Ended(end))
    }
}

impl Future for SessionEnd {
    type Output = StreamEnd;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<StreamEnd> {
        match &self.0 {
            State::Watching(watch) => watch.poll_end(cx),
            State::Ended(end) => Poll::Ready(end.clone()),
        }
    }
}

impl fmt::Debug for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionEnd(…)")
    }
}
