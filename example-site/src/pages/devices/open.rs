//! Bounded reads of the open sessions of a user.

use actix_web::Result;
use session_expire::{
    PublicId, SessionHandle,
    clock::Timestamp,
    registry::{Query, SessionRecord},
};

use crate::users::User;

/// Number of records to read at a time. Some may have expired.
const BATCH_LENGTH: usize = 200;
/// Maximum number of records to read for a list.
const MAX_RECORDS: usize = 5 * BATCH_LENGTH;

/// Open records after a position, newest login first. Expired records are open until a request ends
/// them.
#[derive(Clone)]
pub(super) struct Open {
    query: Query,
    pub(super) records: Vec<SessionRecord>,
    /// `true` if there are no more records.
    pub(super) is_complete: bool,
}

impl Open {
    /// Returns an empty list, which [`read`](Self::read) fills.
    pub(super) fn new(user: &User, after: Option<(Timestamp, PublicId)>) -> Self {
        let query = Query::open(user.name).after(after).limit(BATCH_LENGTH);
        Self { query, records: vec![], is_complete: false }
    }

    /// Reads batches until `is_enough` returns `true`, the list is complete, or it has
    /// [`MAX_RECORDS`] records.
    pub(super) async fn read(
        &mut self,
        handle: &SessionHandle,
        is_enough: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        while !self.is_complete && self.records.len() < MAX_RECORDS && !is_enough(self) {
            let query = self.query.clone().after(self.last().or(self.query.after));
            let batch = handle.sessions().list(query).await?;
            self.is_complete = batch.len() < BATCH_LENGTH;
            self.records.extend(batch);
        }
        Ok(())
    }

    /// Returns the position of the last record that was read.
    pub(super) fn last(&self) -> Option<(Timestamp, PublicId)> {
        self.records.last().map(Query::cursor)
    }

    /// Returns the record with this id if it was read.
    pub(super) fn find(&self, id: Option<PublicId>) -> Option<&SessionRecord> {
        self.records.iter().find(|record| Some(record.id) == id)
    }

    /// Returns the active or the expired records that were read.
    pub(super) fn filter(
        &self,
        is_expired: bool,
        now: Timestamp,
    ) -> impl Iterator<Item = &SessionRecord> {
        let matches =
            move |record: &&SessionRecord| record.expiry_reason(now).is_some() == is_expired;
        self.records.iter().filter(matches)
    }
}
