//! Conversion of values to JSON strings and back.
//!
//! No number is a JSON number, because the JSON library of Redis rounds numbers. Stored records and
//! the arguments of scripts use it.

use std::{
    fmt::{self, Display},
    marker::PhantomData,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::time::Timestamp;

/// Value that serializes to a string.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AsString<T>(pub(super) T);

impl<T: Display> Serialize for AsString<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr> Deserialize<'de> for AsString<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AsStringVisitor(PhantomData))
    }
}

/// Visitor that parses a string in place. A record has many strings, so copying each would be
/// costly.
struct AsStringVisitor<T>(PhantomData<T>);

impl<T: FromStr> Visitor<'_> for AsStringVisitor<T> {
    type Value = AsString<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        // The error must not contain the value, which may be a secret.
        text.parse().map(AsString).map_err(|_| E::custom("invalid value"))
    }
}

/// Returns `1` for `true`; `false` is absent in JSON.
pub(super) fn flag(is_set: bool) -> Option<AsString<u8>> {
    is_set.then_some(AsString(1))
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn time(at: Timestamp) -> AsString<i64> {
    AsString(at.as_millis())
}

pub(super) fn text(text: &Arc<str>) -> String {
    text.to_string()
}
