//! Record keys of adopted sessions, derived from the old cookie.
//!
//! The same cookie gives the same key in every process and in every release: requests of several
//! tabs make one session, and a replayed cookie meets its tombstone.

use actix_web::cookie::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::cookie::OpenedCookie;
use crate::session::key::RecordKey;

const LABEL: &[u8] = b"session-expire: record key of an adopted session";

/// Derives record keys. Its own key is derived from the key of the old cookie: a copy of the old
/// store does not suffice to compute a record key.
pub(super) struct KeyDerivation([u8; 32]);

impl KeyDerivation {
    pub(super) fn new(key: &Key) -> Self {
        Self(hmac(key.master(), &[LABEL]))
    }

    /// Returns the record key of the session in `cookie` for `user`.
    ///
    /// It covers the user: two users are never mapped to one record.
    ///
    /// The text of a cookie identifies its session if it is a random key. A text that is the state
    /// itself, such as `{"user_id":"\"alice\""}`, is the same on all devices of a user. There the
    /// nonce of the encryption tells the devices apart: otherwise a phone would keep the session of
    /// an unattended computer alive, and its end would sign the other device out. A random key
    /// stands without the nonce, which changes whenever `SessionMiddleware` sends the cookie again.
    /// Signed cookies have no nonce: devices with the same state share one session.
    pub(super) fn record_key(&self, user: &str, cookie: &OpenedCookie) -> Option<RecordKey> {
        let is_state = cookie.text.starts_with('{');
        let nonce = cookie.nonce.as_deref().filter(|_| is_state).unwrap_or_default();
        let digest = hmac(&self.0, &[user.as_bytes(), cookie.text.as_bytes(), nonce.as_bytes()]);
        RecordKey::with_secret(user, &letters(digest))
    }
}

/// HMAC-SHA256 of the parts, each preceded by its length.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of every length; the fallback only spares a panic.
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Writes each half of a digest as 11 letters and digits, 22 in total: 130.9 bits, as many as a
/// random key has.
///
/// 62^11 is 2^65.5, so the remainder of 128 bits is uniform but for one part in 2^62. A byte modulo
/// 62 for each letter would leave 125 bits of min-entropy, less than the 128 of ASVS 5.0 7.2.3.
fn letters(digest: [u8; 32]) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (halves, _) = digest.as_chunks::<16>();
    let numbers = halves.iter().map(|half| u128::from_be_bytes(*half));
    let places =
        numbers.flat_map(|number| (0..11).map(move |place| number / 62_u128.pow(place) % 62));
    places.map(|place| char::from(LETTERS[usize::try_from(place).unwrap_or(0)])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn derivation() -> KeyDerivation {
        KeyDerivation::new(&Key::from(&[7; 64]))
    }

    fn opened(text: &str, nonce: Option<&str>) -> OpenedCookie {
        OpenedCookie { text: text.to_owned(), nonce: nonce.map(str::to_owned) }
    }

    fn derive(user: &str, text: &str, nonce: Option<&str>) -> String {
        let key = derivation().record_key(user, &opened(text, nonce)).unwrap();
        key.expose().to_owned()
    }

    #[test]
    fn record_key_is_the_same_in_every_release() {
        assert_eq!(derive("alice", "4n0ldK3y", None), "op6D9xB0rkyjA3PPEc9r1HzobP");
        assert_eq!(derive("alice", "4n0ldK3y", Some("nonce")), derive("alice", "4n0ldK3y", None));
    }

    #[test]
    fn record_keys_differ_by_key_user_text_and_nonce_of_a_state() {
        let other =
            KeyDerivation::new(&Key::from(&[8; 64])).record_key("alice", &opened("a", None));
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
    fn letters_are_spread_evenly() {
        let mut counts = [0_u32; 128];
        for number in 0..6_200_u32 {
            let text = letters(hmac(b"key", &[&number.to_be_bytes()]));
            assert_eq!(text.len(), 22);
            text.bytes().for_each(|letter| counts[usize::from(letter)] += 1);
        }
        let seen: Vec<_> = counts.iter().filter(|count| **count > 0).collect();
        assert!(seen.len() == 62 && seen.iter().all(|count| (2_000..2_400).contains(*count)));
        assert_eq!(letters([0; 32]), "0".repeat(22));
    }
}
