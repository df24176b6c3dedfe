//! From where a request comes, believing only those proxies that the application trusts.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use actix_web::{HttpRequest, http::header::HeaderValue};

use crate::{device::device_name, error::ConfigError, registry::record::Client};

/// More than this many proxies in a row, or this long a header, is not worth reading.
const MOST_HOPS: usize = 32;
const LONGEST_AGENT: usize = 1_024;

/// The peers whose `X-Forwarded-For` is believed: an address, or a network such as `10.0.0.0/8`.
///
/// ```
/// use session_expire::Proxy;
/// let network: Proxy = "10.0.0.0/8".parse()?;
/// assert_eq!(network, "10.1.2.3/8".parse()?); // the rest of the address is of no account
/// assert!("10.0.0.0/33".parse::<Proxy>().is_err());
/// # Ok::<(), session_expire::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy {
    network: u128,
    prefix: u32,
}

impl FromStr for Proxy {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Value {
            key: "trusted_proxies",
            value: format!("{text:?}"),
            expected: "an address or a network, such as \"10.0.0.1\" or \"10.0.0.0/8\"",
        };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (bits, width) = (widened(address), if address.is_ipv4() { 32 } else { 128 });
        let prefix =
            prefix.map_or(Ok(width), |prefix| prefix.parse::<u32>().map_err(|_| wrong()))?;
        if prefix > width {
            return Err(wrong());
        }
        let prefix = prefix + (128 - width);
        Ok(Self { network: cut(bits, prefix), prefix })
    }
}

impl Proxy {
    fn covers(self, address: IpAddr) -> bool {
        cut(widened(address), self.prefix) == self.network
    }
}

/// As an IPv6 address; IPv4 ones are mapped, so that `::ffff:10.0.0.1` is `10.0.0.1`.
fn widened(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn cut(bits: u128, prefix: u32) -> u128 {
    bits.checked_shr(128 - prefix).unwrap_or(0)
}

/// The client behind `req`.
pub(crate) fn client(req: &HttpRequest, proxies: &[Proxy]) -> Client {
    let peer = req.peer_addr().map(|peer| peer.ip());
    let hops = req.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let hops: Vec<_> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
    let agent = req.headers().get("user-agent").map(HeaderValue::as_bytes).unwrap_or_default();
    let agent = String::from_utf8_lossy(&agent[..agent.len().min(LONGEST_AGENT)]);
    let ip = peer.map(|peer| origin(peer, &hops, proxies).to_canonical());
    Client { ip, device: device_name(&agent).into() }
}

/// The last address that no trusted proxy has: everything before it is what a stranger has written.
fn origin(peer: IpAddr, hops: &[&str], proxies: &[Proxy]) -> IpAddr {
    let mut address = peer;
    for hop in hops.iter().rev().take(MOST_HOPS) {
        let trusted = proxies.iter().any(|proxy| proxy.covers(address));
        match address_of(hop) {
            Some(before) if trusted => address = before,
            _ => break,
        }
    }
    address
}

/// Some proxies write the port as well, and some put brackets around an IPv6 address.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse().ok().map(|address: SocketAddr| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies: Vec<Proxy> =
            ["10.0.0.0/8", "192.0.2.1", "fd00::/8"].map(|p| p.parse().unwrap()).into();
        for (peer, hops, expected) in [
            ("203.0.113.9", vec!["198.51.100.1"], "203.0.113.9"),
            ("10.1.2.3", vec![], "10.1.2.3"),
            ("10.1.2.3", vec!["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.1.2.3", vec!["198.51.100.1"], "198.51.100.1"),
            ("fd00::1", vec!["2001:db8::1"], "2001:db8::1"),
            ("10.1.2.3", vec!["1.1.1.1", "198.51.100.1", "192.0.2.1"], "198.51.100.1"),
            ("10.1.2.3", vec!["198.51.100.1", "junk", "10.9.9.9"], "10.9.9.9"),
            ("10.1.2.3", vec!["", ""], "10.1.2.3"),
            ("10.1.2.3", vec!["198.51.100.1:5555"], "198.51.100.1"),
            ("10.1.2.3", vec!["[2001:db8::7]"], "2001:db8::7"),
            ("10.1.2.3", vec!["[2001:db8::7]:443", "10.9.9.9"], "2001:db8::7"),
            ("10.1.2.3", vec!["[198.51.100.1", "198.51.100.1]"], "10.1.2.3"),
        ] {
            let origin = origin(peer.parse().unwrap(), &hops, &proxies);
            assert_eq!(origin, expected.parse::<IpAddr>().unwrap(), "{peer} {hops:?}");
        }
        assert_eq!(origin("10.0.0.1".parse().unwrap(), &["1.1.1.1"], &[]).to_string(), "10.0.0.1");
    }

    #[test]
    fn what_is_no_network_is_refused_with_its_cure() {
        for text in ["", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "1.2.3"]
        {
            let error = text.parse::<Proxy>().unwrap_err().to_string();
            assert!(error.contains("trusted_proxies") && error.contains("10.0.0.0/8"), "{error}");
        }
        assert!("0.0.0.0/0".parse::<Proxy>().unwrap().covers("203.0.113.9".parse().unwrap()));
    }
}
