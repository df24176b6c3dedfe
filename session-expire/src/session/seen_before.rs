//! Comparison of a login's client with earlier logins of the user.
//!
//! It is a pure function. Login events and sessions pages use it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::record::SessionRecord;

impl SessionRecord {
    /// Returns `true` if an earlier login among `others` had the same device name and came from the
    /// same network: /24 for IPv4, /48 for IPv6.
    ///
    /// `others` are records of the same user, open or ended. Records of other users and
    /// impersonated sessions are ignored. Without a recorded address or device name, the result is
    /// `false`.
    ///
    /// # Security
    ///
    /// The result is a hint for the user, such as "new device" on a sessions page. Device names and
    /// networks are shared by many clients, and a client chooses its device name. Never grant
    /// access because of it.
    ///
    /// ```
    /// use session_expire::{Policy, clock::Timestamp, registry::{Client, NewLogin, SessionRecord}};
    ///
    /// let record = |address: &str, at| {
    ///     let mut login = NewLogin::new("alice", Timestamp::from_millis(at), &Policy::new());
    ///     login.client = Client::new(address.parse().ok(), "Firefox on Linux");
    ///     SessionRecord::new(&login)
    /// };
    /// let earlier = record("192.0.2.7", 1);
    /// assert!(record("192.0.2.99", 2).seen_before([&earlier]));
    /// assert!(!record("198.51.100.7", 2).seen_before([&earlier]));
    /// ```
    #[must_use]
    pub fn seen_before<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> bool {
        others.into_iter().any(|other| self.follows(other) && self.has_same_client(other))
    }

    /// Returns `true` if `other` is an earlier login of the same user, and no impersonation.
    pub(crate) fn follows(&self, other: &Self) -> bool {
        other.user == self.user
            && other.id != self.id
            && other.actor.is_none()
            && other.logged_in_at <= self.logged_in_at
    }

    /// Compares only the clients of the logins. The last client of a session may belong to a thief
    /// who has copied the cookie.
    fn has_same_client(&self, other: &Self) -> bool {
        let has_same_network = match (self.client.ip, other.client.ip) {
            (Some(ip), Some(other)) => network(ip) == network(other),
            _ => false,
        };
        has_same_network
            && !self.client.device.is_empty()
            && self.client.device == other.client.device
    }
}

/// Returns the network of an address: /24 for IPv4, /48 for IPv6.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & u32::MAX << 8).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & u128::MAX << 80).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::Policy,
        session::{client::Client, login::NewLogin},
        time::Timestamp,
    };

    fn record(address: &str, device: &str, at: i64) -> SessionRecord {
        let mut login = NewLogin::new("alice", Timestamp::from_millis(at), &Policy::new());
        login.client = Client::new(address.parse().ok(), device);
        SessionRecord::new(&login)
    }

    #[test]
    fn login_is_seen_before_from_same_device_and_network() {
        for (address, device, is_seen) in [
            ("192.0.2.7", "Firefox on Linux", true),
            ("192.0.2.250", "Firefox on Linux", true),
            ("192.0.3.7", "Firefox on Linux", false),
            ("192.0.2.7", "Chrome on Linux", false),
            ("192.0.2.7", "", false),
            ("", "Firefox on Linux", false),
            ("2001:db8:1:ffff::2", "Safari on iOS", true),
            ("2001:db8:2::1", "Safari on iOS", false),
        ] {
            let others = [
                record("192.0.2.7", "Firefox on Linux", 1),
                record("2001:db8:1::1", "Safari on iOS", 1),
                record("", "Firefox on Linux", 1),
                record("192.0.2.7", "", 1),
            ];
            let seen = record(address, device, 2).seen_before(&others);
            assert_eq!(seen, is_seen, "{address} {device}");
        }
    }

    #[test]
    fn only_earlier_own_logins_of_the_user_are_compared() {
        let login = record("192.0.2.7", "Firefox on Linux", 2);
        let earlier = || record("192.0.2.7", "Firefox on Linux", 1);
        let of_another_user = SessionRecord { user: "bob".into(), ..earlier() };
        let impersonated = SessionRecord { actor: Some("root".into()), ..earlier() };
        let later = record("192.0.2.7", "Firefox on Linux", 3);
        assert!(login.seen_before([&earlier()]));
        for other in [&login, &of_another_user, &impersonated, &later] {
            assert!(!login.seen_before([other]), "{other:?}");
        }
    }
}
