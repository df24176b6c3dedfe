//! Operations on many records: lists, export, erasure, and the end of all sessions.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::try_join_all;

use super::{
    data,
    error::OperationError,
    operations::{Operations, read_listed, readable, short_hash, texts},
    script::{END_EVERYONE, ERASE, EXPORT, LIST, Script},
    script_args::ScriptArgs,
};
use crate::{
    registry::{UserExport, query::Query},
    session::{
        data::SessionData,
        key::partition_key,
        reason::Reason,
        record::{Ended, SessionRecord},
    },
    time::Timestamp,
};

/// How many partitions are asked for at once: they share round trips, and other requests get their
/// turn in between.
const AT_ONCE: usize = 200;

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
        let response = self.read(&LIST, partition_key, &args).await?;
        let mut records = readable(&texts(response)?);
        records.retain(|record| query.matches(record));
        Ok(query.paginate(records))
    }

    /// Reads one page of keys after the other: the server is never busy for long, and no more than
    /// the result is held in memory.
    async fn list_all(&self, query: &Query) -> Result<Vec<SessionRecord>, OperationError> {
        let (mut scan, mut found) = (PartitionScan::default(), vec![]);
        while let Some(tags) = self.next_tags(&mut scan).await? {
            for some in tags.chunks(AT_ONCE) {
                let lists =
                    some.iter().map(|partition_key| self.list_partition(partition_key, query));
                found.extend(try_join_all(lists).await?.into_iter().flatten());
                found = query.paginate(found);
            }
        }
        Ok(found)
    }

    /// Returns the next partitions that have not been returned before; `None` after the last.
    async fn next_tags(
        &self,
        scan: &mut PartitionScan,
    ) -> Result<Option<Vec<String>>, OperationError> {
        let Some(cursor) = scan.cursor else { return Ok(None) };
        let (before, after) = (format!("{}{{", self.base()), "}");
        let mut command = redis::cmd("SCAN");
        let pattern = format!("{}????{after}", escaped(&before));
        command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1_000);
        let response = self.connection.ask(&command, self.timeout).await?;
        let (next, keys): (u64, Vec<String>) =
            redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        scan.cursor = (next != 0).then_some(next);
        let partition_key =
            |key: &String| Some(key.strip_prefix(&before)?.strip_suffix(after)?.to_owned());
        let tags = keys.iter().filter_map(partition_key);
        Ok(Some(tags.filter(|partition_key| scan.seen.insert(partition_key.clone())).collect()))
    }

    pub(super) async fn end_everyone(&self, ended: Ended) -> Result<u64, OperationError> {
        // First, so that no session is adopted in a partition that has been passed by.
        self.close_adoption(&ended).await?;
        let args = self.args(ended.at).ended(&ended);
        let (mut scan, mut count) = (PartitionScan::default(), 0);
        while let Some(tags) = self.next_tags(&mut scan).await? {
            for some in tags.chunks(AT_ONCE) {
                let ends = some
                    .iter()
                    .map(|partition_key| self.count_written(&END_EVERYONE, partition_key, &args));
                count += try_join_all(ends).await?.into_iter().sum::<u64>();
            }
        }
        Ok(count)
    }

    pub(super) async fn erase(&self, user: Arc<str>) -> Result<u64, OperationError> {
        let args = self.user_args(&user);
        self.count_written(&ERASE, &partition_key(&user), &args).await
    }

    /// Arguments without a time: nothing is stored that depends on it.
    fn user_args(&self, user: &str) -> ScriptArgs {
        ScriptArgs { user: Some(short_hash(user)), ..self.args(Timestamp::from_millis(0)) }
    }

    async fn count_written(
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

    /// The key that says that adoption is closed for all users.
    fn adoption_key(&self) -> String {
        format!("{}adoption", self.base())
    }

    async fn close_adoption(&self, ended: &Ended) -> Result<(), OperationError> {
        let mut command = redis::cmd("SET");
        command.arg(self.adoption_key()).arg(ended.at.as_millis());
        self.connection.ask(&command, self.timeout).await.map(drop)
    }

    /// Returns how adoption was closed for all users, if it was.
    pub(super) async fn adoption_closed_at(&self) -> Result<Option<Ended>, OperationError> {
        let mut command = redis::cmd("GET");
        command.arg(self.adoption_key());
        let response = self.connection.ask(&command, self.timeout).await?;
        let at: Option<i64> =
            redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        Ok(at.map(|at| Ended::new(Reason::Revoked, Timestamp::from_millis(at))))
    }
}

/// How far a walk through all partitions has come. The server may return a key twice.
struct PartitionScan {
    /// `None` at the end.
    cursor: Option<u64>,
    seen: HashSet<String>,
}

impl Default for PartitionScan {
    fn default() -> Self {
        Self { cursor: Some(0), seen: HashSet::new() }
    }
}

/// Returns a pattern that matches only `text`.
fn escaped(text: &str) -> String {
    let escape = |c| if "*?[]\\^".contains(c) { vec!['\\', c] } else { vec![c] };
    text.chars().flat_map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn pattern_matches_only_its_text() {
        assert_eq!(escaped("a*[b]?^\\1:{"), "a\\*\\[b\\]\\?\\^\\\\1:{");
    }
}
