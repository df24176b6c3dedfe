//! State of an old session: user, login time and entries.
//!
//! Only this file depends on the representation of a state in actix-session: JSON text by name.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::{
    session::{
        data::{DataChanges, SessionData},
        user_id::user_id,
    },
    time::Timestamp,
};

/// State that a store of actix-session loads.
pub(super) type SessionState = HashMap<String, String>;

const LOGGED_IN_AT: &str = "actix_identity.logged_in_at";

/// Entries of actix-identity. They are not copied.
const IDENTITY_ENTRIES: [&str; 3] =
    ["actix_identity.user_id", LOGGED_IN_AT, "actix_identity.last_visited_at"];

/// State of a session with a user.
pub(super) struct OldState {
    pub(super) user: String,
    pub(super) logged_in_at: Option<Timestamp>,
    pub(super) data: SessionData,
}

impl OldState {
    /// Returns the state, or `None` if it has no user under `identity_key`.
    pub(super) fn new(mut state: SessionState, identity_key: &str) -> Option<Self> {
        let json = state.get(identity_key)?;
        let user = parse_user(json)?;
        // A numeric user id remains an entry, because the application must read back a number.
        if json.starts_with('"') {
            state.remove(identity_key);
        }
        let logged_in_at = state.get(LOGGED_IN_AT).and_then(|json| parse_timestamp(json));
        state.retain(|name, _| !IDENTITY_ENTRIES.contains(&name.as_str()));
        Some(Self { user, logged_in_at, data: session_data(state) })
    }
}

fn parse_user(json: &str) -> Option<String> {
    let user = user_id(json);
    if user.is_none() {
        tracing::error!(
            event = "sys_migration_invalid_user",
            "session not adopted: user id is neither a string nor a whole number"
        );
    }
    user
}

/// Parses a time of actix-identity, which stores seconds.
fn parse_timestamp(json: &str) -> Option<Timestamp> {
    let seconds: i64 = serde_json::from_str(json).ok()?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1_000)))
}

/// Returns the entries of a state. If they are too large, the session starts without data, because
/// the user should stay signed in.
fn session_data(state: SessionState) -> SessionData {
    let mut changes = DataChanges::default();
    for (name, json) in state {
        match RawValue::from_string(json) {
            Ok(value) => changes.set(&name, value),
            Err(_) => tracing::error!(
                event = "sys_migration_invalid_entry",
                entry = name,
                "session entry not adopted: invalid JSON"
            ),
        }
    }
    let mut data = SessionData::default();
    if let Err(error) = data.apply(&changes) {
        tracing::error!(
            event = "sys_migration_data_discarded",
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
    fn old_user_id_is_string_or_number() {
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
    fn invalid_login_time_is_none() {
        for json in ["\"1767268800\"", "1.5", "null", "99999999999999999999", ""] {
            let entries = [("user_id", "1"), ("actix_identity.logged_in_at", json)];
            assert_eq!(read(&entries, "user_id").unwrap().logged_in_at, None, "{json}");
        }
    }

    #[test]
    fn data_over_limit_is_discarded_without_sign_out() {
        let large = format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES));
        let state =
            read(&[("user_id", "1"), ("large", &large), ("small", "1")], "user_id").unwrap();
        assert_eq!((state.user.as_str(), state.data.is_empty()), ("1", true));
    }
}
