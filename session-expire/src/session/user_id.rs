//! User ids, as applications write them into a session.

use serde_json::Value;

/// Returns the user of an entry: a string, or a whole number of up to 64 bits as its decimal text.
/// Other numbers would not be read back exactly.
pub(crate) fn user_id(json: &str) -> Option<String> {
    match serde_json::from_str(json) {
        Ok(Value::String(user)) => Some(user),
        Ok(Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}
