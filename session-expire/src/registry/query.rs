//! Query for a list of session records: the input of
//! [`Registry::list`](crate::registry::Registry::list).
//!
//! Every list has the same order, newest login first, so a record is also a cursor for the next
//! page. The sessions API builds queries; the registries apply them.

use std::sync::Arc;

use crate::{
    session::{key::PublicId, record::SessionRecord},
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
            && self.after.is_none_or(|after| Self::cursor(record) < after)
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
