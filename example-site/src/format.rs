//! Limits and times as text.

use std::{
    fmt,
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};
use session_expire::{Limit, Policy, SessionHandle, clock::Timestamp, page::RemainingSeconds};

use crate::language::Language;

/// Limits of the requested page. Displays the sentence of the footer.
pub(crate) struct Limits {
    policy: Arc<Policy>,
    language: Language,
}

impl Limits {
    /// Returns the idle timeout in whole seconds, for a progress bar.
    pub(crate) fn idle_seconds(&self) -> Option<u64> {
        self.policy.idle.at().map(|limit| limit.as_secs().max(1))
    }

    /// Returns the absolute timeout in whole seconds, for a progress bar.
    pub(crate) fn absolute_seconds(&self) -> Option<u64> {
        self.policy.absolute.at().map(|limit| limit.as_secs().max(1))
    }

    /// Returns the same limits, described in English.
    pub(crate) fn in_english(&self) -> Self {
        Self { policy: Arc::clone(&self.policy), language: Language::English }
    }

    /// Describes the idle timeout.
    pub(crate) fn idle_rule(&self) -> String {
        match self.policy.idle {
            Limit::At(limit) => self.language.fill(
                "You will be signed out after {idle} without activity.",
                [("idle", &self.language.duration(limit))],
            ),
            Limit::Off => self.language.t("You will not be signed out for inactivity.").to_owned(),
        }
    }

    /// Describes the session limit to a user who has opened the page.
    pub(crate) fn session_rule(&self) -> &'static str {
        match self.policy.max_sessions {
            Limit::At(1) => self.language.t("You have been signed out on your other devices."),
            _ => "",
        }
    }

    /// Describes the absolute timeout.
    pub(crate) fn absolute_rule(&self) -> String {
        match self.policy.absolute {
            Limit::At(limit) => self.language.fill(
                "Your session ends {absolute} after sign-in.",
                [("absolute", &self.language.duration(limit))],
            ),
            Limit::Off => self.language.t("Your session has no time limit.").to_owned(),
        }
    }

    /// Describes both timeouts.
    fn both(&self, idle: Duration, absolute: Duration) -> String {
        self.language.fill(
            "You will be signed out after {idle} without activity, or {absolute} after sign-in.",
            [
                ("idle", &self.language.duration(idle)),
                ("absolute", &self.language.duration(absolute)),
            ],
        )
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match (self.policy.idle.at(), self.policy.absolute.at()) {
            (Some(idle), Some(absolute)) => self.both(idle, absolute),
            (Some(_), None) => self.idle_rule(),
            (None, Some(absolute)) => self.language.fill(
                "You will be signed out {absolute} after sign-in.",
                [("absolute", &self.language.duration(absolute))],
            ),
            (None, None) => self.language.t("You stay signed in until you sign out.").to_owned(),
        })
    }
}

impl FromRequest for Limits {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let handle = SessionHandle::from_request(req, payload).into_inner();
        let language = Language::new(req);
        ready(handle.map(|handle| Self { policy: handle.policy(), language }))
    }
}

/// Returns text such as `10 minutes`. A time of one minute or more is rounded up to whole minutes.
pub(crate) fn time_left(duration: Duration, language: Language) -> String {
    let seconds = duration.as_secs();
    let rounded = if seconds < 60 { seconds } else { seconds.div_ceil(60) * 60 };
    language.duration(Duration::from_secs(rounded))
}

/// Returns text such as `21 Nov 2026, 03:12 UTC`. In other languages, the date consists of numbers
/// until `times.js` replaces it with the time in the language of the page.
pub(crate) fn as_date(at: Timestamp, language: Language) -> String {
    let format = match language {
        Language::English => "%-d %b %Y, %H:%M UTC",
        _ => "%Y-%m-%d, %H:%M UTC",
    };
    at.to_utc().format(format).to_string()
}

/// Returns text such as `21 Nov 2026, 03:12:45 UTC`.
pub(crate) fn as_time(at: Timestamp) -> String {
    at.to_utc().format("%-d %b %Y, %H:%M:%S UTC").to_string()
}

/// Returns text such as `3 minutes ago` in the largest unit that fits.
pub(crate) fn ago(age: Duration, language: Language) -> String {
    let minutes = age.as_secs() / 60;
    match (minutes / 1_440, minutes / 60, minutes) {
        (0, 0, 0) => language.t("just now").to_owned(),
        (0, 0, minutes) => language.plural(minutes, "1 minute ago", "{n} minutes ago"),
        (0, hours, _) => language.plural(hours, "1 hour ago", "{n} hours ago"),
        (days, ..) => language.plural(days, "1 day ago", "{n} days ago"),
    }
}

/// Returns text such as `9:59` or `7:59:59`, as `countdown.js` does.
pub(crate) fn as_clock(seconds: &RemainingSeconds, language: Language) -> String {
    let Some(seconds) = seconds.0 else { return language.t("No limit").to_owned() };
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_expire::{minutes, seconds};

    #[test]
    fn time_left_is_rounded_up_to_minutes() {
        for (left, words) in
            [(seconds(59), "59 seconds"), (seconds(60), "1 minute"), (seconds(541), "10 minutes")]
        {
            assert_eq!(time_left(left, Language::English), words);
        }
    }

    #[test]
    fn age_is_rounded_down_to_largest_unit() {
        for (age, words) in [
            (seconds(59), "just now"),
            (minutes(1), "1 minute ago"),
            (minutes(119), "1 hour ago"),
            (minutes(60 * 50), "2 days ago"),
        ] {
            assert_eq!(ago(age, Language::English), words);
        }
    }

    #[test]
    fn sentence_names_only_limits_in_force() {
        let policy = Policy::new().idle(minutes(10)).absolute(Limit::Off);
        let limits = Limits { policy: Arc::new(policy), language: Language::English };
        let text = "You will be signed out after 10 minutes without activity.";
        assert_eq!(limits.to_string(), text);
    }

    #[test]
    fn clock_shows_hours_if_there_are_any() {
        let clock = |seconds| as_clock(&RemainingSeconds(seconds), Language::English);
        let shown = [Some(0), Some(599), Some(3_600), None].map(clock);
        assert_eq!(shown, ["0:00", "9:59", "1:00:00", "No limit"]);
    }
}
