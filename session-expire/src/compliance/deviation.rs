//! Deviations from requirements, and the names of the requirements that are checked.

use super::{Requirement, requirements};
use crate::error::ConfigError;

/// Deviation from a requirement: its name and the reason.
pub(crate) type Deviation = (String, String);

/// Returns the requirement from which `deviation` deviates.
///
/// # Errors
///
/// - [`ConfigError::Value`] if it has no reason, or names no section that is checked at start.
/// - [`ConfigError::DeviationName`] if it names several requirements, or a checked section with a
///   wrong key.
pub(super) fn requirement_of(
    (name, reason): &Deviation,
) -> Result<&'static Requirement, ConfigError> {
    if reason.trim().is_empty() {
        return Err(invalid(reason, "a reason"));
    }
    let named: Vec<_> = checked().filter(|row| names(row).iter().any(|own| own == name)).collect();
    match named[..] {
        [row] => Ok(row),
        _ => Err(unclear(name)),
    }
}

fn unclear(name: &str) -> ConfigError {
    let of_section = |row: &&Requirement| {
        let key = name.strip_prefix(&row.to_string());
        key.is_some_and(|key| key.is_empty() || key.starts_with(' '))
    };
    let possible: Vec<_> = checked().filter(of_section).map(unique_name).collect();
    match possible.is_empty() {
        true => invalid(name, "a requirement that is checked, such as \"ASVS 5.0 7.3.1 idle\""),
        false => ConfigError::DeviationName { name: name.to_owned(), possible },
    }
}

fn invalid(value: &str, expected: &'static str) -> ConfigError {
    ConfigError::Value { key: "deviates_from", value: format!("{value:?}"), expected }
}

fn checked() -> impl Iterator<Item = &'static Requirement> {
    requirements().filter(|row| row.rule().is_some())
}

/// Returns the section, the section with the key, and both with the verb of the level.
fn names(row: &Requirement) -> [String; 3] {
    let key = row.rule().map_or("", |rule| rule.key());
    let verb = row.level.rsplit(", ").next().unwrap_or_default();
    [row.to_string(), format!("{row} {key}"), format!("{row} {key}, {verb}")]
}

/// Returns the shortest name with a key that no other requirement has.
fn unique_name(row: &Requirement) -> String {
    let [_, short, long] = names(row);
    let is_shared = checked().filter(|other| names(other)[1] == short).count() > 1;
    if is_shared { long } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_checked_requirement_has_a_name_of_its_own() {
        for row in checked() {
            let deviation = (unique_name(row), "a reason".to_owned());
            let found = requirement_of(&deviation).unwrap();
            assert!(std::ptr::eq(found, row), "{deviation:?}");
        }
    }
}
