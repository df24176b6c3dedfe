//! Filters of the list of sessions.
//!
//! A session must match all filters. The filters are read from the query string of the page, and
//! written to its links.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, NaiveDate, NaiveTime};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use session_expire::{
    Reason,
    clock::Timestamp,
    days,
    registry::{Query, SessionRecord},
};

/// End reasons, and their labels in the form.
pub(super) const REASONS: [(Reason, &str); 7] = [
    (Reason::Idle, "Inactive for too long"),
    (Reason::Absolute, "Time limit reached"),
    (Reason::Evicted, "Replaced by another session"),
    (Reason::Revoked, "Ended by the user or an administrator"),
    (Reason::LoggedOut, "Signed out"),
    (Reason::Renewed, "Renewed"),
    (Reason::Unknown, "Unknown"),
];

/// Fields of the form as they were sent. An empty field filters nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Filters {
    /// User id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) user: String,
    /// Reason, `open` for active sessions, or `any`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
    /// Cause of the end.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) cause: String,
    /// Date or time of the earliest login.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) from: String,
    /// Date of the last login, or time before which it was.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) to: String,
    /// Address, or prefix of addresses.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) client: String,
}

/// State of the sessions to list. A session that has expired counts as ended, although it stays
/// open in the registry until its next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Any,
    Active,
    Ended(Reason),
    /// Unknown reason, which no session has.
    Unmatched,
}

const ONCE: &str = "Go back and enter each field only once.";
const DATE: &str = "Go back and enter dates such as 2026-01-31 or 2026-01-31T12:00:00Z.";
const NETWORK: &str = "Go back and enter an address such as 192.0.2.7, or a network such as \
                       192.0.2.0/24.";

impl Filters {
    /// Reads a query string. Spaces around a value are ignored.
    ///
    /// # Errors
    ///
    /// Returns a sentence for the user if a field is given twice.
    pub(super) fn parse(query_string: &str) -> Result<Self, &'static str> {
        let filters: Self = serde_urlencoded::from_str(query_string).map_err(|_| ONCE)?;
        Ok(filters.trimmed())
    }

    fn trimmed(mut self) -> Self {
        let Self { user, reason, cause, from, to, client } = &mut self;
        for field in [user, reason, cause, from, to, client] {
            *field = field.trim().to_owned();
        }
        self
    }

    /// Returns the query for the registry. The caller must also check each record with
    /// [`State::contains`].
    ///
    /// # Errors
    ///
    /// Returns a sentence for the user if a date or an address cannot be read.
    pub(super) fn query(&self) -> Result<Query, &'static str> {
        let mut query = Query::new()
            .from(read(&self.from, DATE, |text| parse_time(text, 0))?)
            .before(read(&self.to, DATE, |text| parse_time(text, 1))?)
            .network(read(&self.client, NETWORK, parse_network)?);
        query.user = given(&self.user).map(Into::into);
        query.cause = given(&self.cause).map(Into::into);
        match self.state() {
            State::Active => query.ended = Some(false),
            // Sessions that have expired without a later request are still open in the registry.
            State::Ended(Reason::Idle | Reason::Absolute) => {}
            State::Ended(reason) => query.reason = Some(reason),
            State::Any | State::Unmatched => {}
        }
        Ok(query)
    }

    /// Returns the state of the sessions to list.
    pub(super) fn state(&self) -> State {
        match self.reason.as_str() {
            "" | "any" => State::Any,
            "open" => State::Active,
            word => Reason::parse(word).map_or(State::Unmatched, State::Ended),
        }
    }

    /// Returns the type of an input for a time. A browser does not show a time in a date input.
    pub(super) fn input_type(time: &str) -> &'static str {
        if time.is_empty() || time.parse::<NaiveDate>().is_ok() { "date" } else { "text" }
    }

    /// Returns the query string.
    pub(super) fn to_query_string(&self) -> String {
        serde_urlencoded::to_string(self).unwrap_or_default()
    }

    /// Returns the query string as markup, to which another pair can be appended. Its only special
    /// character in HTML is `&`.
    pub(super) fn query_markup(&self) -> String {
        self.to_query_string().split_terminator('&').map(|pair| format!("{pair}&amp;")).collect()
    }

    /// Returns the path of the first page.
    pub(super) fn path(&self) -> String {
        match self.to_query_string().as_str() {
            "" => "/admin/sessions".to_owned(),
            query => format!("/admin/sessions?{query}"),
        }
    }
}

