//! Queries for lists of session records.

use std::sync::Arc;

use crate::{
    session::{key::PublicId, record::SessionRecord},
    time::Timestamp,
};

/// Query for records, newest login first.
///
/// ```
/// use session_expire::{Policy, clock::Timestamp, registry::{NewLogin, Query, SessionRecord}};
/// let at = |at| SessionRecord::new(&NewLogin::new("alice", Timestamp::from_millis(at), &Policy::new()));
/// let records = vec![at(1), at(3), at(2)];
///
/// let first = Query::open("alice").limit(2);
/// let page = first.paginate(records.clone());
/// assert_eq!(page.iter().map(|record| record.logged_in_at.as_millis()).collect::<Vec<_>>(), [3, 2]);
///
/// let second = first.after(page.last().map(Query::cursor));
/// assert_eq!(records.iter().filter(|record| second.matches(record)).count(), 1);
/// assert!(!Query::history("alice").matches(&records[0]));
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Query {
    /// Records of this user; `None` for all users.
    pub user: Option<Arc<str>>,
    /// Ended records (`true`), open ones (`false`), or both.
    pub ended: Option<bool>,
    /// Records after this one in the list: the last of the page before.
    pub after: Option<(Timestamp, PublicId)>,
    /// At most this many; `None` for all.
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
    #[must_use]
    pub fn ended(mut self, ended: impl Into<Option<bool>>) -> Self {
        self.ended = ended.into();
        self
    }

    /// Sets the field `after`: the [`cursor`](Self::cursor) of the last record of the page before.
    #[must_use]
    pub fn after(mut self, cursor: impl Into<Option<(Timestamp, PublicId)>>) -> Self {
        self.after = cursor.into();
        self
    }

    /// Sets the field `limit`, the length of a page.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.limit = limit.into();
        self
    }

    /// Returns `true` if `record` belongs to the list.
    #[must_use]
    pub fn matches(&self, record: &SessionRecord) -> bool {
        self.user.as_ref().is_none_or(|user| *user == record.user)
            && self.ended.is_none_or(|ended| ended == record.ended.is_some())
            && self.after.is_none_or(|after| Self::cursor(record) < after)
    }

    /// Sorts matching records, newest login first, and cuts the page to its length.
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
