//! Limits and times as text.

use std::{
    fmt,
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};
use session_expire::{Limit, Policy, SessionHandle, clock::Timestamp, page::RemainingSeconds};

/// Limits of the requested page. Displays the sentence of the footer.
pub(crate) struct Limits(Arc<Policy>);

impl Limits {
    /// Returns the idle timeout in whole seconds, for a progress bar.
    pub(crate) fn idle_seconds(&self) -> Option<u64> {
        self.0.idle.at().map(|limit| limit.as_secs().max(1))
    }

    /// Returns the absolute timeout in whole seconds, for a progress bar.
    pub(crate) fn absolute_seconds(&self) -> Option<u64> {
        self.0.absolute.at().map(|limit| limit.as_secs().max(1))
    }

    /// Describes the idle timeout.
    pub(crate) fn idle_rule(&self) -> String {
        match self.0.idle {
            Limit::At(limit) => {
                format!("You will be signed out after {} without activity.", in_words(limit))
            }
            Limit::Off => "You will not be signed out for inactivity.".to_owned(),
        }
    }

    /// Describes the session limit to a user who has opened the page.
    pub(crate) fn session_rule(&self) -> &'static str {
        match self.0.max_sessions {
            Limit::At(1) => "You have been signed out on your other devices.",
            _ => "",
        }
    }

    /// Describes the absolute timeout.
    pub(crate) fn absolute_rule(&self) -> String {
        match self.0.absolute {
            Limit::At(limit) => {
                format!("Your session ends {} after sign-in.", in_words(limit))
            }
            Limit::Off => "Your session has no time limit.".to_owned(),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.idle.at().map(in_words), self.0.absolute.at().map(in_words)) {
            (Some(idle), Some(absolute)) => write!(
                f,
                "You will be signed out after {idle} without activity, or {absolute} after sign-in."
            ),
            (Some(idle), None) => {
                write!(f, "You will be signed out after {idle} without activity.")
            }
            (None, Some(absolute)) => {
                write!(f, "You will be signed out {absolute} after sign-in.")
            }
            (None, None) => f.write_str("You stay signed in until you sign out."),
        }
    }
}

impl FromRequest for Limits {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let handle = SessionHandle::from_request(req, payload).into_inner();
        ready(handle.map(|handle| Self(handle.policy())))
    }
}

const UNITS: [(&str, u128); 5] = [
    ("day", 86_400_000),
    ("hour", 3_600_000),
    ("minute", 60_000),
    ("second", 1_000),
    ("millisecond", 1),
];

/// Returns text such as `1 hour 30 minutes`.
fn in_words(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut words = Vec::new();
    for (unit, size) in UNITS {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            words.push(format!("{count} {unit}{plural}"));
        }
    }
    words.join(" ")
}

/// Returns text such as `in 10 minutes`, rounded up to whole minutes from one minute on.
pub(crate) fn within(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let rounded = if seconds < 60 { seconds } else { seconds.div_ceil(60) * 60 };
    format!("in {}", in_words(Duration::from_secs(rounded)))
}

/// Returns text such as `21 Nov 2026, 03:12 UTC`.
pub(crate) fn as_date(at: Timestamp) -> String {
    at.to_utc().format("%-d %b %Y, %H:%M UTC").to_string()
}

/// Returns text such as `21 Nov 2026, 03:12:45 UTC`.
pub(crate) fn as_time(at: Timestamp) -> String {
    at.to_utc().format("%-d %b %Y, %H:%M:%S UTC").to_string()
}

/// Returns text such as `3 minutes ago` in the largest unit that fits.
pub(crate) fn ago(age: Duration) -> String {
    let age = age.as_millis();
    let unit = UNITS.into_iter().filter(|(unit, _)| *unit != "millisecond" && *unit != "second");
    match unit.map(|(unit, size)| (age / size, unit)).find(|(count, _)| *count > 0) {
        Some((1, unit)) => format!("1 {unit} ago"),
        Some((count, unit)) => format!("{count} {unit}s ago"),
        None => "just now".to_owned(),
    }
}

/// Returns text such as `9:59` or `7:59:59`, as `countdown.js` does.
pub(crate) fn as_clock(seconds: &RemainingSeconds) -> String {
    let Some(seconds) = seconds.0 else { return "No limit".to_owned() };
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
    fn duration_is_formatted_in_units() {
        for (duration, words) in [
            (minutes(1), "1 minute"),
            (minutes(90), "1 hour 30 minutes"),
            (seconds(86_402), "1 day 2 seconds"),
            (Duration::from_millis(2_500), "2 seconds 500 milliseconds"),
        ] {
            assert_eq!(in_words(duration), words);
        }
    }

    #[test]
    fn time_left_is_rounded_up_to_minutes() {
        for (left, words) in [
            (seconds(59), "in 59 seconds"),
            (seconds(60), "in 1 minute"),
            (seconds(541), "in 10 minutes"),
        ] {
            assert_eq!(within(left), words);
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
            assert_eq!(ago(age), words);
        }
    }

    #[test]
    fn sentence_names_only_limits_in_force() {
        let policy = Policy::new().idle(minutes(10)).absolute(Limit::Off);
        let limits = Limits(Arc::new(policy)).to_string();
        assert_eq!(limits, "You will be signed out after 10 minutes without activity.");
    }

    #[test]
    fn clock_shows_hours_if_there_are_any() {
        let shown = [Some(0), Some(599), Some(3_600), None].map(|s| as_clock(&RemainingSeconds(s)));
        assert_eq!(shown, ["0:00", "9:59", "1:00:00", "No limit"]);
    }
}
