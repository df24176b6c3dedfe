//! Lists of an index.
//!
//! A list of all users merges the lists of the shards. It reads one page, not all records.

use std::{collections::BinaryHeap, sync::Arc, vec::IntoIter};

use super::{Index, SHARDS};
use crate::{
    registry::query::Query,
    session::{key::PublicId, record::SessionRecord},
    time::Timestamp,
};

/// Records of one shard that a list has read, newest login first.
struct ShardPage {
    records: IntoIter<Arc<SessionRecord>>,
    /// `true` if the shard may have more records.
    has_more: bool,
}

impl Index {
    /// Returns the records that match `query`. A list of all users reads shard by shard.
    pub(crate) fn list(&self, query: &Query) -> Vec<SessionRecord> {
        let records = match &query.user {
            Some(user) => self.shard_of_user(user).list_user(user, query),
            None => self.list_all(query),
        };
        query.paginate(records.iter().map(|record| SessionRecord::clone(record)).collect())
    }

    fn list_all(&self, query: &Query) -> Vec<Arc<SessionRecord>> {
        let limit = query.limit.unwrap_or(usize::MAX);
        let count = (limit / SHARDS).saturating_add(1);
        let mut pages: Vec<_> = (0..SHARDS).map(|n| self.page(n, query, count)).collect();
        let mut heads: BinaryHeap<_> = pages.iter().enumerate().filter_map(head).collect();
        let mut merged = vec![];
        while let Some((cursor, number)) = heads.pop().filter(|_| merged.len() < limit) {
            let page = &mut pages[number];
            merged.extend(page.records.next());
            if page.records.as_slice().is_empty() && page.has_more {
                *page = self.page(number, &query.clone().after(cursor), count);
            }
            heads.extend(head((number, page)));
        }
        merged
    }

    fn page(&self, number: usize, query: &Query, count: usize) -> ShardPage {
        let records = self.lock_current(&self.shards[number]).list_all(query, count);
        ShardPage { has_more: records.len() == count, records: records.into_iter() }
    }
}

/// Returns the cursor of the first record of a page, and the number of its shard.
fn head((number, page): (usize, &ShardPage)) -> Option<((Timestamp, PublicId), usize)> {
    page.records.as_slice().first().map(|record| (Query::cursor(record), number))
}
