//! Record keys of adopted sessions, derived from the old cookie.
//!
//! The same cookie yields the same key in every process and every release. Requests of several tabs
//! therefore create one session, and a replayed cookie leads to its tombstone.

use actix_web::cookie::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::cookie::DecodedCookie;
use crate::session::key::{RecordKey, encode_base62};

const LABEL: &[u8] = b"session-expire: record key of an adopted session";

/// Derivation of record keys. Its key is derived from the key of the old cookie. A copy of the old
/// store is therefore not sufficient to compute a record key.
pub(super) struct KeyDerivation([u8; 32]);

impl KeyDerivation {
    pub(super) fn new(key: &Key) -> Self {
        Self(hmac(key.master(), &[LABEL]))
    }

    /// Returns the record key of the session in `cookie` for `user`.
    ///
    /// The key depends on the user, so two users never share a record. It depends on the text of
    /// the cookie, which is a random key or the state of the session.
    ///
    /// A state, such as `{"user_id":"\"alice\""}`, is the same on all devices of a user. The key
    /// then also depends on the nonce of the encryption. Otherwise two devices would share a
    /// session, and one could extend or end the session of the other. Signed cookies have no nonce:
    /// devices with the same state share a session.
    ///
    /// With a random key, the nonce is ignored, because it changes whenever `SessionMiddleware`
    /// sends the cookie again.
    pub(super) fn record_key(&self, user: &str, cookie: &DecodedCookie) -> Option<RecordKey> {
        let is_state = cookie.text.starts_with('{');
        let nonce = cookie.nonce.as_deref().filter(|_| is_state).unwrap_or_default();
        let digest = hmac(&self.0, &[user.as_bytes(), cookie.text.as_bytes(), nonce.as_bytes()]);
        RecordKey::with_secret(user, &encode_base62(digest))
    }
}

/// Returns the HMAC-SHA256 of the parts. Each part is preceded by its length.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC accepts keys of any length, so the fallback is unreachable. It avoids a panic.
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn derivation() -> KeyDerivation {
        KeyDerivation::new(&Key::from(&[7; 64]))
    }

    fn decoded(text: &str, nonce: Option<&str>) -> DecodedCookie {
        DecodedCookie { text: text.to_owned(), nonce: nonce.map(str::to_owned) }
    }

    fn derive(user: &str, text: &str, nonce: Option<&str>) -> String {
        let key = derivation().record_key(user, &decoded(text, nonce)).unwrap();
        key.expose().to_owned()
    }

    #[test]
    fn record_key_is_stable_across_releases() {
        assert_eq!(derive("alice", "4n0ldK3y", None), "NKaQMrxX9xB0rkyjA3PPEc9r1HzobP");
        assert_eq!(derive("alice", "4n0ldK3y", Some("nonce")), derive("alice", "4n0ldK3y", None));
    }

    #[test]
    fn record_key_depends_on_key_user_text_and_nonce() {
        let other =
            KeyDerivation::new(&Key::from(&[8; 64])).record_key("alice", &decoded("a", None));
        let keys = HashSet::from([
            other.unwrap().expose().to_owned(),
            derive("alice", "a", None),
            derive("alice", "b", None),
            derive("alic", "ea", None),
            derive("bob", "a", None),
            derive("alice", "{}", None),
            derive("alice", "{}", Some("1")),
            derive("alice", "{}", Some("2")),
        ]);
        assert_eq!(keys.len(), 8);
    }

    #[test]
    fn encoded_digits_are_uniform() {
        let mut counts = [0_u32; 128];
        for number in 0..6_200_u32 {
            let text = encode_base62(hmac(b"key", &[&number.to_be_bytes()]));
            assert_eq!(text.len(), 22);
            text.bytes().for_each(|letter| counts[usize::from(letter)] += 1);
        }
        let seen: Vec<_> = counts.iter().filter(|count| **count > 0).collect();
        assert!(seen.len() == 62 && seen.iter().all(|count| (2_000..2_400).contains(*count)));
        assert_eq!(encode_base62([0; 32]), "0".repeat(22));
    }
}
