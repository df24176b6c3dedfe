//! Personal data that is recorded or logged.
//!
//! The builder sets it. The default records the whole address and the device, and logs user ids.

use std::net::IpAddr;

use crate::session::{client::Client, seen_before::network};

/// Part of a client's address that is recorded.
///
/// ```
/// use session_expire::{Policy, SessionExpire, request::RecordedAddress};
/// let builder = SessionExpire::builder(Policy::new());
/// let expire = builder.record_address(RecordedAddress::Network).build()?;
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RecordedAddress {
    /// The whole address.
    #[default]
    Whole,
    /// The network: the first 24 bits of an IPv4 address, the first 48 of an IPv6 address.
    Network,
    /// No address.
    None,
}

/// Personal data that is recorded or logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Privacy {
    pub(crate) address: RecordedAddress,
    pub(crate) records_device: bool,
    pub(crate) logs_users: bool,
    /// `true` if the data of new sessions is encrypted.
    pub(crate) seals_data: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            address: RecordedAddress::Whole,
            records_device: true,
            logs_users: true,
            seals_data: false,
        }
    }
}

impl Privacy {
    /// Returns the part of `client` that is recorded.
    pub(crate) fn reduce(self, client: Client) -> Client {
        let device = if self.records_device { client.device } else { "".into() };
        Client { ip: client.ip.and_then(|ip| self.reduce_address(ip)), device }
    }

    fn reduce_address(self, address: IpAddr) -> Option<IpAddr> {
        match self.address {
            RecordedAddress::Whole => Some(address),
            RecordedAddress::Network => Some(network(address)),
            RecordedAddress::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_and_device_are_reduced() {
        use RecordedAddress::{Network, None, Whole};
        for (address, records_device, given, expected) in [
            (Whole, true, "192.0.2.77", Some("192.0.2.77")),
            (Network, true, "192.0.2.77", Some("192.0.2.0")),
            (Network, false, "2001:db8:1:2:3::4", Some("2001:db8:1::")),
            (None, false, "192.0.2.77", Option::None),
        ] {
            let privacy = Privacy { address, records_device, ..Privacy::default() };
            let client = privacy.reduce(Client::new(given.parse().ok(), "Firefox"));
            let device = if records_device { "Firefox" } else { "" };
            assert_eq!(client, Client::new(expected.and_then(|ip| ip.parse().ok()), device));
        }
    }
}
