//! Hash slots of keys and of sharded channels.

/// Number of slots of a Cluster.
const SLOTS: u16 = 16_384;

/// Returns the slot of a key or of a sharded channel. If it has a hash tag, only the tag is hashed.
pub(crate) fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let tag = tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty());
    crc16(tag.unwrap_or(key).as_bytes()) % SLOTS
}

/// Returns the CRC-16 (XMODEM) of the bytes.
fn crc16(bytes: &[u8]) -> u16 {
    let shift = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ u16::from(*byte) << 8, shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are responses to `CLUSTER KEYSLOT`.
    #[test]
    fn slot_depends_on_the_hash_tag() {
        for (key, slot) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("sx3:{foo}:changes", 12_182),
            ("{}foo", 9_500),
            ("foo{bar}{zap}", 5_061),
            ("", 0),
        ] {
            assert_eq!(slot_of(key), slot, "{key}");
        }
    }
}
