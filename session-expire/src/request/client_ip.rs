//! Addresses of clients, with and without trusted proxies.
//!
//! `X-Forwarded-For` is read from its end. Only hops that a trusted proxy has written are used.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderValue},
};
use ipnet::{IpNet, Ipv4Net};

use crate::{
    error::ConfigError,
    session::{client::Client, device_name::device_name},
};

/// Largest number of hops that are read.
const MAX_HOPS: usize = 32;
/// Largest number of bytes of `User-Agent` that are read.
const MAX_USER_AGENT: usize = 1_024;

/// Proxy whose `X-Forwarded-For` is trusted: an address, or a network such as `10.0.0.0/8`.
///
/// # Security
///
/// Clients can send any `X-Forwarded-For`. List only proxies that append to the header.
///
/// ```
/// use session_expire::request::TrustedProxy;
///
/// let network: TrustedProxy = "10.0.0.0/8".parse()?;
/// assert_eq!(network, "10.1.2.3/8".parse()?); // the host part is ignored
/// assert_eq!(network.to_string(), "10.0.0.0/8");
/// assert!("10.0.0.0/33".parse::<TrustedProxy>().is_err());
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrustedProxy(IpNet);

impl TrustedProxy {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.0, address.to_canonical()) {
            // `::/0` contains IPv4 addresses, too, in their mapped form.
            (IpNet::V6(network), IpAddr::V4(address)) => {
                network.contains(&address.to_ipv6_mapped())
            }
            (network, address) => network.contains(&address),
        }
    }
}

impl FromStr for TrustedProxy {
    type Err = ConfigError;

    /// Parses an address or a network.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Value`] for any other text.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| Self(to_canonical(network.trunc()))).map_err(|_| ConfigError::Value {
            key: "trusted_proxies",
            value: format!("{text:?}"),
            expected: "an address or a network, such as \"10.0.0.1\" or \"10.0.0.0/8\"",
        })
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Converts a network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) to an IPv4 network.
fn to_canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let prefix = mapped.prefix_len().checked_sub(96);
    let network = mapped.addr().to_ipv4_mapped().zip(prefix);
    let network = network.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    network.map_or(IpNet::V6(mapped), IpNet::V4)
}

/// Returns the address and the device of the client.
pub(crate) fn client(req: &HttpRequest, proxies: &[TrustedProxy]) -> Client {
    let peer = req.peer_addr().map(|peer| peer.ip());
    let forwarded = req.headers().get_all("x-forwarded-for");
    let hops = forwarded.rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    let ip = peer.map(|peer| origin_address(peer, hops, proxies).to_canonical());
    let agent =
        req.headers().get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let agent = String::from_utf8_lossy(&agent[..agent.len().min(MAX_USER_AGENT)]);
    Client { ip, device: device_name(&agent).into() }
}

/// Returns the last address that is not a trusted proxy. `hops` starts with the last hop. The
/// client may have written every earlier hop.
fn origin_address<'a>(
    peer: IpAddr,
    hops: impl Iterator<Item = &'a [u8]>,
    proxies: &[TrustedProxy],
) -> IpAddr {
    let mut address = peer;
    for hop in hops.take(MAX_HOPS) {
        let is_trusted = proxies.iter().any(|proxy| proxy.contains(address));
        match parse_hop(hop) {
            Some(previous) if is_trusted => address = previous,
            _ => break,
        }
    }
    address
}

/// Parses a hop. Some proxies add the port, and some put brackets around an IPv6 address.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    // Decode each hop on its own: invalid bytes of a client must not hide its address.
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse().ok().map(|address: SocketAddr| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bare)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn proxies() -> Vec<TrustedProxy> {
        ["10.0.0.0/8", "192.0.2.1", "fd00::/8"].map(|proxy| proxy.parse().unwrap()).into()
    }

    fn address_of(peer: &str, headers: &[&[u8]], proxies: &[TrustedProxy]) -> String {
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let add = |req: TestRequest, value: &&[u8]| {
            req.append_header(("x-forwarded-for", HeaderValue::from_bytes(value).unwrap()))
        };
        let req = headers.iter().fold(TestRequest::default().peer_addr(peer), add);
        client(&req.to_http_request(), proxies).ip.unwrap().to_string()
    }

    #[test]
    fn untrusted_hops_are_ignored() {
        for (peer, header, expected) in [
            ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
            ("10.1.2.3", "", "10.1.2.3"),
            ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
            ("::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"),
            ("fd00::1", "2001:db8::1", "2001:db8::1"),
            ("10.1.2.3", "1.1.1.1, 198.51.100.1, 192.0.2.1", "198.51.100.1"),
            ("10.1.2.3", "198.51.100.1, unknown, 10.9.9.9", "10.9.9.9"),
            ("10.1.2.3", ",", "10.1.2.3"),
            ("10.1.2.3", "198.51.100.1:5555", "198.51.100.1"),
            ("10.1.2.3", "::ffff:198.51.100.1", "198.51.100.1"),
            ("10.1.2.3", "[2001:db8::7]", "2001:db8::7"),
            ("10.1.2.3", "[2001:db8::7]:443,10.9.9.9", "2001:db8::7"),
            ("10.1.2.3", "[198.51.100.1, 198.51.100.1]", "10.1.2.3"),
        ] {
            let address = address_of(peer, &[header.as_bytes()], &proxies());
            assert_eq!(address, expected, "{peer} {header}");
        }
        assert_eq!(address_of("10.0.0.1", &[b"1.1.1.1"], &[]), "10.0.0.1");
    }

    #[test]
    fn non_ascii_hop_does_not_hide_the_client() {
        for headers in [
            &[b"\xff, 198.51.100.1" as &[u8]] as &[&[u8]],
            &[b"\xff", b"198.51.100.1"],
            &[b"1.1.1.1,\xc3\xa9", b"198.51.100.1, 10.9.9.9"],
        ] {
            assert_eq!(address_of("10.1.2.3", headers, &proxies()), "198.51.100.1", "{headers:?}");
        }
    }

    #[test]
    fn number_of_hops_is_limited() {
        let header = "10.0.0.1,".repeat(100_000) + "10.0.0.2";
        assert_eq!(address_of("10.1.2.3", &[header.as_bytes()], &proxies()), "10.0.0.1");
    }

    #[test]
    fn network_contains_mapped_addresses() {
        for (network, address, expected) in [
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "203.0.113.9", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.1", "10.0.0.2", false),
        ] {
            let proxy: TrustedProxy = network.parse().unwrap();
            assert_eq!(proxy.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
        let mapped: TrustedProxy = "::ffff:10.0.0.0/104".parse().unwrap();
        assert_eq!(mapped, "10.0.0.0/8".parse().unwrap());
    }

    #[test]
    fn invalid_network_error_has_example() {
        for text in ["", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "1.2.3"]
        {
            let error = text.parse::<TrustedProxy>().unwrap_err().to_string();
            assert!(error.contains("trusted_proxies") && error.contains("10.0.0.0/8"), "{error}");
        }
    }
}
