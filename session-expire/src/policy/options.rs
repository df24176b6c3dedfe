//! Table of the policy options.

/// Calls `$callback!` with a row for each option: its documentation, name, type and default. An
/// option without a default is an `Option` in [`Policy`](super::Policy).
///
/// A new option is a row here and a row in the table of the attribute (`session-expire-macros`).
macro_rules! policy_options {
    ($callback:ident) => {
        $callback! {
            /// Idle timeout: how long a session stays active without activity of the user. Default:
            /// `30m` (OWASP ASVS 5.0 7.3.1; NIST SP 800-63B-4: at most 1 h at AAL2).
            idle: Limit<Duration> = Limit::At(minutes(30));
            /// Absolute timeout: how long a session lasts from its login, regardless of activity.
            /// Default: `12h` (ASVS 5.0 7.3.2; NIST SP 800-63B-4: at most 24 h at AAL2).
            absolute: Limit<Duration> = Limit::At(hours(12));
            /// How long before the end the user is warned; `Limit::Off` for no warning. Default: two
            /// minutes, or half of a shorter limit (WCAG 2.2.1 requires at least 20 seconds).
            warn: Limit<Duration>;
            /// How many sessions a user may have at once. Default: unlimited, with a hard cap of
            /// [1,000](crate::registry::SessionLimit::WITHOUT_LIMIT).
            max_sessions: Limit<u32> = Limit::Off;
            /// Which session ends when the limit is reached. Default: the oldest login.
            overflow: Overflow = Overflow::Evict;
            /// Whether requests are checked without counting as activity. Default: `false`.
            passive: bool = false;
            /// The text that a user reads when the session has ended, for all reasons. An empty text
            /// shows no message. Default: a text for each reason.
            message: Arc<str>;
            /// The login page, a path of this site. Default: `/login`.
            login_url: Arc<str> = Arc::from("/login");
            /// Whether a login is required. If `true`, anonymous and expired requests are challenged
            /// before anything further in runs. Default: `false`.
            ///
            /// A layer that requires a login is a floor: a layer inside it cannot be open or laxer.
            /// The policy of the application is a floor under all paths but `login_url` itself and
            /// the [endpoints](crate::SessionExpire::endpoints). What else must be open, such as a
            /// form with another target or the style of the login page, needs `require_login` on
            /// scopes instead. A CORS preflight has no cookies and is challenged, too: wrap the CORS
            /// middleware outside.
            require_login: bool = false;
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

/// Value of an option as it stands in a policy.
macro_rules! policy_value {
    ($value:expr => $default:expr) => {
        $value
    };
    ($value:expr =>) => {
        Some($value)
    };
}

pub(super) use {policy_default, policy_options, policy_type, policy_value};
