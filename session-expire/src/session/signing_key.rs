//! Signing key of a session.
//!
//! Page tokens are signed with it. The registry stores it in the record and no client receives it.

use std::fmt;

use rand::RngExt;

/// Signing key of the page tokens of a session: 128 random bits. No client receives it.
///
/// ```
/// use session_expire::registry::SigningKey;
/// let key = SigningKey::random();
/// let stored = key.expose();
/// assert_eq!(SigningKey::parse(&stored), Some(key));
/// assert_eq!(format!("{key:?}"), "SigningKey(…)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SigningKey([u8; 16]);

impl SigningKey {
    /// Returns a new key.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::rng().random())
    }

    /// Parses a key; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut key = [0; 16];
        hex::decode_to_slice(text, &mut key).ok().map(|()| Self(key))
    }

    /// Returns the key in 32 hexadecimal digits, for a registry to store. Do not log it.
    #[must_use]
    pub fn expose(&self) -> String {
        hex::encode(self.0)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_key_round_trips_and_debug_does_not_show_it() {
        let key = SigningKey::random();
        assert_eq!(SigningKey::parse(&key.expose()), Some(key));
        assert!(!format!("{key:?}").contains(&key.expose()));
        for invalid in ["", "0", &"g".repeat(32), &format!("+{}", "0".repeat(31))] {
            assert_eq!(SigningKey::parse(invalid), None, "{invalid:?}");
        }
    }
}
