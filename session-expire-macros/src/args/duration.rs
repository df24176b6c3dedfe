//! Durations such as `"250ms"`, `"90s"`, `"1h30m"` and `"never"`.
//!
//! The runtime must accept every text that is accepted here: it reads the same durations from
//! configuration files.

use super::patch::Limit;

/// Units from large to small, with their milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A hundred years. A longer duration is a typing error, and could overflow the platform's clock.
const MAX_MS: u64 = 100 * 365 * 86_400_000;

/// Rejected spellings of the units; the error message names the unit to use.
const LONG_UNITS: [(&str, &[&str]); 5] = [
    ("d", &["day", "days"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
    ("m", &["min", "mins", "minute", "minutes"]),
    ("s", &["sec", "secs", "second", "seconds"]),
    ("ms", &["msec", "msecs", "milli", "millis", "millisecond", "milliseconds"]),
];

/// Reads a duration in milliseconds.
///
/// # Errors
///
/// Returns a message that states the problem.
pub(super) fn parse(text: &str) -> Result<Limit<u64>, String> {
    match text {
        "never" => Ok(Limit::Off),
        "" => Err("the duration is empty, expected one such as \"10m\" or \"never\"".to_owned()),
        _ if means_never(text) => Err(format!("`{text}` is not a duration; write \"never\"")),
        _ if has_space(text) => Err(spaces(text)),
        _ => parse_sum(text).and_then(check_range).map(Limit::At),
    }
}

/// Formats milliseconds as a duration.
pub(super) fn format(mut ms: u64) -> String {
    let mut text = String::new();
    for (unit, factor) in UNITS {
        if ms >= factor {
            text.push_str(&format!("{}{unit}", ms / factor));
            ms %= factor;
        }
    }
    text
}

fn means_never(text: &str) -> bool {
    ["never", "off", "none", "unlimited", "infinite", "inf"].contains(&&*text.to_lowercase())
}

fn has_space(text: &str) -> bool {
    text.contains(char::is_whitespace)
}

fn spaces(text: &str) -> String {
    let joined: String = text.split_whitespace().collect();
    match parse_sum(&joined) {
        Ok(_) => format!("a duration must not contain spaces; write \"{joined}\""),
        Err(problem) => problem,
    }
}

fn parse_sum(text: &str) -> Result<u64, String> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let (number, unit, after) = split_part(rest);
        if number.is_empty() || UNITS.iter().all(|(name, _)| *name != unit) {
            return Err(invalid_part(text, number, unit));
        }
        // The iterator has only smaller units left.
        let Some((_, factor)) = units.find(|(name, _)| *name == unit) else {
            return Err(out_of_order(text));
        };
        total = add(total, number, *factor)?;
        rest = after;
    }
    Ok(total)
}

/// Splits `"1h30m"` into the number `1`, the unit `h` and the rest `30m`.
fn split_part(text: &str) -> (&str, &str, &str) {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(unit_at);
    let next_at = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(next_at);
    (number, unit, after)
}

fn invalid_part(text: &str, number: &str, unit: &str) -> String {
    if number.is_empty() {
        return format!("`{text}` is not a duration, expected one such as \"10m\" or \"1h30m\"");
    }
    if unit.is_empty() {
        return format!("{number} has no unit, expected a duration such as \"{number}s\"");
    }
    if unit.starts_with(['.', ',']) {
        return format!("`{text}` has a fraction, expected whole units such as \"1h30m\"");
    }
    match similar_unit(unit) {
        Some(similar) => format!("unknown unit `{unit}`; write \"{number}{similar}\""),
        None => format!("unknown unit `{unit}`, expected one of d, h, m, s, ms"),
    }
}

fn similar_unit(unit: &str) -> Option<&'static str> {
    let unit = unit.to_lowercase();
    LONG_UNITS
        .iter()
        .find(|(name, others)| *name == unit || others.contains(&&*unit))
        .map(|(name, _)| *name)
}

fn out_of_order(text: &str) -> String {
    format!("`{text}` must list each unit at most once, largest first, as in \"1h30m\"")
}

fn add(total: u64, number: &str, factor: u64) -> Result<u64, String> {
    let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    part.and_then(|part| total.checked_add(part)).ok_or_else(too_long)
}

fn check_range(total: u64) -> Result<u64, String> {
    match total {
        0 => Err("a duration must not be zero; write \"never\" for no limit".to_owned()),
        1..=MAX_MS => Ok(total),
        _ => Err(too_long()),
    }
}

fn too_long() -> String {
    "a duration must not be longer than 36500 days; write \"never\" for no limit".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_in_each_unit_is_read() {
        let table = [
            ("1ms", 1),
            ("250ms", 250),
            ("90s", 90_000),
            ("10m", 600_000),
            ("90m", 5_400_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1d1h1m1s1ms", 90_061_001),
            ("1m1ms", 60_001),
            ("010s", 10_000),
            ("0h5s", 5_000),
            ("36500d", MAX_MS),
        ];
        for (text, ms) in table {
            assert_eq!(parse(text), Ok(Limit::At(ms)), "{text}");
            assert_eq!(parse(&format(ms)), Ok(Limit::At(ms)), "{text}");
        }
        assert_eq!(parse("never"), Ok(Limit::Off));
    }

    #[test]
    fn invalid_duration_is_refused_with_a_reason() {
        let table = [
            ("", "is empty"),
            ("600", "such as \"600s\""),
            ("1h30", "such as \"30s\""),
            ("1 h", "spaces; write \"1h\""),
            (" 10m", "spaces; write \"10m\""),
            ("10 minutes", "write \"10m\""),
            ("1h 30m", "\"1h30m\""),
            ("10min", "write \"10m\""),
            ("10M", "write \"10m\""),
            ("5SEC", "write \"5s\""),
            ("2w", "one of d, h, m, s, ms"),
            ("3é", "one of d, h, m, s, ms"),
            ("1.5h", "whole units"),
            ("m", "one such as"),
            ("ten", "one such as"),
            ("-5s", "one such as"),
            ("٣s", "one such as"),
            ("30m1h", "largest first"),
            ("1m1m", "each unit at most once"),
            ("1ms1s", "largest first"),
            ("0s", "must not be zero"),
            ("0h0m", "must not be zero"),
            ("36500d1ms", "longer than"),
            ("99999999999999999999s", "longer than"),
            ("18446744073709551615d", "longer than"),
            ("Never", "write \"never\""),
            ("unlimited", "write \"never\""),
        ];
        for (text, expected) in table {
            let message = parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