impl State {
    /// Returns `true` if `record` is in this state at `now`.
    pub(super) fn contains(self, record: &SessionRecord, now: Timestamp) -> bool {
        let ended = record.ended.as_ref().map(|ended| ended.reason);
        let reason = ended.or_else(|| record.expiry_reason(now));
        match self {
            Self::Any => true,
            Self::Active => reason.is_none(),
            Self::Ended(wanted) => reason == Some(wanted),
            Self::Unmatched => false,
        }
    }
}

fn given(field: &str) -> Option<&str> {
    (!field.is_empty()).then_some(field)
}

/// Reads a field if it is given.
fn read<T>(
    field: &str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, &'static str> {
    given(field).map(|text| parse(text).ok_or(expected)).transpose()
}

/// Parses a time (RFC 3339), or a date, which becomes midnight UTC plus `days_later`.
fn parse_time(text: &str, days_later: u64) -> Option<Timestamp> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        let midnight = Timestamp::from(date.and_time(NaiveTime::MIN).and_utc());
        return Some(midnight.plus(days(days_later)));
    }
    // In a query string, an unencoded plus sign of a time zone is read as a space.
    let time = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc3339(&text.replace(' ', "+")));
    time.ok().map(|time| time.to_utc().into())
}

/// Parses an address, a network such as `192.0.2.0/24`, or the start of an address such as
/// `192.0.2.` or `2001:db8:`.
fn parse_network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    text.parse().ok().map(to_canonical).or_else(|| parse_start(text))
}

/// Converts a network of IPv4-mapped addresses: the registry stores IPv4 addresses.
fn to_canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    let mapped = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    mapped.map_or(network, IpNet::V4)
}

fn parse_start(text: &str) -> Option<IpNet> {
    match text.strip_suffix('.') {
        Some(start) => parse_v4_start(start).map(IpNet::V4),
        None => parse_v6_start(text.strip_suffix(':')?).map(IpNet::V6),
    }
}

fn parse_v4_start(start: &str) -> Option<Ipv4Net> {
    let octets = start.split('.').count();
    let missing = 4_usize.checked_sub(octets).filter(|missing| *missing > 0)?;
    let address: Ipv4Addr = format!("{start}{}", ".0".repeat(missing)).parse().ok()?;
    Ipv4Net::new(address, u8::try_from(8 * octets).ok()?).ok()
}

fn parse_v6_start(start: &str) -> Option<Ipv6Net> {
    let groups = start.split(':').count();
    let address: Ipv6Addr = format!("{}::", given(start)?).parse().ok()?;
    Ipv6Net::new(address, u8::try_from(16 * groups).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_is_address_prefix_or_start_of_address() {
        for (text, expected) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.", "192.0.2.0/24"),
            ("10.", "10.0.0.0/8"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:db8:", "2001:db8::/32"),
        ] {
            assert_eq!(parse_network(text), expected.parse().ok(), "{text}");
        }
        for text in
            ["192.0.2", "192.0.2.7.", "192.0.2.0/33", ".", ":", "1:2:3:4:5:6:7:8:", "host", "300."]
        {
            assert_eq!(parse_network(text), None, "{text}");
        }
    }

    #[test]
    fn date_covers_its_whole_day_in_utc() {
        let noon = Timestamp::from_millis(1_767_268_800_000);
        for (text, days_later, expected) in [
            ("2026-01-01", 0, Some(noon.minus(days(1) / 2))),
            ("2026-01-01", 1, Some(noon.plus(days(1) / 2))),
            ("2026-01-01T12:00:00Z", 1, Some(noon)),
            ("2026-01-01T13:00:00+01:00", 0, Some(noon)),
            ("2026-01-01T13:00:00 01:00", 0, Some(noon)),
            ("2026-02-30", 0, None),
            ("2026-01-01T12:00", 0, None),
            ("yesterday", 0, None),
        ] {
            assert_eq!(parse_time(text, days_later), expected, "{text}");
        }
        assert!(parse_time("+262142-12-31", 1).is_some());
    }

    #[test]
    fn query_string_has_given_filters_only() {
        let filters = Filters { user: "a&b".into(), reason: "open".into(), ..Filters::default() };
        assert_eq!(filters.to_query_string(), "user=a%26b&reason=open");
        assert_eq!(Filters::default().to_query_string(), "");
    }
}
