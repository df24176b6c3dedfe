//! Conversion of values to JSON strings.
//!
//! No number is a JSON number, because the JSON library of Redis rounds numbers. The arguments of
//! scripts use it.

use std::{fmt::Display, time::Duration};

use serde::{Serialize, Serializer};

use crate::time::Timestamp;

/// Value that serializes to a string.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AsString<T>(pub(super) T);

impl<T: Display> Serialize for AsString<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
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
