//! Addresses of the nodes of a Cluster, as one of them has named them last.
//!
//! The nodes of the URLs may be replaced while an application runs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use redis::{RedisError, Value};

use super::slot_ranges::{SlotNode, read_ranges};

/// Host and port of each node. Clones share them.
#[derive(Clone, Default)]
pub(super) struct SeenNodes(Arc<Mutex<BTreeSet<(String, u16)>>>);

impl SeenNodes {
    /// Replaces the addresses with those in a response to `CLUSTER SLOTS`.
    pub(super) fn read(&self, response: Value) -> Result<(), RedisError> {
        let nodes = read_ranges(response)?.into_iter().flat_map(|range| range.nodes);
        let addresses: BTreeSet<_> = nodes.filter_map(address).collect();
        if !addresses.is_empty() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
        }
        Ok(())
    }

    pub(super) fn addresses(&self) -> BTreeSet<(String, u16)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns `None` if the host is unknown.
fn address(node: SlotNode) -> Option<(String, u16)> {
    let host = node.host.filter(|host| !host.is_empty() && host != "?")?;
    Some((host, node.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_primaries_and_replicas() {
        let text = "*2\r\n*4\r\n:0\r\n:99\r\n*3\r\n$1\r\na\r\n:1\r\n$1\r\np\r\n\
                    *3\r\n$1\r\nb\r\n:2\r\n$1\r\nr\r\n\
                    *4\r\n:200\r\n:200\r\n*3\r\n$1\r\na\r\n:1\r\n$1\r\nq\r\n\
                    *3\r\n$-1\r\n:3\r\n$1\r\ns\r\n";
        let seen = SeenNodes::default();
        seen.read(redis::parse_redis_value(text.as_bytes()).unwrap()).unwrap();
        let expected = [("a".to_owned(), 1), ("b".to_owned(), 2)];
        assert_eq!(seen.addresses(), expected.clone().into());
        assert!(seen.read(Value::Array(vec![Value::Okay])).is_err());
        seen.read(Value::Array(vec![])).unwrap();
        assert_eq!(seen.addresses(), expected.into());
    }
}
