//! Serialization of policies, with the keys and values of the attribute.
//!
//! A parsed policy is valid. Applications and registries use it.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IgnoredAny},
    ser::SerializeMap,
};

use super::{
    Policy, PolicyPatch,
    at_end::AtEnd,
    limit::{Limit, Overflow},
    options::policy_options,
};
use crate::error::ConfigError;

/// Unvalidated value of an option.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawValue {
    Text(String),
    Bool(bool),
    Whole(u64),
    Number(f64),
    List(Vec<IgnoredAny>),
    Table(HashMap<String, IgnoredAny>),
}

impl fmt::Display for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::List(values) => write!(f, "a list (length {})", values.len()),
            Self::Table(keys) => write!(f, "a table (length {})", keys.len()),
        }
    }
}

/// Type of an option that can be serialized.
trait FileValue: Sized {
    const EXPECTED: &'static str;

    /// Returns the option, or `None` if the value is of another kind.
    fn parse(key: &'static str, value: &RawValue) -> Option<Result<Self, ConfigError>>;

    fn write<M: SerializeMap>(&self, map: &mut M, key: &'static str) -> Result<(), M::Error>;

    fn read(key: &'static str, value: RawValue) -> Result<Self, ConfigError> {
        Self::parse(key, &value).unwrap_or_else(|| {
            Err(ConfigError::Value { key, value: value.to_string(), expected: Self::EXPECTED })
        })
    }
}

impl FileValue for Limit<Duration> {
    const EXPECTED: &'static str = "a duration such as \"90s\", \"10m\" or \"never\"";

    fn parse(key: &'static str, value: &RawValue) -> Option<Result<Self, ConfigError>> {
        let RawValue::Text(text) = value else { return None };
        let limit = text.parse();
        Some(limit.map_err(|problem| ConfigError::Duration { key, value: text.clone(), problem }))
    }

    fn write<M: SerializeMap>(&self, map: &mut M, key: &'static str) -> Result<(), M::Error> {
        map.serialize_entry(key, &self.to_string())
    }
}

impl FileValue for Limit<u32> {
    const EXPECTED: &'static str = Self::WORDS;

    fn parse(_: &'static str, value: &RawValue) -> Option<Result<Self, ConfigError>> {
        match value {
            RawValue::Text(text) if text == "unlimited" => Some(Ok(Self::Off)),
            RawValue::Whole(number) => u32::try_from(*number).ok().map(|number| Ok(number.into())),
            _ => None,
        }
    }

    fn write<M: SerializeMap>(&self, map: &mut M, key: &'static str) -> Result<(), M::Error> {
        map.serialize_entry(key, &self.at().unwrap_or(0))
    }
}

macro_rules! impl_for_words {
    ($type:ty) => {
        impl FileValue for $type {
            const EXPECTED: &'static str = Self::WORDS;

            fn parse(_: &'static str, value: &RawValue) -> Option<Result<Self, ConfigError>> {
                match value {
                    RawValue::Text(text) => Some(text.parse()),
                    _ => None,
                }
            }

            fn write<M: SerializeMap>(
                &self,
                map: &mut M,
                key: &'static str,
            ) -> Result<(), M::Error> {
                map.serialize_entry(key, self.as_str())
            }
        }
    };
}

impl_for_words!(Overflow);
impl_for_words!(AtEnd);

impl FileValue for bool {
    const EXPECTED: &'static str = "true or false";

    fn parse(_: &'static str, value: &RawValue) -> Option<Result<Self, ConfigError>> {
        match value {
            RawValue::Bool(value) => Some(Ok(*value)),
            _ => None,
        }
    }

    fn write<M: SerializeMap>(&self, map: &mut M, key: &'static str) -> Result<(), M::Error> {
        map.serialize_entry(key, self)
    }
}

impl FileValue for Arc<str> {
    const EXPECTED: &'static str = "a quoted string";

    fn parse(_: &'static str, value: &RawValue) -> Option<Result<Self, ConfigError>> {
        match value {
            RawValue::Text(text) => Some(Ok(text.as_str().into())),
            _ => None,
        }
    }

    fn write<M: SerializeMap>(&self, map: &mut M, key: &'static str) -> Result<(), M::Error> {
        map.serialize_entry(key, &**self)
    }
}

macro_rules! serialize_options {
    ($($(#[doc = $doc:literal])+ $name:ident($argument:ty): $type:ty $(= $default:expr)?;)+) => {
        /// Unvalidated [`PolicyPatch`].
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default, expecting = "a table of policy options")]
        struct RawPolicyPatch {
            $($name: Option<RawValue>,)+
        }

        impl TryFrom<RawPolicyPatch> for PolicyPatch {
            type Error = ConfigError;

            fn try_from(raw: RawPolicyPatch) -> Result<Self, ConfigError> {
                let patch = Self {
                    $($name: read_option(stringify!($name), raw.$name)?,)+
                };
                patch.validate().map(|()| patch)
            }
        }

        impl Serialize for PolicyPatch {
            /// Serializes the options that are set, in the format that they are parsed from.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                $(if let Some(value) = &self.$name {
                    value.write(&mut map, stringify!($name))?;
                })+
                map.end()
            }
        }
    };
}

policy_options!(serialize_options);

