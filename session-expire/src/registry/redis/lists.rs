//! Operations on many records: lists, export, erasure, and the end of all sessions.
//!
//! An operation on one user is atomic. An operation on all users is atomic only per partition.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::try_join_all;

use super::{
    data,
    error::OperationError,
    operations::{Operations, parse_texts, read_listed, read_records, short_hash},
    script::{END_EVERYONE, ERASE, EXPORT, LIST, Script},
    script_args::ScriptArgs,
};
use crate::{
    registry::{UserExport, query::Query},
    session::{
        data::SessionData, ended::Ended, key::partition_key, reason::Reason, record::SessionRecord,
    },
    time::Timestamp,
};

/// Number of partitions that one round trip reads. Between two round trips the server serves other
/// requests.
const PARTITIONS_PER_ROUND: usize = 200;

impl Operations {
    pub(super) async fn list(&self, query: Query) -> Result<Vec<SessionRecord>, OperationError> {
        match &query.user {
            Some(user) => self.list_partition(&partition_key(user), &query).await,
            None => self.list_all(&query).await,
        }
    }

    async fn list_partition(
        &self,
        partition_key: &str,
        query: &Query,
    ) -> Result<Vec<SessionRecord>, OperationError> {
        let user = query.user.as_deref().map(short_hash).unwrap_or_default();
        let is_wanted = |ended: bool| if query.ended == Some(!ended) { "0" } else { "1" };
        let args = [&*user, is_wanted(false), is_wanted(true)];
        let response = self.run(&LIST, partition_key, &args).await?;
        let mut records = read_records(&parse_texts(response)?);
        records.retain(|record| query.matches(record));
        Ok(query.paginate(records))
    }

    /// Lists the records of all users in rounds. No round blocks the server for long, and memory
    /// contains no more than one page and one round.
    async fn list_all(&self, query: &Query) -> Result<Vec<SessionRecord>, OperationError> {
        let (mut scan, mut records) = (PartitionScan::default(), vec![]);
        while let Some(partition_keys) = self.next_partitions(&mut scan).await? {
            for round in partition_keys.chunks(PARTITIONS_PER_ROUND) {
                let lists =
                    round.iter().map(|partition_key| self.list_partition(partition_key, query));
                records.extend(try_join_all(lists).await?.into_iter().flatten());
                records = query.paginate(records);
            }
        }
        Ok(records)
    }

    /// Returns the partition keys of the next step of a scan, without earlier ones; `None` after
    /// the last step.
    async fn next_partitions(
        &self,
        scan: &mut PartitionScan,
    ) -> Result<Option<Vec<String>>, OperationError> {
        let Some(cursor) = scan.cursor else { return Ok(None) };
        let (before, after) = (format!("{}{{", self.key_prefix()), "}");
        let mut command = redis::cmd("SCAN");
        let pattern = format!("{}????{after}", escape_pattern(&before));
        command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1_000);
        let response = self.connection.query(&command, self.timeout).await?;
        let (next, keys): (u64, Vec<String>) =
            redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        scan.cursor = (next != 0).then_some(next);
        let partition_key =
            |key: &String| Some(key.strip_prefix(&before)?.strip_suffix(after)?.to_owned());
        let partition_keys = keys.iter().filter_map(partition_key);
        let is_new = |partition_key: &String| scan.seen.insert(partition_key.clone());
        Ok(Some(partition_keys.filter(is_new).collect()))
    }

    pub(super) async fn end_everyone(&self, ended: Ended) -> Result<u64, OperationError> {
        // Adoption closes first: otherwise a session could be adopted in a partition whose sessions
        // have just ended.
        self.close_adoption(&ended).await?;
        let args = self.args(ended.at).ended(&ended);
        let (mut scan, mut count) = (PartitionScan::default(), 0);
        while let Some(partition_keys) = self.next_partitions(&mut scan).await? {
            for round in partition_keys.chunks(PARTITIONS_PER_ROUND) {
                let ends = round
                    .iter()
                    .map(|partition_key| self.write_and_count(&END_EVERYONE, partition_key, &args));
                count += try_join_all(ends).await?.into_iter().sum::<u64>();
            }
        }
        Ok(count)
    }

    pub(super) async fn erase(&self, user: Arc<str>) -> Result<u64, OperationError> {
        let args = self.user_args(&user);
        self.write_and_count(&ERASE, &partition_key(&user), &args).await
    }

    /// Returns arguments for scripts that do not use the time.
    fn user_args(&self, user: &str) -> ScriptArgs {
        ScriptArgs { user: Some(short_hash(user)), ..self.args(Timestamp::from_millis(0)) }
    }

    async fn write_and_count(
        &self,
        script: &Script,
        partition_key: &str,
        args: &ScriptArgs,
    ) -> Result<u64, OperationError> {
        let response = self.write(script, partition_key, args).await?;
        response.first().and_then(|count| count.parse().ok()).ok_or(OperationError::Response)
    }

    pub(super) async fn export(&self, user: Arc<str>) -> Result<UserExport, OperationError> {
        let args = self.user_args(&user);
        let response = self.write(&EXPORT, &partition_key(&user), &args).await?;
        let mut export = UserExport::default();
        for pair in response.chunks_exact(2) {
            let Some(record) = read_listed(&pair[0]) else { continue };
            if record.ended.is_none() {
                let data: SessionData = data::from_bytes(pair[1].as_bytes())?;
                export.data.push((record.session_ref(), data));
            }
            export.records.push(record);
        }
        export.records = Query::default().paginate(export.records);
        Ok(export)
    }

    /// Returns the Redis key that exists if adoption is closed for all users.
    fn adoption_key(&self) -> String {
        format!("{}adoption", self.key_prefix())
    }

    async fn close_adoption(&self, ended: &Ended) -> Result<(), OperationError> {
        let mut command = redis::cmd("SET");
        command.arg(self.adoption_key()).arg(ended.at.as_millis());
        self.connection.query(&command, self.timeout).await.map(drop)
    }

    /// Returns the end that closed adoption for all users; `None` while adoption is open.
    pub(super) async fn adoption_closed(&self) -> Result<Option<Ended>, OperationError> {
        let mut command = redis::cmd("GET");
        command.arg(self.adoption_key());
        let response = self.connection.query(&command, self.timeout).await?;
        let at: Option<i64> =
            redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        Ok(at.map(|at| Ended::new(Reason::Revoked, Timestamp::from_millis(at))))
    }
}

/// Scan of all partitions.
struct PartitionScan {
    /// Cursor of the next step; `None` after the last one.
    cursor: Option<u64>,
    /// Partition keys that were returned. The server may return a key twice.
    seen: HashSet<String>,
}

impl Default for PartitionScan {
    fn default() -> Self {
        Self { cursor: Some(0), seen: HashSet::new() }
    }
}

/// Returns the pattern that matches exactly `text`.
fn escape_pattern(text: &str) -> String {
    let escape = |c| if "*?[]\\^".contains(c) { vec!['\\', c] } else { vec![c] };
    text.chars().flat_map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::escape_pattern;

    #[test]
    fn special_characters_of_a_pattern_are_escaped() {
        assert_eq!(escape_pattern("a*[b]?^\\1:{"), "a\\*\\[b\\]\\?\\^\\\\1:{");
    }
}
