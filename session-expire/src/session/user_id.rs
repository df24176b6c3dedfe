//! User ids in the session entries of an application.
//!
//! Only texts and whole numbers are user ids. The request context and the migration read them.

use serde_json::Value;

/// Returns the user id in the JSON value of an entry: a string, or an integer of up to 64 bits in
/// decimal. Other numbers have no exact text.
pub(crate) fn user_id(json: &str) -> Option<String> {
    match serde_json::from_str(json) {
        Ok(Value::String(user)) => Some(user),
        Ok(Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}
