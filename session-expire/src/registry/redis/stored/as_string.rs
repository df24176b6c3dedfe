//! Conversion of values to JSON strings.
//!
//! Script arguments contain numbers as strings, because the JSON library of Redis rounds numbers.

use std::{fmt::Display, time::Duration};

use serde::{Serialize, Serializer};

use crate::time::Timestamp;

/// Value that serializes to a string.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AsString<T>(pub(crate) T);

impl<T: Display> Serialize for AsString<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Returns `1` for `true`; `false` is absent in JSON.
pub(crate) fn flag(is_set: bool) -> Option<AsString<u8>> {
    is_set.then_some(AsString(1))
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn time(at: Timestamp) -> AsString<i64> {
    AsString(at.as_millis())
}
