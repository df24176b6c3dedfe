//! Policies in files: the words of the attribute, through serde.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};

use crate::{
    error::ConfigError,
    limit::{Limit, Overflow},
    policy::{Policy, PolicyPatch},
    time::{format_duration, parse_duration},
};

/// Value in a file, not validated.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Truth(bool),
    Whole(u64),
    Other(f64),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

/// [`PolicyPatch`] in a file, not validated.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "a table of policy options")]
struct Written {
    idle: Option<Word>,
    absolute: Option<Word>,
    warn: Option<Word>,
    max_sessions: Option<Word>,
    overflow: Option<Word>,
    passive: Option<Word>,
    message: Option<Word>,
    login_url: Option<Word>,
    require_login: Option<Word>,
}

impl TryFrom<Written> for PolicyPatch {
    type Error = ConfigError;

    fn try_from(written: Written) -> Result<Self, ConfigError> {
        let patch = Self {
            idle: written.idle.map(|word| duration("idle", word)).transpose()?,
            absolute: written.absolute.map(|word| duration("absolute", word)).transpose()?,
            warn: written.warn.map(|word| duration("warn", word)).transpose()?,
            max_sessions: written.max_sessions.map(count).transpose()?,
            overflow: written.overflow.map(overflow).transpose()?,
            passive: written.passive.map(|word| truth("passive", word)).transpose()?,
            message: written.message.map(|word| text("message", word)).transpose()?,
            login_url: written.login_url.map(|word| text("login_url", word)).transpose()?,
            require_login: written
                .require_login
                .map(|word| truth("require_login", word))
                .transpose()?,
        };
        patch.validate().map(|()| patch)
    }
}

/// Returns a patch as a registry stores it.
///
/// # Errors
///
/// Returns an error if it could not be read back: one login fails now, instead of later requests.
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) fn to_text(patch: &PolicyPatch) -> serde_json::Result<String> {
    let text = serde_json::to_string(patch)?;
    serde_json::from_str::<PolicyPatch>(&text)?;
    Ok(text)
}

fn duration(key: &'static str, word: Word) -> Result<Limit<Duration>, ConfigError> {
    match word {
        Word::Text(text) => limit(key, &text),
        other => wrong(key, &other, "a duration in words, such as \"90s\", \"10m\" or \"never\""),
    }
}

/// Parses a limit: a duration, or `never`. `key` names the option in the error.
///
/// # Errors
///
/// Returns [`ConfigError::Duration`] with `key` for any other text.
///
/// ```
/// use session_expire::{Limit, limit, minutes};
/// assert_eq!(limit("idle", "10m"), Ok(Limit::At(minutes(10))));
/// assert_eq!(limit("idle", "never"), Ok(Limit::Off));
/// let error = limit("--idle", "600").unwrap_err().to_string();
/// assert!(error.starts_with(r#"--idle: "600" is not a duration"#));
/// ```
pub fn limit(key: &'static str, text: &str) -> Result<Limit<Duration>, ConfigError> {
    if text == "never" {
        return Ok(Limit::Off);
    }
    parse_duration(text).map(Limit::At).map_err(|problem| ConfigError::Duration {
        key,
        value: text.to_owned(),
        problem,
    })
}

fn count(word: Word) -> Result<Limit<u32>, ConfigError> {
    match word {
        Word::Text(text) if text == "unlimited" => Ok(Limit::Off),
        Word::Whole(number) if u32::try_from(number).is_ok() => {
            Ok(u32::try_from(number).unwrap_or(u32::MAX).into())
        }
        other => wrong("max_sessions", &other, "a whole number or \"unlimited\""),
    }
}

fn overflow(word: Word) -> Result<Overflow, ConfigError> {
    match word {
        Word::Text(text) => text.parse(),
        other => wrong("overflow", &other, OVERFLOWS),
    }
}

const OVERFLOWS: &str = "\"evict\", \"least_recent\" or \"refuse\"";

impl Overflow {
    /// Returns the word for it: `evict`, `least_recent`, `refuse`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evict => "evict",
            Self::LeastRecent => "least_recent",
            Self::Refuse => "refuse",
        }
    }
}

impl FromStr for Overflow {
    type Err = ConfigError;

    /// Parses `evict`, `least_recent` (or `least-recent`) and `refuse`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "evict" => Ok(Self::Evict),
            "least_recent" | "least-recent" => Ok(Self::LeastRecent),
            "refuse" => Ok(Self::Refuse),
            other => wrong("overflow", &Word::Text(other.to_owned()), OVERFLOWS),
        }
    }
}

fn truth(key: &'static str, word: Word) -> Result<bool, ConfigError> {
    match word {
        Word::Truth(truth) => Ok(truth),
        other => wrong(key, &other, "true or false"),
    }
}

fn text(key: &'static str, word: Word) -> Result<Arc<str>, ConfigError> {
    match word {
        Word::Text(text) => Ok(text.into()),
        other => wrong(key, &other, "a text in quotes"),
    }
}

