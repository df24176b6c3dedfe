//! Activity of the user, and the session limit of a request.
//!
//! A request writes `last_seen` only if the write interval has passed. Settling and the session
//! variables use it.

use super::RequestContext;
use crate::{
    config::write_interval,
    session::{freshness::is_remembered, limit::SessionLimit, record::SessionRecord},
    time::Timestamp,
};

impl RequestContext {
    /// Returns the time to write to `last_seen`. It is due if `last_seen` is older than the write
    /// interval, or in the future, or if a page has revealed a laxer policy. A passive request is
    /// not activity, but corrects a time in the future.
    pub(crate) fn due_activity(
        &self,
        record: &SessionRecord,
        is_passive: impl FnOnce() -> bool,
    ) -> Option<Timestamp> {
        let is_ahead = record.is_ahead_of(self.progress.completed_at());
        let is_due = is_ahead
            || self.is_last_seen_stale(record)
            || self.config().longer_timeouts(record).is_some();
        match is_due && !self.layers.policies.borrow().effective().passive && !is_passive() {
            true => Some(self.progress.completed_at()),
            false => is_ahead.then_some(record.last_seen),
        }
    }

    /// Returns `true` if activity in this request makes the session remembered; see
    /// [`is_remembered`].
    pub(crate) fn is_remembered(&self, record: &SessionRecord) -> bool {
        is_remembered(record, self.config().policy.idle, self.now)
    }

    /// Returns the write interval for the strictest idle timeout that can apply to this session.
    pub(crate) fn write_interval(&self) -> std::time::Duration {
        let own = write_interval(self.layers.policies.borrow().effective().idle);
        self.mounted.write_interval().min(own)
    }

    /// Returns `true` if `last_seen` is older than the write interval.
    pub(crate) fn is_last_seen_stale(&self, record: &SessionRecord) -> bool {
        self.progress.completed_at().since(record.last_seen) > self.write_interval()
    }

    /// Returns the session limit of this request if the user may have more open sessions than that.
    pub(crate) fn exceeded_limit(&self) -> Option<SessionLimit> {
        let limit = SessionLimit::from(&**self.layers.policies.borrow().effective());
        let loaded = self.record().filter(|loaded| !loaded.record.uncounted)?;
        let open = loaded.open.map(|open| usize::try_from(open).unwrap_or(usize::MAX));
        // If the sessions were not counted, assume that there are too many.
        let is_exceeded =
            open.map_or(limit.is_exceeded_by(usize::MAX), |open| limit.is_exceeded_by(open));
        is_exceeded.then_some(limit)
    }
}
