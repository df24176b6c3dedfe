//! View that a node has of its Cluster.

use std::collections::HashMap;

use redis::{ErrorKind, Pipeline, RedisError, Value, from_redis_value};

use super::slot_ranges::{SlotNode, SlotRange, read_ranges};

/// View of a node.
#[derive(Debug)]
pub(crate) struct View {
    /// Id of the node.
    pub(crate) own_id: String,
    /// `true` if the node serves commands, because it reaches most primaries.
    pub(crate) is_ok: bool,
    pub(crate) owners: Owners,
    /// Hosts and ports of the primaries, by their ids.
    addresses: HashMap<String, (String, u16)>,
}

/// Owners of the slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owners {
    /// Epoch of the newest election. A replica takes over only after it has sent its epoch to most
    /// primaries.
    pub(crate) epoch: u64,
    /// Primaries in the order of their ids. Failed primaries without slots are left out.
    pub(crate) primaries: Vec<Primary>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Primary {
    pub(crate) id: String,
    /// First and last slots.
    slots: Vec<(u16, u16)>,
}

/// Node in a response to `CLUSTER NODES`.
struct NodeLine<'a> {
    id: &'a str,
    flags: Vec<&'a str>,
    host: &'a str,
    /// Empty if the node has none.
    hostname: &'a str,
    port: u16,
    slots: Vec<(u16, u16)>,
}

/// Returns the commands for a view without addresses.
pub(crate) fn owners_commands() -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("NODES");
    pipeline
}

/// Returns the commands for a view.
pub(crate) fn view_commands() -> Pipeline {
    let mut pipeline = owners_commands();
    pipeline.cmd("CLUSTER").arg("SLOTS");
    pipeline
}

impl View {
    /// Reads the responses of a node to [`view_commands`] or [`owners_commands`]. `host` is the
    /// host of the node.
    pub(crate) fn read(responses: Vec<Value>, host: &str) -> Result<Self, RedisError> {
        let mut responses = responses.into_iter();
        let mut next = || responses.next().unwrap_or(Value::Nil).extract_error();
        let (info, nodes): (String, String) =
            (from_redis_value(next()?)?, from_redis_value(next()?)?);
        let preferred = preferred_addresses(read_ranges(next().unwrap_or(Value::Nil))?, host);
        let nodes: Vec<_> = nodes.lines().filter_map(NodeLine::read).collect();
        let own = nodes.iter().find(|node| node.is("myself")).ok_or_else(unknown)?;
        let primaries: Vec<_> = nodes.iter().filter(|node| node.is_primary()).collect();
        Ok(Self {
            own_id: own.id.to_owned(),
            is_ok: field(&info, "cluster_state") == Some("ok"),
            addresses: addresses(&primaries, preferred, host),
            owners: Owners {
                epoch: field(&info, "cluster_current_epoch")
                    .and_then(|epoch| epoch.parse().ok())
                    .ok_or_else(unknown)?,
                primaries: sorted(&primaries),
            },
        })
    }

    /// Returns the host and the port of a primary.
    pub(crate) fn address(&self, id: &str) -> Result<&(String, u16), RedisError> {
        self.addresses.get(id).ok_or_else(unknown)
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = &(String, u16)> {
        self.addresses.values()
    }

    /// Returns the sort key of views. The newest view has the greatest key.
    pub(crate) fn precedence(&self) -> (bool, u64) {
        (self.is_ok, self.owners.epoch)
    }
}

impl Primary {
    pub(crate) fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }
}

impl<'a> NodeLine<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let words: Vec<_> = line.split(' ').collect();
        let [id, address, flags, _, _, _, _, _, slots @ ..] = words.as_slice() else { return None };
        let mut names = address.split(',');
        let (host, ports) = names.next()?.rsplit_once(':')?;
        Some(Self {
            id,
            flags: flags.split(',').collect(),
            host,
            hostname: names.next().unwrap_or_default(),
            port: ports.split('@').next()?.parse().ok()?,
            slots: slots.iter().filter_map(|range| read_range(range)).collect(),
        })
    }

    fn is(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    fn is_primary(&self) -> bool {
        let is_absent = self.is("handshake") || self.is("noaddr");
        let has_failed = self.slots.is_empty() && (self.is("fail") || self.is("fail?"));
        self.is("master") && !is_absent && !has_failed
    }
}