fn wrong<T>(key: &'static str, word: &Word, expected: &'static str) -> Result<T, ConfigError> {
    Err(ConfigError::Value { key, value: word.to_string(), expected })
}

impl Serialize for PolicyPatch {
    /// Serializes the keys that are set, with the words they are parsed from.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words =
            |limit: Limit<Duration>| limit.at().map_or_else(|| "never".to_owned(), format_duration);
        let mut map = serializer.serialize_map(None)?;
        for (key, limit) in [("idle", self.idle), ("absolute", self.absolute), ("warn", self.warn)]
        {
            if let Some(limit) = limit {
                map.serialize_entry(key, &words(limit))?;
            }
        }
        if let Some(limit) = self.max_sessions {
            map.serialize_entry("max_sessions", &limit.at().unwrap_or(0))?;
        }
        if let Some(overflow) = self.overflow {
            map.serialize_entry("overflow", overflow.as_str())?;
        }
        for (key, truth) in [("passive", self.passive), ("require_login", self.require_login)] {
            if let Some(truth) = truth {
                map.serialize_entry(key, &truth)?;
            }
        }
        for (key, text) in [("message", &self.message), ("login_url", &self.login_url)] {
            if let Some(text) = text {
                map.serialize_entry(key, &**text)?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for PolicyPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let policy = PolicyPatch::deserialize(deserializer)?.over(&Self::default());
        policy.validate().map_err(de::Error::custom)?;
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{minutes, seconds};

    #[test]
    fn a_policy_reads_in_the_words_of_the_attribute() {
        let policy: Policy = toml::from_str(
            r#"
            idle = "10m"
            absolute = "never"
            warn = "30s"
            max_sessions = 3
            overflow = "refuse"
            passive = true
            message = "Bye."
            login_url = "/sign-in"
            require_login = true
            "#,
        )
        .unwrap();
        let expected = Policy::new()
            .idle(minutes(10))
            .absolute(Limit::Off)
            .warn(seconds(30))
            .max_sessions(3)
            .overflow(Overflow::Refuse)
            .passive(true)
            .message("Bye.")
            .login_url("/sign-in")
            .require_login(true);
        assert_eq!(policy, expected);
    }

    #[test]
    fn a_patch_reads_back_what_it_writes() {
        let full = PolicyPatch::new()
            .idle(minutes(90))
            .absolute(Limit::Off)
            .warn(Duration::from_millis(250))
            .max_sessions(3)
            .overflow(Overflow::LeastRecent)
            .passive(false)
            .message("Bye \"bye\"")
            .login_url("/in")
            .require_login(false);
        let silent = PolicyPatch::new().message("").require_login(true);
        for patch in [full, silent, PolicyPatch::new(), PolicyPatch::new().max_sessions(0)] {
            let json = serde_json::to_string(&patch).unwrap();
            assert_eq!(serde_json::from_str::<PolicyPatch>(&json).unwrap(), patch, "{json}");
        }
    }

    #[test]
    fn a_patch_reads_only_what_is_there() {
        let patch: PolicyPatch = serde_json::from_str(r#"{"max_sessions": "unlimited"}"#).unwrap();
        assert_eq!(patch, PolicyPatch::new().max_sessions(0));
        assert_eq!(serde_json::from_str::<PolicyPatch>("{}").unwrap(), PolicyPatch::new());
    }

    #[test]
    fn every_mistake_in_a_file_names_its_key() {
        for (json, words) in [
            (r#"{"idel": "10m"}"#, "unknown field `idel`"),
            (r#"{"idle": "10"}"#, "idle: \"10\" is not a duration: a number lacks its unit"),
            (r#"{"idle": 600}"#, "idle: 600 is not a duration in words"),
            (r#"{"absolute": "forever"}"#, "absolute: \"forever\""),
            (r#"{"warn": "10m", "idle": "10m"}"#, "warn: 10m is not shorter than idle = 10m"),
            (r#"{"warn": "2h", "absolute": "1h"}"#, "warn: 2h is not shorter than absolute = 1h"),
            (r#"{"max_sessions": -1}"#, "max_sessions: -1 is not a whole number"),
            (r#"{"max_sessions": 4294967296}"#, "max_sessions: 4294967296 is not"),
            (r#"{"max_sessions": 1.5}"#, "max_sessions: 1.5 is not"),
            (r#"{"overflow": "explode"}"#, "overflow: \"explode\" is not \"evict\""),
            (r#"{"passive": "yes"}"#, "passive: \"yes\" is not true or false"),
            (r#"{"require_login": 1}"#, "require_login: 1 is not true or false"),
            (r#"{"message": 1}"#, "message: 1 is not a text"),
            (
                r#"{"login_url": "https://b.example/"}"#,
                "login_url: \"https://b.example/\" is not a path",
            ),
        ] {
            let patch = serde_json::from_str::<PolicyPatch>(json).unwrap_err().to_string();
            assert!(patch.contains(words), "{json}: {patch}");
            let policy = serde_json::from_str::<Policy>(json).unwrap_err().to_string();
            assert!(policy.contains(words), "{json}: {policy}");
        }
    }
}
