//! The state of an old session: its user, its login and its entries.
//!
//! This file knows how actix-session represents a state: JSON text by name.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::{
    session::{
        data::{DataChanges, SessionData},
        user_id::user_id,
    },
    time::Timestamp,
};

/// What a store of actix-session loads.
pub(super) type SessionState = HashMap<String, String>;

const LOGGED_IN_AT: &str = "actix_identity.logged_in_at";

/// What actix-identity keeps in a session. These entries are not copied.
const IDENTITY_ENTRIES: [&str; 3] =
    ["actix_identity.user_id", LOGGED_IN_AT, "actix_identity.last_visited_at"];

/// The state of a session that names a user.
pub(super) struct OldState {
    pub(super) user: String,
    pub(super) logged_in_at: Option<Timestamp>,
    pub(super) data: SessionData,
}

impl OldState {
    /// Returns `None` if the state names no user under `identity_key`.
    pub(super) fn new(mut state: SessionState, identity_key: &str) -> Option<Self> {
        let json = state.get(identity_key)?;
        let user = user(json)?;
        // A number stays, so that the application reads it back as one.
        if json.starts_with('"') {
            state.remove(identity_key);
        }
        let logged_in_at = state.get(LOGGED_IN_AT).and_then(|json| timestamp(json));
        state.retain(|name, _| !IDENTITY_ENTRIES.contains(&name.as_str()));
        Some(Self { user, logged_in_at, data: data(state) })
    }
}

fn user(json: &str) -> Option<String> {
    let user = user_id(json);
    if user.is_none() {
        tracing::error!(
            event = "sys_migration_invalid_user",
            "session not adopted: its user is neither a string nor a whole number"
        );
    }
    user
}

/// actix-identity stores seconds.
fn timestamp(json: &str) -> Option<Timestamp> {
    let seconds: i64 = serde_json::from_str(json).ok()?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1_000)))
}

/// A user is not signed out for data that cannot be stored: the session then starts without data.
fn data(state: SessionState) -> SessionData {
    let mut changes = DataChanges::default();
    for (name, json) in state {
        match RawValue::from_string(json) {
            Ok(value) => changes.set(&name, value),
            Err(_) => tracing::error!(
                event = "sys_migration_invalid_entry",
                entry = name,
                "session entry not adopted: it is not JSON"
            ),
        }
    }
    let mut data = SessionData::default();
    if let Err(error) = data.apply(&changes) {
        tracing::error!(
            event = "sys_migration_data_dropped",
            %error,
            "session adopted without its data"
        );
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)], identity_key: &str) -> Option<OldState> {
        let owned = |(name, json): &(&str, &str)| ((*name).to_owned(), (*json).to_owned());
        OldState::new(entries.iter().map(owned).collect(), identity_key)
    }

    fn names(data: &SessionData) -> Vec<&str> {
        data.entries().map(|(name, _)| name).collect()
    }

    #[test]
    fn user_is_a_string_or_a_number() {
        for (json, user) in [
            ("\"alice\"", Some("alice")),
            ("\"a\\u0041\"", Some("aA")),
            ("17", Some("17")),
            ("-9007199254740993", Some("-9007199254740993")),
            ("null", None),
            ("[\"alice\"]", None),
            ("alice", None),
        ] {
            let state = read(&[("user_id", json)], "user_id");
            assert_eq!(state.map(|state| state.user).as_deref(), user, "{json}");
        }
        assert!(read(&[("actix_identity.user_id", "\"alice\"")], "user_id").is_none());
    }

    #[test]
    fn entries_of_actix_identity_are_not_copied() {
        let entries = [
            ("actix_identity.user_id", "\"bob\""),
            ("actix_identity.logged_in_at", "1767268800"),
            ("actix_identity.last_visited_at", "1767268900"),
            ("user_id", "\"alice\""),
            ("cart", "[1, 2]"),
            ("broken", "{"),
        ];
        let state = read(&entries, "user_id").unwrap();
        assert_eq!(state.user, "alice");
        assert_eq!(state.logged_in_at, Some(Timestamp::from_millis(1_767_268_800_000)));
        assert_eq!(names(&state.data), ["cart"]);
        assert_eq!(state.data.get("cart").map(RawValue::get), Some("[1, 2]"));
        let state = read(&entries, "actix_identity.user_id").unwrap();
        assert_eq!((state.user.as_str(), names(&state.data)), ("bob", vec!["cart", "user_id"]));
        let state = read(&[("user_id", "17"), ("cart", "[]")], "user_id").unwrap();
        assert_eq!((state.user.as_str(), names(&state.data)), ("17", vec!["cart", "user_id"]));
    }

    #[test]
    fn login_time_that_cannot_be_read_is_none() {
        for json in ["\"1767268800\"", "1.5", "null", "99999999999999999999", ""] {
            let entries = [("user_id", "1"), ("actix_identity.logged_in_at", json)];
            assert_eq!(read(&entries, "user_id").unwrap().logged_in_at, None, "{json}");
        }
    }

    #[test]
    fn data_over_the_limit_does_not_sign_out() {
        let large = format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES));
        let state =
            read(&[("user_id", "1"), ("large", &large), ("small", "1")], "user_id").unwrap();
        assert_eq!((state.user.as_str(), state.data.is_empty()), ("1", true));
    }
}
