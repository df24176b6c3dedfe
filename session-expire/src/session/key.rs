//! Keys of session records: the secret key and the public id.
//!
//! Both come from a cryptographic generator, and only the public id implements `Display`. The
//! cookie carries the secret key, and pages show the public id.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
    str::{self, FromStr},
};

use rand::{RngExt, distr::Alphanumeric};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::error::InvalidPublicId;

/// Secret key of a session record: a partition key of 8 characters, then 22 random letters and
/// digits (131 bits; OWASP ASVS 5.0 7.2.3 requires 128).
///
/// The session cookie carries the key. No page, log or `Debug` output shows it. All keys of a user
/// have the same [partition key](Self::partition_key), so a registry can store the records of a
/// user together.
///
/// ```
/// use session_expire::registry::RecordKey;
/// let key = RecordKey::random("alice");
/// assert_eq!(RecordKey::random("alice").partition_key(), key.partition_key());
/// assert_eq!(RecordKey::parse(key.expose()), Some(key));
/// assert_eq!(RecordKey::with_secret("alice", key.secret()), Some(key));
/// assert_eq!(format!("{key:?}"), "RecordKey(…)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordKey([u8; PARTITION + SECRET]);

/// Hashes 8 of the random characters: 47 bits are enough for a table.
impl Hash for RecordKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let letters = &self.0[PARTITION..PARTITION + 8];
        state.write_u64(letters.iter().fold(0, |sum, letter| sum << 8 | u64::from(*letter)));
    }
}

/// Hasher of record keys for a table of records.
///
/// It needs no secret against chosen collisions, because clients cannot choose the keys. It mixes
/// the bits, because letters and digits use only part of each byte.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Length of a partition key.
const PARTITION: usize = 8;

/// Length of the random part.
const SECRET: usize = 22;

impl RecordKey {
    /// Returns a new key for a session of `user`, from a cryptographic generator.
    #[must_use]
    pub fn random(user: &str) -> Self {
        Self::join(user, random_letters())
    }

    /// Returns the key of a session of `user` from its [secret](Self::secret) part; `None` if it is
    /// malformed.
    #[must_use]
    pub fn with_secret(user: &str, secret: &str) -> Option<Self> {
        parse_letters(secret).map(|secret| Self::join(user, secret))
    }

    fn join(user: &str, secret: [u8; SECRET]) -> Self {
        let mut letters = [0; PARTITION + SECRET];
        letters[..PARTITION].copy_from_slice(&partition_letters(user));
        letters[PARTITION..].copy_from_slice(&secret);
        Self(letters)
    }

    /// Returns the random part of the key, without the partition key. Do not log it.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.expose()[PARTITION..]
    }

    /// Returns the first 8 characters, which all keys of one user have in common.
    ///
    /// They are part of the SHA-256 of the user id. There are 2.2 × 10¹⁴ partition keys; among 100
    /// million users, some share one.
    #[must_use]
    pub fn partition_key(&self) -> &str {
        str::from_utf8(&self.0[..PARTITION]).unwrap_or_default()
    }

    /// Parses a key; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_letters(text).map(Self)
    }

    /// Returns the whole key, for a registry to store. Do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(…)")
    }
}

/// Public id of a session, for pages, URLs and logs: 16 random letters and digits. It grants no
/// access.
///
/// A handler extracts it from the path; the response to an invalid id is 404:
///
/// ```
/// use actix_identity::Identity;
/// use actix_web::{Result, post, web};
/// use session_expire::{PublicId, SessionHandle};
///
/// #[post("/devices/{id}/end")]
/// async fn end(user: Identity, id: web::Path<PublicId>, session: SessionHandle) -> Result<String> {
///     let ended = session.sessions().end(&user.id()?, *id).await?;
///     Ok(if ended { "signed out" } else { "no such session" }.to_owned())
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicId([u8; 16]);

impl PublicId {
    /// Returns a new id.
    #[must_use]
    pub fn random() -> Self {
        Self(random_letters())
    }

    /// Parses an id; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_letters(text).map(Self)
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for PublicId {
    type Err = InvalidPublicId;

    fn from_str(text: &str) -> Result<Self, InvalidPublicId> {
        Self::parse(text).ok_or(InvalidPublicId)
    }
}

impl Serialize for PublicId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PublicId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicId({self})")
    }
}

/// Digits of base 62, which keys consist of.
pub(crate) const LETTERS: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Returns the SHA-256 of a user id. It is the same on every machine, because several processes
/// share the stored records.
pub(crate) fn user_hash(user: &str) -> [u8; 32] {
    Sha256::digest(user).into()
}

/// Encodes the first bytes of the hash of the user id.
fn partition_letters(user: &str) -> [u8; PARTITION] {
    let hash = user_hash(user);
    let mut remaining = hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    [(); PARTITION].map(|()| {
        let letter = LETTERS[usize::try_from(remaining % 62).unwrap_or(0)];
        remaining /= 62;
        letter
    })
}

