//! Keys of the attribute.
//!
//! [`KEYS`] is the only list of them: parsing, messages and the generated code follow it. A key has
//! the name of a setter of `PolicyPatch`.

/// Key of the attribute.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Example value for messages, as written in the source.
    example: &'static str,
}

/// Kind of value that a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Duration,
    Count,
    Overflow,
    AtEnd,
    Flag,
    Text,
    LocalPath,
}

static KEYS: &[Key] = &[
    Key { name: "idle", kind: Kind::Duration, example: r#""10m""# },
    Key { name: "absolute", kind: Kind::Duration, example: r#""8h""# },
    Key { name: "absolute_is_essential", kind: Kind::Text, example: r#""set by the bank""# },
    Key { name: "warn", kind: Kind::Duration, example: r#""30s""# },
    Key { name: "max_sessions", kind: Kind::Count, example: "3" },
    Key { name: "overflow", kind: Kind::Overflow, example: r#""evict""# },
    Key { name: "passive", kind: Kind::Flag, example: "true" },
    Key { name: "message", kind: Kind::Text, example: r#""Please sign in again""# },
    Key { name: "login_url", kind: Kind::LocalPath, example: r#""/login""# },
    Key { name: "require_login", kind: Kind::Flag, example: "true" },
    Key { name: "fresh", kind: Kind::Duration, example: r#""10m""# },
    Key { name: "confirm_url", kind: Kind::LocalPath, example: r#""/confirm""# },
    Key { name: "at_end", kind: Kind::AtEnd, example: r#""lock""# },
    Key { name: "lock_for", kind: Kind::Duration, example: r#""1h""# },
];

impl Key {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Returns the key that `word` is most likely a misspelling of.
    pub(super) fn find_similar(word: &str) -> Option<&'static Self> {
        let distances = KEYS.iter().map(|key| (edit_distance(word, key.name), key));
        let similar = distances.filter(|(distance, key)| *distance <= key.name.len().div_ceil(3));
        similar.min_by_key(|(distance, key)| (*distance, key.name)).map(|(_, key)| key)
    }

    /// Returns the key with a value, such as `idle = "10m"`.
    pub(super) fn usage(&self) -> String {
        format!("{} = {}", self.name, self.example)
    }
}

/// Returns the names of all keys, separated by commas.
pub(super) fn list_keys() -> String {
    let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    names.join(", ")
}

/// Returns the Levenshtein distance, computed one row at a time.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{super::parse_patch, *};

    #[test]
    fn each_key_has_a_valid_example_in_the_guide() {
        let guide = include_str!("../../../session-expire/docs/attribute.md");
        for key in KEYS {
            let usage = key.usage();
            assert!(parse_patch(usage.parse().unwrap()).is_ok(), "{usage}");
            let row = guide.lines().find(|line| line.starts_with(&format!("| `{}` |", key.name)));
            assert!(row.is_some_and(|row| row.contains(key.example)), "{usage}");
        }
    }
}
