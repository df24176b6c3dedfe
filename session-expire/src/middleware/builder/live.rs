//! Options of live sessions: event streams of pages, and the check for lost reports.

use std::time::Duration;

use super::SessionExpireBuilder;
use crate::policy::limit::Limit;

impl SessionExpireBuilder {
    /// Sets whether pages learn at once when their session ends elsewhere. Default: `false`.
    ///
    /// If `true`, the [endpoints](crate::SessionExpire::endpoints) include the event stream, and the
    /// script of [`SessionVars`](crate::SessionVars) opens one for each browser.
    ///
    /// # Cost
    ///
    /// One open connection for each browser. The guide on live sessions describes proxies and several processes.
    pub fn live_pages(mut self, live: bool) -> Self {
        self.live_pages = live;
        self
    }

    /// Sets the time between two checks for lost reports of the registry, while streams are open.
    /// `Limit::Off` for none. Default: one minute.
    ///
    /// A check costs at most one command. If reports were lost, or the registry reports no changes,
    /// the sessions of all open streams are loaded again.
    pub fn live_check(mut self, interval: impl Into<Limit<Duration>>) -> Self {
        self.live_check = interval.into();
        self
    }
}
