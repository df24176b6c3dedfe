//! Text of the values in messages.

use std::time::Duration;

use crate::{policy::limit::Limit, time::format_duration};

/// Returns a duration in one unit: `901s` and `90m`, not `15m1s` and `1h30m`. The unit is days only
/// for two days or more.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let unit = [("d", 86_400, 2), ("h", 3_600, 1), ("m", 60, 1), ("s", 1, 1)]
        .into_iter()
        .find(|(_, size, least)| seconds.is_multiple_of(*size) && seconds / size >= *least);
    match unit {
        Some((unit, size, _)) if duration.subsec_nanos() == 0 => {
            format!("{}{unit}", seconds / size)
        }
        _ => format_duration(duration),
    }
}

/// Returns a limit in the format of [`duration`].
pub(super) fn limit(limit: Limit<Duration>) -> String {
    limit.at().map_or_else(|| Limit::<Duration>::Off.to_string(), duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{days, hours, minutes, seconds};

    #[test]
    fn duration_has_one_unit() {
        for (value, expected) in [
            (seconds(20), "20s"),
            (seconds(901), "901s"),
            (minutes(90), "90m"),
            (hours(1), "1h"),
            (hours(24), "24h"),
            (hours(25), "25h"),
            (days(30), "30d"),
            (days(30) + seconds(1), "2592001s"),
            (Duration::from_millis(19_500), "19s500ms"),
            (Duration::ZERO, "0s"),
        ] {
            assert_eq!(duration(value), expected);
        }
        assert_eq!(limit(Limit::Off), "never");
    }
}
