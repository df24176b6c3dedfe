//! Options of live sessions: live pages, and the check for lost reports.

use std::time::Duration;

use super::SessionExpireBuilder;
use crate::policy::limit::Limit;

impl SessionExpireBuilder {
    /// Sets whether open pages are notified at once when their session ends elsewhere. Default:
    /// `false`.
    ///
    /// If `true`, the [endpoints](crate::SessionExpire::endpoints) include the event stream. The
    /// script of [`SessionVars`](crate::SessionVars) opens one event stream per browser.
    ///
    /// # Cost
    ///
    /// Each browser with an open page holds one connection. The guide on live sessions describes
    /// proxies and several processes.
    pub fn live_pages(mut self, live: bool) -> Self {
        self.live_pages = live;
        self
    }

    /// Sets the time between two checks for lost reports while streams are open. Default: one
    /// minute. `Limit::Off` turns the checks off.
    ///
    /// A check costs at most one command. If reports were lost, or if the registry has no reports,
    /// the middleware loads the sessions of all open streams again.
    pub fn live_check(mut self, interval: impl Into<Limit<Duration>>) -> Self {
        self.live_check = interval.into();
        self
    }
}
