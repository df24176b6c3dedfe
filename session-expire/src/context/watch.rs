//! Watches of the session of a request.

use std::sync::Arc;

use super::{RequestContext, access::AccessState};
use crate::{
    session::reason::Reason,
    watch::{
        slot::WatchKind,
        stream_end::StreamEnd,
        watcher::{NewWatch, Watch},
    },
};

impl RequestContext {
    /// Opens a watch of the session, with the timeouts of the policy in force.
    ///
    /// # Errors
    ///
    /// Returns the end of the stream if the request has no active session.
    pub(crate) fn watch(&self, kind: WatchKind) -> Result<Watch, StreamEnd> {
        let Some(loaded) = self.record().filter(|_| self.acts_for_session()) else {
            return Err(self.end_without_session());
        };
        self.config().watcher.open(NewWatch {
            key: loaded.key,
            record: Arc::clone(&loaded.record),
            limits: self.limits_fn(),
            kind,
        })
    }

    fn end_without_session(&self) -> StreamEnd {
        let (reason, cause) = match *self.access() {
            AccessState::Unavailable => return StreamEnd::Unavailable,
            AccessState::Expired(reason) => (reason, self.ended().and_then(|e| e.cause.clone())),
            AccessState::Active(_) if self.intent().signs_out => (Reason::LoggedOut, None),
            AccessState::Active(_) | AccessState::Anonymous => (Reason::Unknown, None),
        };
        StreamEnd::Ended { reason, cause }
    }
}
