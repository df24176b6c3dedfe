//! Names on the server. They contain hashes, but no user id and no secret key.

use sha2::{Digest, Sha256};

use crate::session::key::RecordKey;

/// Length of a tag, which is the start of a partition key.
const TAG: usize = 2;

/// Returns the tag of the keys with this partition key: its first two letters. A script changes the
/// keys of one tag atomically.
pub(crate) fn tag(partition_key: &str) -> &str {
    partition_key.get(..TAG).unwrap_or(partition_key)
}

/// Returns the name of a record on the server, a hash of its key.
pub(crate) fn record_name(key: &RecordKey) -> String {
    short_hash(key.expose())
}

/// Returns 128 bits of the SHA-256 of `text` in 22 characters.
///
/// It is short, because a sorted set with members over 64 bytes needs several times the memory.
pub(crate) fn short_hash(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-";
    let digest = Sha256::digest(text);
    let number = digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    let digit = |n: u32| char::from(DIGITS[usize::try_from(number >> (6 * n) & 63).unwrap_or(0)]);
    (0..22).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_hash_has_22_characters_and_differs_per_text() {
        let hashes = ["", "alice", "bob"].map(short_hash);
        assert!(hashes.iter().all(|hash| hash.len() == 22 && hash.is_ascii()));
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
        assert!(!hashes.iter().any(|hash| hash.contains([':', ';', '<'])));
    }
}
