//! Operations on many records: lists, export, erasure and `end_everyone`.
//!
//! An operation on one user is atomic. An operation on all users is atomic only per tag.

use std::sync::Arc;

use super::{
    error::OperationError,
    list_all::TagLists,
    operations::{Operations, read_listed, read_records},
    script::{ERASE, EXPORT, LIST},
    server::pipeline::convert,
    stored::{
        as_string::{AsString, flag, time},
        data,
        names::short_hash,
        script_args::ScriptArgs,
    },
};
use crate::{
    registry::{UserExport, query::Query},
    session::{
        ended::Ended,
        key::{PublicId, partition_key},
        record::SessionRecord,
    },
    time::Timestamp,
};

/// Smallest and largest number of records of one class that a script returns. A list of one user
/// that fits in one response is atomic.
const PAGE: (usize, usize) = (100, 1_000);

impl Operations {
    pub(super) async fn list(&self, query: Query) -> Result<Vec<SessionRecord>, OperationError> {
        let limit = query.limit.unwrap_or(usize::MAX);
        let mut records = match &query.user {
            _ if limit == 0 => vec![],
            Some(user) => self.list_user(user, &query, limit).await?,
            None => TagLists::open(self, &query).await?.read(limit).await?,
        };
        records = query.paginate(records);
        // A record that ends while the list is read is read twice.
        records.dedup_by_key(|record| record.id);
        Ok(records)
    }

    async fn list_user(
        &self,
        user: &str,
        query: &Query,
        limit: usize,
    ) -> Result<Vec<SessionRecord>, OperationError> {
        let (mut records, (earliest, mut latest)) = (vec![], login_times(query));
        loop {
            let args = ScriptArgs {
                user: Some(short_hash(user)),
                count: Some(AsString(limit.clamp(PAGE.0, PAGE.1))),
                earliest: Some(time(earliest)),
                latest: Some(time(latest)),
                lists_open: flag(lists_open(query)),
                lists_ended: flag(query.ended != Some(false)),
                ..self.args_now()
            };
            let response = self.read(&LIST, &partition_key(user), &args).await?;
            let (cut, texts) = response.split_first().ok_or(OperationError::Response)?;
            let cut = cut.parse().ok();
            let page = self.listed(read_records(texts), query);
            let is_complete = |record: &SessionRecord| {
                cut.is_none_or(|cut| record.logged_in_at >= Timestamp::from_millis(cut))
            };
            records.extend(page.filter(is_complete));
            match cut {
                Some(cut @ 1..) if records.len() < limit => {
                    latest = Timestamp::from_millis(cut - 1);
                }
                _ => return Ok(records),
            }
        }
    }

    /// Returns the records that belong to a list.
    ///
    /// Only writes under a tag apply retention, so stored records may be outdated. An open record
    /// is listed as ended from [`SessionRecord::leaves_at`]. A record past the maximum age of the
    /// history is not listed.
    pub(super) fn listed<'a>(
        &self,
        records: Vec<SessionRecord>,
        query: &'a Query,
    ) -> impl Iterator<Item = SessionRecord> + use<'a> {
        let (now, history_age) = (self.last_write(), self.history_age);
        let end_if_unused = move |mut record: SessionRecord| {
            if record.leaves_at() <= now {
                let ended = record.final_end();
                record.end(ended);
            }
            record
        };
        let is_too_old = move |ended: &Ended| ended.at.plus(history_age) <= now;
        records.into_iter().map(end_if_unused).filter(move |record| {
            !record.ended.as_ref().is_some_and(is_too_old) && query.matches(record)
        })
    }

    /// Returns `true` if the lists of former sessions may contain entries.
    pub(super) async fn has_former_sessions(&self) -> Result<bool, OperationError> {
        // A failover may lose the key of one primary, but not those of the others.
        if self.connection.is_cluster() {
            return Ok(true);
        }
        // `end_everyone` begins with this tag.
        let Some(first) = tags().next() else { return Ok(false) };
        let mut command = redis::cmd("EXISTS");
        command.arg(format!("{}:ends", self.tag_key(&first)));
        convert(self.connection.query(&command, self.timeout).await?)
    }

    pub(super) async fn end_everyone(&self, ended: Ended) -> Result<u64, OperationError> {
        let call = Some(AsString(PublicId::random()));
        let args = ScriptArgs { call, ..self.args(ended.at).ended(&ended) };
        let mut calls: Vec<_> =
            tags().map(|tag| self.call(&tag, &args)).collect::<Result<_, _>>()?;
        // The first script begins an epoch.
        calls.iter_mut().take(1).for_each(|(keys, _)| keys.push(self.epoch_key()));
        let responses = self.end_all_tags(calls, args).await?.into_iter();
        responses.map(|response| parse_count(&convert::<Vec<_>>(response)?)).sum()
    }

    pub(super) async fn erase(&self, user: Arc<str>) -> Result<u64, OperationError> {
        let args = self.user_args(&user);
        parse_count(&self.change(&ERASE, &partition_key(&user), args).await?)
    }

    fn user_args(&self, user: &str) -> ScriptArgs {
        ScriptArgs { user: Some(short_hash(user)), ..self.args_now() }
    }

    pub(super) async fn export(&self, user: Arc<str>) -> Result<UserExport, OperationError> {
        let args = self.user_args(&user);
        let response = self.read(&EXPORT, &partition_key(&user), &args).await?;
        let mut export = UserExport::default();
        for pair in response.chunks_exact(2) {
            let Some(record) = read_listed(&pair[0]) else { continue };
            if record.ended.is_none() {
                let data = data::from_bytes(pair[1].as_bytes())?;
                export.data.push((record.session_ref(), data));
            }
            export.records.push(record);
        }
        export.records = Query::default().paginate(export.records);
        Ok(export)
    }
}

fn parse_count(response: &[String]) -> Result<u64, OperationError> {
    response.first().and_then(|count| count.parse().ok()).ok_or(OperationError::Response)
}

/// Returns the earliest and the latest time of login in a list.
pub(super) fn login_times(query: &Query) -> (Timestamp, Timestamp) {
    let before = query.before.map(|end| Timestamp::from_millis(end.as_millis().saturating_sub(1)));
    let latest = before.into_iter().chain(query.after.map(|(at, _)| at)).min();
    let [first, last] = [i64::MIN, i64::MAX].map(Timestamp::from_millis);
    (query.from.unwrap_or(first), latest.unwrap_or(last))
}

/// Returns `true` if a list may contain open records. They have no reason and no cause.
pub(super) fn lists_open(query: &Query) -> bool {
    query.ended != Some(true) && query.reason.is_none() && query.cause.is_none()
}

/// Returns all tags.
pub(super) fn tags() -> impl Iterator<Item = String> {
    let letters = || ('0'..='9').chain('A'..='Z').chain('a'..='z');
    letters().flat_map(move |first| letters().map(move |second| format!("{first}{second}")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::registry::redis::stored::names::tag;

    #[test]
    fn every_partition_key_has_a_tag() {
        let tags: HashSet<_> = tags().collect();
        assert_eq!(tags.len(), 62 * 62);
        for n in 0..1_000 {
            assert!(tags.contains(tag(&partition_key(&format!("user {n}")))));
        }
    }
}
