//! Keys of session records: the secret key, the public id and the signing key.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
    str::{self, FromStr},
};

use rand::{RngExt, distr::Alphanumeric};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::InvalidPublicId;

/// Secret key of a session record: 4 letters that all sessions of one user share, then 22 random
/// letters and digits (131 bits; OWASP ASVS 5.0 7.2.3 requires 128).
///
/// The session cookie holds it. No page, log or `Debug` output does. By the shared letters a registry
/// can keep the records of one user together.
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
pub struct RecordKey([u8; 26]);

/// The first of the random letters suffice.
impl Hash for RecordKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let letters = &self.0[PARTITION..PARTITION + 8];
        state.write_u64(letters.iter().fold(0, |sum, letter| sum << 8 | u64::from(*letter)));
    }
}

/// Hasher of keys for a table of records. Keys are random and no client can choose one that is
/// stored, so no secret is needed against chosen collisions; but letters are not spread evenly.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let stirred = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = stirred ^ (stirred >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Number of letters that the sessions of one user share.
const PARTITION: usize = 4;

impl RecordKey {
    /// Returns a new key for a session of `user`, from the thread's cryptographic generator.
    #[must_use]
    pub fn random(user: &str) -> Self {
        Self::join(user, random_letters())
    }

    /// Returns the key of a session of `user` from its [secret](Self::secret) part; `None` if it is
    /// malformed.
    #[must_use]
    pub fn with_secret(user: &str, secret: &str) -> Option<Self> {
        letters(secret).map(|secret| Self::join(user, secret))
    }

    fn join(user: &str, secret: [u8; 22]) -> Self {
        let mut letters = [0; 26];
        letters[..PARTITION].copy_from_slice(&partition_letters(user));
        letters[PARTITION..].copy_from_slice(&secret);
        Self(letters)
    }

    /// Returns the key without the letters that follow from the user's name.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.expose()[PARTITION..]
    }

    /// Returns the letters that all sessions of one user share: one of 14 million combinations.
    #[must_use]
    pub fn partition_key(&self) -> &str {
        str::from_utf8(&self.0[..PARTITION]).unwrap_or_default()
    }

    /// Parses a key; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        letters(text).map(Self)
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

/// Public id of a session, for pages, URLs and logs: 16 random letters and digits. It gives no access.
///
/// ```
/// use session_expire::PublicId;
/// let id = PublicId::random();
/// let url = format!("/devices/{id}/end");
/// assert!(url.contains(id.as_str()));
/// assert_eq!(url.split('/').nth(2).and_then(PublicId::parse), Some(id));
/// assert_eq!(PublicId::parse("../../etc/passwd"), None);
/// ```
///
/// A handler takes it from the path as `web::Path<PublicId>`: an invalid id is a 404.
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
        letters(text).map(Self)
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

/// Signing key of the page tokens of a session: 128 random bits. It never leaves the server.
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

/// FNV-1a in letters: it must be the same on each machine, and spread well.
fn partition_letters(user: &str) -> [u8; PARTITION] {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = user.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut rest = hash ^ (hash >> 32);
    [(); PARTITION].map(|()| {
        let letter = LETTERS[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
        letter
    })
}

/// Returns the letters that all keys of `user` begin with; see [`RecordKey::partition_key`].
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

fn random_letters<const N: usize>() -> [u8; N] {
    let mut rng = rand::rng();
    std::array::from_fn(|_| rng.sample(Alphanumeric))
}

fn letters<const N: usize>(text: &str) -> Option<[u8; N]> {
    let letters: [u8; N] = text.as_bytes().try_into().ok()?;
    // Without an early end, the compiler looks at many letters at once.
    let plain = letters.iter().fold(true, |plain, byte| plain & byte.is_ascii_alphanumeric());
    plain.then_some(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_key_reads_back_and_hides_from_debug() {
        let key = SigningKey::random();
        assert_eq!(SigningKey::parse(&key.expose()), Some(key));
        assert!(!format!("{key:?}").contains(&key.expose()));
        for invalid in ["", "0", &"g".repeat(32), &format!("+{}", "0".repeat(31))] {
            assert_eq!(SigningKey::parse(invalid), None, "{invalid:?}");
        }
    }

    #[test]
    fn record_key_reads_back_and_hides_from_debug() {
        let key = RecordKey::random("alice");
        assert_eq!(RecordKey::parse(key.expose()), Some(key));
        assert_eq!(RecordKey::with_secret("alice", key.secret()), Some(key));
        assert_ne!(RecordKey::with_secret("bob", key.secret()), Some(key));
        assert!(!format!("{key:?}").contains(key.expose()));
        for invalid in [
            "",
            "short",
            "01234567890123456789012345x",
            "0123456789012345678901234\u{0}",
            "ééééééééééééé",
        ] {
            assert_eq!(RecordKey::parse(invalid), None, "{invalid:?}");
        }
    }

    #[test]
    fn keys_are_spread_evenly_over_a_table() {
        use std::hash::{BuildHasher, BuildHasherDefault};
        let (build, mut buckets) = (BuildHasherDefault::<KeyHasher>::default(), [0_u32; 256]);
        for _ in 0..25_600 {
            let hash = build.hash_one(RecordKey::random("alice"));
            buckets[usize::try_from(hash & 255).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|count| (40..180).contains(count)), "{buckets:?}");
    }
}
