//! Reader of the responses to `CLUSTER SLOTS`.

use std::ops::RangeInclusive;

use redis::{ParsingError, Value, from_redis_value};

/// Range of slots, with the nodes that have them.
#[derive(Debug, PartialEq)]
pub(super) struct SlotRange {
    pub(super) slots: RangeInclusive<u16>,
    /// Primary, followed by its replicas.
    pub(super) nodes: Vec<SlotNode>,
}

#[derive(Debug, PartialEq)]
pub(super) struct SlotNode {
    /// Missing, empty or `?` if the node that responds does not know it.
    pub(super) host: Option<String>,
    pub(super) port: u16,
    pub(super) id: Option<String>,
}

/// Returns the ranges of a response. A missing response has none.
pub(super) fn read_ranges(response: Value) -> Result<Vec<SlotRange>, ParsingError> {
    from_redis_value::<Vec<Vec<Value>>>(response)?.into_iter().map(read_range).collect()
}

fn read_range(range: Vec<Value>) -> Result<SlotRange, ParsingError> {
    let mut range = range.into_iter();
    let mut next = || from_redis_value(range.next().unwrap_or(Value::Nil));
    let slots = next()?..=next()?;
    Ok(SlotRange { slots, nodes: range.map(read_node).collect::<Result<_, _>>()? })
}

fn read_node(node: Value) -> Result<SlotNode, ParsingError> {
    let mut fields = from_redis_value::<Vec<Value>>(node)?.into_iter();
    let mut next = || fields.next().unwrap_or(Value::Nil);
    let (host, port) = (from_redis_value(next())?, from_redis_value(next())?);
    Ok(SlotNode { host, port, id: from_redis_value(next())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: &str = "*1\r\n*4\r\n:0\r\n:99\r\n";

    fn read(text: &str) -> Result<Vec<SlotRange>, ParsingError> {
        read_ranges(redis::parse_redis_value(text.as_bytes()).unwrap())
    }

    #[test]
    fn range_has_its_slots_and_nodes() {
        let (primary, p) = ("*3\r\n$1\r\na\r\n:1\r\n$1\r\np\r\n", (Some("a"), 1, Some("p")));
        for (replica, expected) in [
            ("*3\r\n$1\r\nb\r\n:2\r\n$1\r\nr\r\n", (Some("b"), 2, Some("r"))),
            ("*3\r\n$0\r\n\r\n:2\r\n$1\r\nr\r\n", (Some(""), 2, Some("r"))),
            ("*3\r\n$1\r\n?\r\n:2\r\n$1\r\nr\r\n", (Some("?"), 2, Some("r"))),
            ("*3\r\n$-1\r\n:2\r\n$1\r\nr\r\n", (None, 2, Some("r"))),
            ("*2\r\n$1\r\nb\r\n:2\r\n", (Some("b"), 2, None)),
            // With metadata.
            ("*4\r\n$-1\r\n:2\r\n$1\r\nr\r\n*2\r\n$2\r\nip\r\n$1\r\nb\r\n", (None, 2, Some("r"))),
        ] {
            let node = |(host, port, id): (Option<&str>, u16, Option<&str>)| SlotNode {
                host: host.map(Into::into),
                port,
                id: id.map(Into::into),
            };
            let expected = SlotRange { slots: 0..=99, nodes: [p, expected].map(node).into() };
            assert_eq!(read(&format!("{RANGE}{primary}{replica}")).unwrap(), [expected]);
        }
    }

    #[test]
    fn missing_response_has_no_ranges() {
        for text in ["*0\r\n", "$-1\r\n"] {
            assert_eq!(read(text).unwrap(), []);
        }
    }

    #[test]
    fn malformed_response_is_an_error() {
        for text in [
            "+OK\r\n",
            "*1\r\n+OK\r\n",
            "*1\r\n*0\r\n",
            "*1\r\n*1\r\n:0\r\n",
            "*1\r\n*2\r\n:0\r\n+OK\r\n",
            "*1\r\n*3\r\n:0\r\n:99\r\n+OK\r\n",
            "*1\r\n*3\r\n:0\r\n:99\r\n*1\r\n$1\r\na\r\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
