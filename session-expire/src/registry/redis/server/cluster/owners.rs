//! Owners of the slots of a Cluster.

use redis::Value;

use super::slot_ranges::{SlotRange, read_ranges};
use crate::registry::redis::error::OperationError;

/// Primaries, with their slots.
pub(crate) struct SlotOwners(Vec<SlotRange>);

impl SlotOwners {
    /// Reads the response to `CLUSTER SLOTS`.
    pub(crate) fn read(response: Value) -> Result<Self, OperationError> {
        read_ranges(response).map(Self).map_err(|_| OperationError::Response)
    }

    /// Returns the id of the primary that owns a slot; `None` if none does.
    pub(crate) fn owner_of(&self, slot: u16) -> Option<&str> {
        let range = self.0.iter().find(|range| range.slots.contains(&slot))?;
        range.nodes.first()?.id.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_of_a_slot_is_the_primary_of_its_range() {
        let text = "*2\r\n*4\r\n:0\r\n:99\r\n*3\r\n$1\r\na\r\n:1\r\n$1\r\np\r\n\
                    *3\r\n$1\r\nb\r\n:2\r\n$1\r\nr\r\n\
                    *3\r\n:200\r\n:200\r\n*3\r\n$1\r\nc\r\n:3\r\n$1\r\nq\r\n";
        let response = redis::parse_redis_value(text.as_bytes()).unwrap();
        let owners = SlotOwners::read(response).unwrap();
        let found = [0, 99, 100, 200, 201].map(|slot| owners.owner_of(slot));
        assert_eq!(found, [Some("p"), Some("p"), None, Some("q"), None]);
        assert!(SlotOwners::read(Value::Array(vec![Value::Array(vec![])])).is_err());
    }
}