/// Reads a range such as `0-5460`. A migrating slot in brackets is skipped, because a
/// range contains it, too.
fn read_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn sorted(nodes: &[&NodeLine<'_>]) -> Vec<Primary> {
    let primary =
        |node: &&NodeLine<'_>| Primary { id: node.id.to_owned(), slots: node.slots.clone() };
    let mut primaries: Vec<_> = nodes.iter().map(primary).collect();
    primaries.sort_by(|one, other| one.id.cmp(&other.id));
    primaries
}

/// Returns the addresses of all primaries. Only primaries with slots have a preferred address.
fn addresses(
    primaries: &[&NodeLine<'_>],
    preferred: HashMap<String, (String, u16)>,
    host: &str,
) -> HashMap<String, (String, u16)> {
    let has_hostnames = primaries.iter().any(|node| {
        let has_name = |(host, _): &(String, u16)| host == node.hostname;
        !node.hostname.is_empty() && preferred.get(node.id).is_some_and(has_name)
    });
    let own_address = |node: &&NodeLine<'_>| {
        let has_hostname = has_hostnames && !node.hostname.is_empty();
        let name = if has_hostname { node.hostname } else { node.host };
        (node.id.to_owned(), (reachable(name, host), node.port))
    };
    let mut addresses: HashMap<_, _> = primaries.iter().map(own_address).collect();
    addresses.extend(preferred);
    addresses
}

/// Returns the host. If the response names none, returns the host of the node that responded.
fn reachable(host: &str, responding: &str) -> String {
    let is_unnamed = ["", "0.0.0.0", "::"].contains(&host);
    if is_unnamed { responding } else { host }.to_owned()
}

/// Returns the preferred addresses of the primaries.
fn preferred_addresses(ranges: Vec<SlotRange>, responding: &str) -> HashMap<String, (String, u16)> {
    let primaries = ranges.into_iter().filter_map(|range| range.nodes.into_iter().next());
    let known = primaries.filter(|primary| primary.host.as_deref() != Some("?"));
    let address = |primary: SlotNode| {
        let host = reachable(&primary.host.unwrap_or_default(), responding);
        Some((primary.id?, (host, primary.port)))
    };
    known.filter_map(address).collect()
}

/// Returns a field of a response to `CLUSTER INFO`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

fn unknown() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "invalid view of the Cluster").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "cluster_state:ok\r\ncluster_current_epoch:9\r\n";

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn slots(id: &str, host: Value) -> Value {
        let primary = Value::Array(vec![host, Value::Int(7000), bulk(id), Value::Array(vec![])]);
        Value::Array(vec![Value::Int(0), Value::Int(9), primary])
    }

    fn view(nodes: &str, slots: Vec<Value>) -> View {
        View::read(vec![bulk(INFO), bulk(nodes), Value::Array(slots)], "asked").unwrap()
    }

    #[test]
    fn view_contains_the_primaries_and_their_slots() {
        let nodes = "b 10.0.0.2:7000@17000 master - 0 1 2 connected 0-9 12 [12->-c] [13-<-c]\n\
            a 10.0.0.1:7000@17000,,shard-id=s myself,master - 0 0 1 connected\n\
            c 10.0.0.3:7000@17000 slave b 0 1 2 connected\n\
            d 10.0.0.4:7000@17000 master,fail - 0 1 3 disconnected\n\
            e 10.0.0.5:7000@17000 master,fail - 0 1 4 disconnected 14-15\n\
            f 10.0.0.6:7000@17000 handshake,master - 0 0 0 disconnected\n\
            g :0@0 master,noaddr - 0 1 5 disconnected\n";
        let view = view(nodes, vec![]);
        let primary =
            |id: &str, slots: &[(u16, u16)]| Primary { id: id.into(), slots: slots.into() };
        let expected =
            [primary("a", &[]), primary("b", &[(0, 9), (12, 12)]), primary("e", &[(14, 15)])];
        assert_eq!((view.own_id.as_str(), view.is_ok), ("a", true));
        assert_eq!(view.owners, Owners { epoch: 9, primaries: expected.into() });
        assert!(view.owners.primaries[1].owns(12) && !view.owners.primaries[1].owns(11));
    }

    #[test]
    fn address_is_the_preferred_one() {
        let nodes = "a 10.0.0.1:7000@17000,one.test myself,master - 0 0 1 connected 0-9\n\
            b ::2:7001@17001,two.test master - 0 0 1 connected\n";
        let (by_ip, by_name) = (("::2", 7001), ("two.test", 7001));
        for (host, first, second) in [
            (bulk("10.0.0.1"), "10.0.0.1", by_ip),
            (bulk("one.test"), "one.test", by_name),
            (bulk(""), "asked", by_ip),
            (Value::Nil, "asked", by_ip),
            // Unknown.
            (bulk("?"), "10.0.0.1", by_ip),
        ] {
            let view = view(nodes, vec![slots("a", host)]);
            let address = |id| view.address(id).map(|(host, port)| (host.as_str(), *port)).unwrap();
            assert_eq!((address("a"), address("b")), ((first, 7000), second));
        }
    }

    #[test]
    fn unknown_response_is_an_error() {
        let read = |nodes: &str| View::read(vec![bulk(INFO), bulk(nodes)], "asked");
        assert!(read("a 10.0.0.1:7000@17000 master - 0 0 1 connected").is_err());
        assert!(read("").is_err());
        assert!(View::read(vec![], "asked").is_err());
    }
}
