//! Query for a list of session records: the input of
//! [`Registry::list`](crate::registry::Registry::list).
//!
//! Every list has the same order, newest login first, so a record is also a cursor for the next
//! page. The sessions API builds queries; the registries apply them.

use std::sync::Arc;

use ipnet::IpNet;

use crate::{
    session::{key::PublicId, reason::Reason, record::SessionRecord},
    time::Timestamp,
};

/// Query for records, newest login first.
///
/// ```
/// use session_expire::{Policy, clock::Timestamp, registry::{NewLogin, Query, SessionRecord}};
/// let login = |at| NewLogin::new("alice", Timestamp::from_millis(at), &Policy::new());
/// let records = [1, 3, 2].map(|at| SessionRecord::new(&login(at))).to_vec();
///
/// let first = Query::open("alice").limit(2);
/// let page = first.paginate(records.clone());
/// let times: Vec<_> = page.iter().map(|record| record.logged_in_at.as_millis()).collect();
/// assert_eq!(times, [3, 2]);
///
/// let second = first.after(page.last().map(Query::cursor));
/// assert_eq!(records.iter().filter(|record| second.matches(record)).count(), 1);
/// assert!(!Query::history("alice").matches(&records[0]));
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Query {
    /// User whose records are listed; `None` for all users.
    pub user: Option<Arc<str>>,
    /// `Some(true)` for ended records, `Some(false)` for open ones, `None` for both.
    pub ended: Option<bool>,
    /// Reason of the end; `None` for all records.
    pub reason: Option<Reason>,
    /// Cause of the end; `None` for all records.
    pub cause: Option<Arc<str>>,
    /// User who acts for another user in the session; `None` for all records.
    pub actor: Option<Arc<str>>,
    /// Earliest time of the login; `None` for any.
    pub from: Option<Timestamp>,
    /// Latest time of the login, exclusive; `None` for any.
    pub before: Option<Timestamp>,
    /// Network of the client of the login or of the last activity; `None` for any.
    pub network: Option<IpNet>,
    /// Cursor of the last record of the previous page; `None` for the first page.
    pub after: Option<(Timestamp, PublicId)>,
    /// Maximum number of records; `None` for all.
    pub limit: Option<usize>,
}

impl Query {
    /// Returns a query for all records of all users.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a query for the open and the ended records of `user`.
    pub fn all(user: impl Into<Arc<str>>) -> Self {
        Self { user: Some(user.into()), ..Self::default() }
    }

    /// Returns a query for the open records of `user`.
    pub fn open(user: impl Into<Arc<str>>) -> Self {
        Self { user: Some(user.into()), ended: Some(false), ..Self::default() }
    }

    /// Returns a query for the ended records of `user`.
    pub fn history(user: impl Into<Arc<str>>) -> Self {
        Self { user: Some(user.into()), ended: Some(true), ..Self::default() }
    }

    /// Sets the field `ended`: `true` for ended records, `false` for open ones, `None` for both.
    /// Default: `None`.
    #[must_use]
    pub fn ended(mut self, ended: impl Into<Option<bool>>) -> Self {
        self.ended = ended.into();
        self
    }

    /// Sets the field `reason`: only records that ended for this reason. Default: `None`, all.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<Option<Reason>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Sets the field `cause`: only records that ended with this cause. Default: `None`, all.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Arc<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Sets the field `actor`: only sessions in which this user acts for another user. Default:
    /// `None`, all.
    ///
    /// No registry has an index for it, so a list reads all records that match the other fields.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<Arc<str>>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Sets the field `from`, the earliest time of the login. Default: `None`, any.
    #[must_use]
    pub fn from(mut self, earliest: impl Into<Option<Timestamp>>) -> Self {
        self.from = earliest.into();
        self
    }

    /// Sets the field `before`, the exclusive latest time of the login. Default: `None`, any.
    #[must_use]
    pub fn before(mut self, end: impl Into<Option<Timestamp>>) -> Self {
        self.before = end.into();
        self
    }

    /// Sets the field `network`: only records whose client had an address in this network, at the
    /// login or at the last activity. Default: `None`, any.
    #[must_use]
    pub fn network(mut self, network: impl Into<Option<IpNet>>) -> Self {
        self.network = network.into();
        self
    }