/// Returns the partition key of `user`; see [`RecordKey::partition_key`].
///
/// ```
/// use session_expire::registry::{RecordKey, partition_key};
/// assert_eq!(partition_key("alice"), RecordKey::random("alice").partition_key());
/// assert_ne!(partition_key("alice"), partition_key("bob"));
/// ```
#[must_use]
pub fn partition_key(user: &str) -> String {
    String::from_utf8_lossy(&partition_letters(user)).into_owned()
}

/// Returns 22 random letters and digits, the length of the random part of a key.
pub(crate) fn random_secret() -> String {
    random_letters::<SECRET>().map(char::from).iter().collect()
}

/// Returns `true` if `text` may be a result of [`random_secret`].
pub(crate) fn is_secret(text: &str) -> bool {
    parse_letters::<SECRET>(text).is_some()
}

/// Encodes each half of a digest as 11 letters and digits. All 22 characters have 130.9 bits, as
/// many as a random key.
///
/// 62^11 is 2^65.5, so 128 bits modulo 62^11 are uniform except for one part in 2^62. Each byte
/// modulo 62 would leave 125 bits of min-entropy, less than the 128 bits of ASVS 5.0 7.2.3.
pub(crate) fn encode_base62(digest: [u8; 32]) -> String {
    let (halves, _) = digest.as_chunks::<16>();
    let numbers = halves.iter().map(|half| u128::from_be_bytes(*half));
    let digits =
        numbers.flat_map(|number| (0..11).map(move |index| number / 62_u128.pow(index) % 62));
    digits.map(|digit| char::from(LETTERS[usize::try_from(digit).unwrap_or(0)])).collect()
}

fn random_letters<const N: usize>() -> [u8; N] {
    let mut rng = rand::rng();
    std::array::from_fn(|_| rng.sample(Alphanumeric))
}

fn parse_letters<const N: usize>(text: &str) -> Option<[u8; N]> {
    let letters: [u8; N] = text.as_bytes().try_into().ok()?;
    // A fold without an early return lets the compiler check many bytes at once.
    let is_valid = letters.iter().fold(true, |valid, byte| valid & byte.is_ascii_alphanumeric());
    is_valid.then_some(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_key_round_trips_and_debug_does_not_show_it() {
        let key = RecordKey::random("alice");
        assert_eq!(RecordKey::parse(key.expose()), Some(key));
        assert_eq!(RecordKey::with_secret("alice", key.secret()), Some(key));
        assert_ne!(RecordKey::with_secret("bob", key.secret()), Some(key));
        assert!(!format!("{key:?}").contains(key.expose()));
        for invalid in [
            "",
            "short",
            "012345678901234567890123456789x",
            "01234567890123456789012345678\u{0}",
            "ééééééééééééééé",
        ] {
            assert_eq!(RecordKey::parse(invalid), None, "{invalid:?}");
        }
    }

    /// 62 letters at each of 22 positions are 131 bits. With 4,000 keys, a letter is missing at a
    /// position with a probability of less than 1 in 10²⁴.
    #[test]
    fn keys_are_unique_and_use_the_whole_alphabet() {
        use std::collections::HashSet;
        let keys: Vec<_> = (0..4_000).map(|_| RecordKey::random("alice")).collect();
        let secrets: HashSet<_> = keys.iter().map(RecordKey::secret).collect();
        assert_eq!(secrets.len(), keys.len());
        for position in 0..SECRET {
            let letters: HashSet<_> =
                secrets.iter().map(|secret| secret.as_bytes()[position]).collect();
            assert_eq!(letters, LETTERS.iter().copied().collect(), "position {position}");
        }
    }

    #[test]
    fn public_id_round_trips_and_other_text_is_rejected() {
        let id = PublicId::random();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<PublicId>(&json).unwrap(), id);
        assert_eq!(id.as_str().parse(), Ok(id));
        for invalid in ["", "../../etc/passwd", "0123456789abcde!"] {
            assert_eq!(invalid.parse::<PublicId>(), Err(InvalidPublicId), "{invalid}");
            assert!(serde_json::from_str::<PublicId>(&format!("{invalid:?}")).is_err());
        }
    }

    #[test]
    fn key_hashes_are_spread_evenly_over_buckets() {
        use std::hash::{BuildHasher, BuildHasherDefault};
        let (build, mut buckets) = (BuildHasherDefault::<KeyHasher>::default(), [0_u32; 256]);
        for _ in 0..25_600 {
            let hash = build.hash_one(RecordKey::random("alice"));
            buckets[usize::try_from(hash & 255).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|count| (40..180).contains(count)), "{buckets:?}");
    }
}
