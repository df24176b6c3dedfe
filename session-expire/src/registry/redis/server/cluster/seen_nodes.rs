//! Addresses of the nodes of a Cluster, as one of them has named them last.
//!
//! The nodes of the URLs may be replaced while an application runs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use redis::{RedisError, Value, from_redis_value};

/// Host and port of each node. Clones share them.
#[derive(Clone, Default)]
pub(super) struct SeenNodes(Arc<Mutex<BTreeSet<(String, u16)>>>);

impl SeenNodes {
    /// Replaces the addresses with those in a response to `CLUSTER SLOTS`.
    pub(super) fn read(&self, response: Value) -> Result<(), RedisError> {
        let addresses = read_addresses(response)?;
        if !addresses.is_empty() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
        }
        Ok(())
    }

    pub(super) fn addresses(&self) -> BTreeSet<(String, u16)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the nodes of all ranges of slots. Each follows the first and the last slot of its range,
/// and begins with its host and its port.
fn read_addresses(response: Value) -> Result<BTreeSet<(String, u16)>, RedisError> {
    let ranges: Vec<Vec<Value>> = from_redis_value(response)?;
    let nodes = ranges.into_iter().flat_map(|range| range.into_iter().skip(2));
    let addresses = nodes.map(read_address).collect::<Result<Vec<_>, _>>()?;
    Ok(addresses.into_iter().flatten().collect())
}

/// Returns `None` if the node does not know the host.
fn read_address(node: Value) -> Result<Option<(String, u16)>, RedisError> {
    let mut node = from_redis_value::<Vec<Value>>(node)?.into_iter();
    let (host, port) = (node.next().unwrap_or(Value::Nil), node.next().unwrap_or(Value::Nil));
    let host: Option<String> = from_redis_value(host)?;
    let host = host.filter(|host| !host.is_empty() && host != "?");
    let port = from_redis_value(port)?;
    Ok(host.map(|host| (host, port)))
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
