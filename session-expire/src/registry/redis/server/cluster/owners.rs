//! Owners of the slots of a Cluster.

use std::ops::RangeInclusive;

use redis::{FromRedisValue, Value};

use crate::registry::redis::{error::OperationError, server::pipeline::convert};

/// Ids of the primaries, with their slots.
pub(crate) struct SlotOwners(Vec<(RangeInclusive<u16>, String)>);

impl SlotOwners {
    /// Reads the response to `CLUSTER SLOTS`.
    pub(crate) fn read(response: Value) -> Result<Self, OperationError> {
        let ranges = convert::<Vec<Vec<Value>>>(response)?;
        ranges.into_iter().map(read_range).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the id of the primary that owns a slot; `None` if none does.
    pub(crate) fn owner_of(&self, slot: u16) -> Option<&str> {
        let range = self.0.iter().find(|(slots, _)| slots.contains(&slot));
        range.map(|(_, owner)| owner.as_str())
    }
}

/// Reads a range: its first and last slot, its primary and its replicas. A node is an address, a
/// port and an id.
fn read_range(range: Vec<Value>) -> Result<(RangeInclusive<u16>, String), OperationError> {
    let mut range = range.into_iter();
    let (first, last) = (next(&mut range)?, next(&mut range)?);
    let primary: Vec<Value> = next(&mut range)?;
    let owner = next(&mut primary.into_iter().skip(2))?;
    Ok((first..=last, owner))
}

fn next<T: FromRedisValue>(values: &mut impl Iterator<Item = Value>) -> Result<T, OperationError> {
    convert(values.next().ok_or(OperationError::Response)?)
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