    /// Sets the field `after`: the [`cursor`](Self::cursor) of the last record of the previous
    /// page. Default: `None`, the first page.
    #[must_use]
    pub fn after(mut self, cursor: impl Into<Option<(Timestamp, PublicId)>>) -> Self {
        self.after = cursor.into();
        self
    }

    /// Sets the field `limit`, the maximum number of records of a page. Default: `None`, all.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.limit = limit.into();
        self
    }

    /// Returns `true` if `record` belongs to the list, on this page or a later one.
    #[must_use]
    pub fn matches(&self, record: &SessionRecord) -> bool {
        self.user.as_ref().is_none_or(|user| *user == record.user)
            && self.ended.is_none_or(|ended| ended == record.ended.is_some())
            && self.actor.as_ref().is_none_or(|actor| record.actor.as_ref() == Some(actor))
            && self.after.is_none_or(|after| Self::cursor(record) < after)
            && self.from.is_none_or(|from| from <= record.logged_in_at)
            && self.before.is_none_or(|before| record.logged_in_at < before)
            && self.matches_end(record)
            && self.network.is_none_or(|network| has_client_in(record, network))
    }

    fn matches_end(&self, record: &SessionRecord) -> bool {
        let ended = record.ended.as_ref();
        let cause = || ended.and_then(|ended| ended.cause.as_ref());
        self.reason.is_none_or(|reason| ended.is_some_and(|ended| ended.reason == reason))
            && self.cause.as_ref().is_none_or(|wanted| cause() == Some(wanted))
    }

    /// Sorts matching records, newest login first, and returns the first ones up to the limit.
    #[must_use]
    pub fn paginate(&self, mut records: Vec<SessionRecord>) -> Vec<SessionRecord> {
        records.sort_by_key(|record| std::cmp::Reverse(Self::cursor(record)));
        records.truncate(self.limit.unwrap_or(usize::MAX));
        records
    }

    /// Returns the position of a record in the list, for [`after`](Self::after).
    #[must_use]
    pub fn cursor(record: &SessionRecord) -> (Timestamp, PublicId) {
        (record.logged_in_at, record.id)
    }
}

fn has_client_in(record: &SessionRecord, network: IpNet) -> bool {
    let clients = record.last_client.as_deref().into_iter().chain([&record.client]);
    clients.filter_map(|client| client.ip).any(|ip| network.contains(&ip.to_canonical()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{client::Client, ended::Ended, login::NewLogin};
    use crate::{policy::Policy, time::seconds};

    #[test]
    fn query_matches_end_time_and_network() {
        let noon = Timestamp::from_millis(1_767_268_800_000);
        let mut record = SessionRecord::new(&NewLogin::new("alice", noon, &Policy::new()));
        record.client.ip = "::ffff:192.0.2.7".parse().ok();
        record.last_client = Some(Client::new("2001:db8::7".parse().ok(), "").into());
        record.actor = Some("root".into());
        record.end(Ended::new(Reason::Revoked, noon).with_cause("incident"));
        let network = |text: &str| Query::new().network(text.parse::<IpNet>().ok());
        for (query, expected) in [
            (Query::new().reason(Reason::Revoked), true),
            (Query::new().reason(Reason::Idle), false),
            (Query::new().cause("incident"), true),
            (Query::new().cause("other"), false),
            (Query::new().actor("root"), true),
            (Query::new().actor("alice"), false),
            (Query::new().from(noon), true),
            (Query::new().from(noon.plus(seconds(1))), false),
            (Query::new().before(noon), false),
            (Query::new().before(noon.plus(seconds(1))), true),
            (network("192.0.2.0/24"), true),
            (network("192.0.3.0/24"), false),
            (network("2001:db8::/32"), true),
        ] {
            assert_eq!(query.matches(&record), expected, "{query:?}");
        }
        record.ended = None;
        assert!(!Query::new().reason(Reason::Revoked).matches(&record));
        record.actor = None;
        assert!(!Query::new().actor("root").matches(&record));
    }
}