fn read_option<T: FileValue>(
    key: &'static str,
    value: Option<RawValue>,
) -> Result<Option<T>, ConfigError> {
    value.map(|value| T::read(key, value)).transpose()
}

impl<'de> Deserialize<'de> for PolicyPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawPolicyPatch::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PolicyPatch::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let policy = PolicyPatch::deserialize(deserializer)?.over(&Self::default());
        policy.validate().map_err(de::Error::custom)?;
        Ok(policy)
    }
}

/// Returns the text of a patch for a registry.
///
/// # Errors
///
/// Returns an error if the text cannot be parsed again. The login then fails, instead of
/// later requests.
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) fn to_text(patch: &PolicyPatch) -> serde_json::Result<String> {
    let text = serde_json::to_string(patch)?;
    serde_json::from_str::<PolicyPatch>(&text)?;
    Ok(text)
}

/// Reads the text of a patch from a registry. Options and values that only a newer version defines
/// are ignored.
///
/// # Errors
///
/// Returns an error if the text is not a JSON object, or if its options contradict each other.
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) fn from_stored(text: &str) -> serde_json::Result<PolicyPatch> {
    let mut options: serde_json::Map<_, _> = serde_json::from_str(text)?;
    options.retain(|key, value| {
        let option = serde_json::Map::from_iter([(key.clone(), value.clone())]);
        let read = serde_json::from_value::<PolicyPatch>(option.into());
        if let Err(error) = &read {
            tracing::warn!(event = "sys_policy_option_ignored", %error, "unknown policy option");
        }
        read.is_ok()
    });
    serde_json::from_value(options.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes, seconds};

    #[test]
    fn policy_is_parsed_from_words_of_attribute() {
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
            fresh = "10m"
            confirm_url = "/sudo"
            at_end = "lock"
            lock_for = "2h"
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
            .require_login(true)
            .fresh(minutes(10))
            .confirm_url("/sudo")
            .at_end(AtEnd::Lock)
            .lock_for(hours(2));
        assert_eq!(policy, expected);
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), expected, "{json}");
    }

    #[test]
    fn serialized_patch_parses_again() {
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
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    fn stored_options_of_a_newer_version_are_ignored() {
        let text = r#"{"idle": "10m", "new": [1], "overflow": "newer", "max_sessions": 2}"#;
        let expected = PolicyPatch::new().idle(minutes(10)).max_sessions(2);
        assert_eq!(from_stored(text).unwrap(), expected);
        assert!(from_stored("[]").is_err());
        assert!(from_stored(r#"{"idle": "1m", "warn": "2m"}"#).is_err());
    }

    #[test]
    fn missing_key_is_not_set() {
        let patch: PolicyPatch = serde_json::from_str(r#"{"max_sessions": "unlimited"}"#).unwrap();
        assert_eq!(patch, PolicyPatch::new().max_sessions(0));
        assert_eq!(serde_json::from_str::<PolicyPatch>("{}").unwrap(), PolicyPatch::new());
    }

    #[test]
    fn invalid_option_error_names_key() {
        for (json, words) in [
            (r#"{"idel": "10m"}"#, "unknown field `idel`"),
            (r#"{"idle": "10"}"#, "idle: \"10\" is not a duration: a number lacks its unit"),
            (r#"{"idle": 600}"#, "idle: 600 is not a duration such as"),
            (r#"{"absolute": "forever"}"#, "absolute: \"forever\""),
            (r#"{"warn": "10m", "idle": "10m"}"#, "`warn` (10m) must be shorter than `idle` (10m)"),
            (
                r#"{"warn": "2h", "absolute": "1h"}"#,
                "`warn` (2h) must be shorter than `absolute` (1h)",
            ),
            (r#"{"max_sessions": -1}"#, "max_sessions: -1 is not a whole number"),
            (r#"{"max_sessions": 4294967296}"#, "max_sessions: 4294967296 is not"),
            (r#"{"max_sessions": 1.5}"#, "max_sessions: 1.5 is not"),
            (r#"{"overflow": "explode"}"#, "overflow: \"explode\" is not \"evict\""),
            (r#"{"at_end": "stay"}"#, "at_end: \"stay\" is not \"leave\" or \"lock\""),
            (r#"{"at_end": true}"#, "at_end: true is not \"leave\" or \"lock\""),
            (r#"{"lock_for": "0s"}"#, "lock_for: \"0s\" is not a duration"),
            (r#"{"passive": "yes"}"#, "passive: \"yes\" is not true or false"),
            (r#"{"require_login": 1}"#, "require_login: 1 is not true or false"),
            (r#"{"idle": ["10m"]}"#, "idle: a list (length 1) is not a duration such as"),
            (
                r#"{"login_url": {"a": [1]}}"#,
                "login_url: a table (length 1) is not a quoted string",
            ),
            (r#"{"message": 1}"#, "message: 1 is not a quoted string"),
            (
                r#"{"login_url": "https://b.example/"}"#,
                "login_url: \"https://b.example/\" is not a local path",
            ),
        ] {
            let patch = serde_json::from_str::<PolicyPatch>(json).unwrap_err().to_string();
            assert!(patch.contains(words), "{json}: {patch}");
            let policy = serde_json::from_str::<Policy>(json).unwrap_err().to_string();
            assert!(policy.contains(words), "{json}: {policy}");
        }
    }
}
