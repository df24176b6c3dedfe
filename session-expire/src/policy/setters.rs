//! Setters of policies and patches.

/// Setters that a policy and a patch have in common; `$set` makes a field of a value.
macro_rules! setters {
    ($set:expr) => {
        /// Sets the idle timeout; `Limit::Off` for none.
        #[must_use]
        pub fn idle(mut self, limit: impl Into<Limit<Duration>>) -> Self {
            self.idle = $set(limit.into());
            self
        }

        /// Sets the absolute timeout, counted from the login; `Limit::Off` for none.
        #[must_use]
        pub fn absolute(mut self, limit: impl Into<Limit<Duration>>) -> Self {
            self.absolute = $set(limit.into());
            self
        }

        /// Sets how long before the end the user is warned; `Limit::Off` for no warning.
        #[must_use]
        pub fn warn(mut self, before_end: impl Into<Limit<Duration>>) -> Self {
            self.warn = Some(before_end.into());
            self
        }

        /// Sets how many sessions a user may have at once; `0` or `Limit::Off` for no configured
        /// limit.
        #[must_use]
        pub fn max_sessions(mut self, limit: impl Into<Limit<u32>>) -> Self {
            self.max_sessions = $set(limit.into());
            self
        }

        /// Sets which session ends when the limit is reached.
        #[must_use]
        pub fn overflow(mut self, overflow: Overflow) -> Self {
            self.overflow = $set(overflow);
            self
        }

        /// Sets whether requests are checked without counting as activity.
        #[must_use]
        pub fn passive(mut self, passive: bool) -> Self {
            self.passive = $set(passive);
            self
        }

        /// Sets the text that a user reads when the session has ended, for all reasons. An empty text
        /// shows no message. Default: a text for each reason.
        #[must_use]
        pub fn message(mut self, text: impl Into<Arc<str>>) -> Self {
            self.message = Some(text.into());
            self
        }

        /// Sets the login page, a path of this site.
        #[must_use]
        pub fn login_url(mut self, path: impl Into<Arc<str>>) -> Self {
            self.login_url = $set(path.into());
            self
        }

        /// Sets whether a login is required. If `true`, anonymous and expired requests are challenged
        /// before anything further in runs. Default: `false`.
        ///
        /// A layer that requires a login is a floor: a layer inside it cannot be open or laxer. The
        /// policy of the application is a floor under all paths but `login_url` itself and the
        /// [endpoints](crate::SessionExpire::endpoints). What else must be open, such as a form with
        /// another target or the style of the login page, needs `require_login` on scopes instead.
        /// A CORS preflight has no cookies and is challenged, too: wrap the CORS middleware outside.
        #[must_use]
        pub fn require_login(mut self, required: bool) -> Self {
            self.require_login = $set(required);
            self
        }
    };
}

pub(super) use setters;
