//! The words for a span of time: `"250ms"`, `"90s"`, `"1h30m"`, `"never"`.
//!
//! The runtime crate reads the same words from configuration files (its `time.rs`). What is accepted
//! here must be accepted there; only the wording of the mistakes differs.

use crate::model::Limit;

/// Large to small, as they must be written. The factor is in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A hundred years. More is a slip of the pen, and would come near the end of a platform's clock.
const LONGEST_MS: u64 = 100 * 365 * 86_400_000;

/// Spellings people bring from elsewhere. They are refused, but the cure names the right one.
const FOREIGN_UNITS: [(&str, &[&str]); 5] = [
    ("d", &["day", "days"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
    ("m", &["min", "mins", "minute", "minutes"]),
    ("s", &["sec", "secs", "second", "seconds"]),
    ("ms", &["msec", "msecs", "milli", "millis", "millisecond", "milliseconds"]),
];

/// Reads a duration in milliseconds, or says what is wrong with it and how to write it instead.
pub(crate) fn parse(text: &str) -> Result<Limit<u64>, String> {
    match text {
        "never" => Ok(Limit::Off),
        "" => Err("the duration is empty: write one such as \"10m\", or \"never\"".to_owned()),
        _ if means_never(text) => Err(format!("`{text}` is not a duration: write \"never\"")),
        _ if has_space(text) => Err(without_spaces(text)),
        _ => sum(text).and_then(checked_total).map(Limit::At),
    }
}

fn means_never(text: &str) -> bool {
    ["never", "off", "none", "unlimited", "infinite", "inf"].contains(&&*text.to_lowercase())
}

fn has_space(text: &str) -> bool {
    text.contains(char::is_whitespace)
}

fn without_spaces(text: &str) -> String {
    let joined: String = text.split_whitespace().collect();
    match sum(&joined) {
        Ok(_) => format!("write the duration without spaces: \"{joined}\""),
        Err(mistake) => mistake,
    }
}

fn sum(text: &str) -> Result<u64, String> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut smaller_than = UNITS.len() + 1;
    while !rest.is_empty() {
        let (number, unit, after) = split_part(rest);
        let index = unit_index(text, number, unit)?;
        let left = UNITS.len() - index;
        if left >= smaller_than {
            return Err(out_of_order(text));
        }
        total = add(total, number, UNITS[index].1)?;
        (rest, smaller_than) = (after, left);
    }
    Ok(total)
}

/// `"1h30m"` is the number `1`, the unit `h` and the rest `30m`.
fn split_part(text: &str) -> (&str, &str, &str) {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(unit_at);
    let next_at = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(next_at);
    (number, unit, after)
}

fn unit_index(text: &str, number: &str, unit: &str) -> Result<usize, String> {
    let known = UNITS.iter().position(|(name, _)| *name == unit);
    match known {
        Some(index) if !number.is_empty() => Ok(index),
        _ => Err(bad_part(text, number, unit)),
    }
}

fn bad_part(text: &str, number: &str, unit: &str) -> String {
    if number.is_empty() {
        return format!("`{text}` is not a duration: write one such as \"10m\" or \"1h30m\"");
    }
    if unit.is_empty() {
        return format!("write a duration with its unit, such as \"{number}s\"");
    }
    if unit.starts_with(['.', ',']) {
        return format!("`{text}` has a fraction: write whole units, such as \"1h30m\"");
    }
    match meant_unit(unit) {
        Some(meant) => format!("`{unit}` is not a unit: write \"{number}{meant}\""),
        None => format!("`{unit}` is not a unit: use ms, s, m, h or d, as in \"{number}s\""),
    }
}

fn meant_unit(unit: &str) -> Option<&'static str> {
    let unit = unit.to_lowercase();
    FOREIGN_UNITS
        .iter()
        .find(|(name, others)| *name == unit || others.contains(&&*unit))
        .map(|(name, _)| *name)
}

fn out_of_order(text: &str) -> String {
    format!("`{text}` must name each unit once, from large to small, as in \"1h30m\"")
}

fn add(total: u64, number: &str, factor: u64) -> Result<u64, String> {
    let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    part.and_then(|part| total.checked_add(part)).ok_or_else(too_long)
}

fn checked_total(total: u64) -> Result<u64, String> {
    match total {
        0 => Err("zero would end every session at once: write \"never\" for no limit".to_owned()),
        LONGEST_MS.. if total > LONGEST_MS => Err(too_long()),
        _ => Ok(total),
    }
}

fn too_long() -> String {
    "longer than 36500 days: write \"never\" for no limit".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
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
            ("36500d", LONGEST_MS),
        ];
        for (text, ms) in table {
            assert_eq!(parse(text), Ok(Limit::At(ms)), "{text}");
        }
        assert_eq!(parse("never"), Ok(Limit::Off));
    }

    #[test]
    fn every_mistake_comes_with_its_cure() {
        let table = [
            ("", "\"never\""),
            ("600", "such as \"600s\""),
            ("1h30", "such as \"30s\""),
            ("1 h", "without spaces: \"1h\""),
            (" 10m", "without spaces: \"10m\""),
            ("10 minutes", "write \"10m\""),
            ("1h 30m", "\"1h30m\""),
            ("10min", "write \"10m\""),
            ("10M", "write \"10m\""),
            ("5SEC", "write \"5s\""),
            ("2w", "use ms, s, m, h or d"),
            ("3é", "use ms, s, m, h or d"),
            ("1.5h", "whole units"),
            ("m", "write one such as"),
            ("ten", "write one such as"),
            ("-5s", "write one such as"),
            ("٣s", "write one such as"),
            ("30m1h", "from large to small"),
            ("1m1m", "each unit once"),
            ("1ms1s", "from large to small"),
            ("0s", "\"never\""),
            ("0h0m", "\"never\""),
            ("36500d1ms", "longer than"),
            ("99999999999999999999s", "longer than"),
            ("18446744073709551615d", "longer than"),
            ("Never", "write \"never\""),
            ("unlimited", "write \"never\""),
        ];
        for (text, cure) in table {
            let mistake = parse(text).unwrap_err();
            assert!(mistake.contains(cure), "{text}: {mistake}");
        }
    }
}
