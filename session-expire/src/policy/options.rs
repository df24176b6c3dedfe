//! Table of the policy options.
//!
//! Macros generate the types, setters, merging and serialization of all options from it.

/// Calls `$callback!` with a row for each option: documentation, name, argument of the setter,
/// type and default. An option without a default is an `Option` in [`Policy`](super::Policy).
///
/// A new option needs a row here and a row in the table of the attribute (`session-expire-macros`).
macro_rules! policy_options {
    ($callback:ident) => {
        $callback! {
            /// Idle timeout: time after the last activity of the user at which the session expires;
            /// `Limit::Off` for none. Default: `30m` (OWASP ASVS 5.0 7.3.1; NIST SP 800-63B-4: at
            /// most 1 h at AAL2).
            idle(impl Into<Limit<Duration>>): Limit<Duration> = Limit::At(minutes(30));
            /// Absolute timeout: time after the login, or the last confirmation, at which the
            /// session expires, regardless of activity; `Limit::Off` for none. Default: `12h` (ASVS
            /// 5.0 7.3.2; NIST SP 800-63B-4: at most 24 h at AAL2).
            absolute(impl Into<Limit<Duration>>): Limit<Duration> = Limit::At(hours(12));
            /// Reason why the absolute timeout is essential, and users cannot extend it (WCAG
            /// 2.2.1). It has an effect only if the application
            /// [declares](crate::SessionExpireBuilder::complies_with) WCAG. A patch that sets
            /// `absolute` does not inherit the reason for another timeout, and an empty reason
            /// removes an inherited one. Default: none.
            absolute_is_essential(impl Into<Arc<str>>): Arc<str>;
            /// Time before the end at which the user is warned; `Limit::Off` for no warning. WCAG
            /// 2.2.1 requires at least 20 seconds. Default: two minutes, or half of the shortest
            /// timeout if that is two minutes or less.
            warn(impl Into<Limit<Duration>>): Limit<Duration>;
            /// Largest number of concurrent sessions per user; `0` or `Limit::Off` for no
            /// configured limit. Default: unlimited, with a hard cap of
            /// [1,000](crate::registry::SessionLimit::WITHOUT_LIMIT).
            max_sessions(impl Into<Limit<u32>>): Limit<u32> = Limit::Off;
            /// Behaviour if a login would exceed `max_sessions`. Default: the session with the
            /// oldest login ends.
            overflow(Overflow): Overflow = Overflow::Evict;
            /// Whether requests are passive: they are checked but do not count as activity.
            /// Default: `false`.
            passive(bool): bool = false;
            /// Text about an ended session, for all reasons. If it is empty, no message is
            /// shown. Default: a text for each reason.
            message(impl Into<Arc<str>>): Arc<str>;
            /// Local path of the login page, checked when the middleware is built. Default:
            /// `/login`.
            login_url(impl Into<Arc<str>>): Arc<str> = Arc::from("/login");
            /// Whether a login is required. If `true`, anonymous and expired requests are
            /// challenged before inner services run. Default: `false`.
            ///
            /// Inside a layer that requires a login, no layer can set `false`. In the application's
            /// policy, it applies to all paths except `login_url` and the
            /// [endpoints](crate::SessionExpire::endpoints). If other paths must be public, such as
            /// the style of the login page, set it on scopes instead. CORS preflights have no
            /// cookies and are challenged, too: wrap the CORS middleware outside of
            /// `SessionExpire`.
            require_login(bool): bool = false;
            /// Time after the login or the last confirmation for which a session is fresh;
            /// `Limit::Off` for any time. Afterwards the session stays active, but the user must
            /// re-authenticate at `confirm_url` (ASVS 5.0 7.5.1 and 7.5.3). Activity does not
            /// extend this time. Default: `never`.
            ///
            /// The strictest value of all layers applies. Set it on handlers and scopes. In the
            /// policy of the application or of a user, it applies to all paths, including static
            /// files, except:
            ///
            /// - `login_url`, `confirm_url` and the paths below `confirm_url`
            /// - the [endpoints](crate::SessionExpire::endpoints)
            /// - sign-outs: unsafe requests to
            ///   [`logout_url`](crate::SessionExpireBuilder::logout_url)
            fresh(impl Into<Limit<Duration>>): Limit<Duration> = Limit::Off;
            /// Local path of the page on which a signed-in user re-authenticates, checked when the
            /// middleware is built. Its handler calls
            /// [`SessionHandle::confirm`](crate::SessionHandle::confirm). Default: `/confirm`.
            confirm_url(impl Into<Arc<str>>): Arc<str> = Arc::from("/confirm");
            /// Behaviour of an open page when the idle timeout has passed. Default: the page opens
            /// the login page. [`AtEnd::Lock`] has no effect without an idle timeout or without the
            /// [dialog](crate::SessionVars::warning_dialog).
            at_end(AtEnd): AtEnd = AtEnd::Leave;
            /// Time for which a page stays locked if the user does not sign in again. The page then
            /// opens the login page. Default: `1h`. `Limit::Off` sets no limit. Without
            /// [`AtEnd::Lock`], the option has no effect.
            lock_for(impl Into<Limit<Duration>>): Limit<Duration> = Limit::At(hours(1));
        }
    };
}

/// Type of an option in a policy.
macro_rules! policy_type {
    ($type:ty = $default:expr) => {
        $type
    };
    ($type:ty) => {
        Option<$type>
    };
}

/// Default of an option in a policy.
macro_rules! policy_default {
    ($default:expr) => {
        $default
    };
    () => {
        None
    };
}

/// Value of an option in a policy.
macro_rules! policy_value {
    ($value:expr => $default:expr) => {
        $value
    };
    ($value:expr =>) => {
        Some($value)
    };
}

pub(super) use {policy_default, policy_options, policy_type, policy_value};
