//! Activity of the user, as far as a request is one.

use super::RequestContext;
use crate::{
    config::write_interval,
    session::{limit::SessionLimit, record::SessionRecord},
    time::Timestamp,
};

impl RequestContext {
    /// Returns the activity to write for this request: when `last_seen` lags by more than the write
    /// interval, or lies in the future.
    pub(crate) fn due_activity(
        &self,
        record: &SessionRecord,
        is_passive: impl FnOnce() -> bool,
    ) -> Option<Timestamp> {
        let is_ahead = record.is_ahead_of(self.progress.completed_at());
        let is_due = is_ahead || self.lags(record);
        match is_due && !self.layers.policies.borrow().effective().passive && !is_passive() {
            true => Some(self.progress.completed_at()),
            false => is_ahead.then_some(record.last_seen),
        }
    }

    /// The strictest idle timeout that can apply to this session decides.
    fn write_interval(&self) -> std::time::Duration {
        let own = write_interval(self.layers.policies.borrow().effective().idle);
        self.mounted.write_interval().min(own)
    }

    /// Returns `true` if `last_seen` lags by more than the write interval.
    pub(crate) fn lags(&self, record: &SessionRecord) -> bool {
        self.progress.completed_at().since(record.last_seen) > self.write_interval()
    }

    /// Returns the session limit of this request if the user may have more sessions open.
    pub(crate) fn exceeded_limit(&self) -> Option<SessionLimit> {
        let limit = SessionLimit::from(&**self.layers.policies.borrow().effective());
        let loaded = self.record().filter(|loaded| !loaded.record.uncounted)?;
        let open = loaded.open.map(|open| usize::try_from(open).unwrap_or(usize::MAX));
        // Sessions that were not counted may be too many.
        let is_exceeded =
            open.map_or(limit.is_exceeded_by(usize::MAX), |open| limit.is_exceeded_by(open));
        is_exceeded.then_some(limit)
    }
}
