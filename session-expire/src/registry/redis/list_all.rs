//! List of the records of all users, merged from the lists of all tags.
//!
//! Each tag has three sorted sets by login time: open sessions, the history, and former sessions,
//! which were open at a call of `end_everyone`. A list first reads the newest login of every set.
//! Then it reads more entries only from the sets with logins on the page. The cost grows with the
//! page, not with the number of records.

use std::cmp::Reverse;

use redis::Cmd;

use super::{
    error::OperationError,
    lists::{lists_open, login_times, tags},
    operations::Operations,
    server::pipeline::convert,
};
use crate::{registry::query::Query, session::record::SessionRecord};

/// Smallest number of records that a round reads if a filter may discard some of them.
const FILTERED_ROUND: usize = 200;

/// Largest number of entries of one set that a command returns, except for simultaneous logins.
const MAX_ENTRIES: usize = 1_000;

/// Length of the name of a record.
const NAME_LENGTH: usize = 22;

/// Sorted set of one tag.
struct TagList {
    tag: String,
    name: &'static str,
    /// Time of the newest unread login; `None` if there is none.
    newest: Option<f64>,
}

/// Entry of a sorted set, with the time of its login and the number of its set.
struct Entry {
    login: f64,
    list: usize,
    name: String,
}

impl Entry {
    /// Returns the name of the record, without the letters that order simultaneous logins.
    fn record_name(&self) -> &str {
        let length = self.name.len().saturating_sub(NAME_LENGTH);
        self.name.get(length..).unwrap_or(&self.name)
    }
}

/// Lists of all tags during a merge.
pub(super) struct TagLists<'a> {
    operations: &'a Operations,
    query: &'a Query,
    lists: Vec<TagList>,
    earliest: f64,
}

impl<'a> TagLists<'a> {
    pub(super) async fn open(
        operations: &'a Operations,
        query: &'a Query,
    ) -> Result<Self, OperationError> {
        let lists_ended = query.ended != Some(false);
        let lists_former = lists_ended && operations.has_former_sessions().await?;
        let names = [
            lists_open(query).then_some("open"),
            lists_ended.then_some("ended"),
            lists_former.then_some("former"),
        ];
        let of_tag = |tag: String| {
            let list = move |name| TagList { tag: tag.clone(), name, newest: None };
            names.into_iter().flatten().map(list)
        };
        let (earliest, _) = login_times(query);
        let earliest = earliest.as_millis() as f64;
        Ok(Self { operations, query, lists: tags().flat_map(of_tag).collect(), earliest })
    }

    /// Returns at least the first `limit` records that match.
    pub(super) async fn read(mut self, limit: usize) -> Result<Vec<SessionRecord>, OperationError> {
        let (_, latest) = login_times(self.query);
        let latest = (latest.as_millis() < i64::MAX).then(|| latest.as_millis().to_string());
        self.find_newest((0..self.lists.len()).collect(), latest.as_deref()).await?;
        let mut records = vec![];
        while records.len() < limit {
            let wanted = self.round_size(limit - records.len());
            let entries = self.next_entries(wanted).await?;
            let Some(last) = entries.last().map(|entry| entry.login) else { break };
            records.extend(self.read_records(&entries).await?);
            let read = |list: &TagList| list.newest.is_some_and(|newest| newest >= last);
            let lists = (0..self.lists.len()).filter(|n| read(&self.lists[*n])).collect();
            if records.len() < limit {
                self.find_newest(lists, Some(&format!("({last}"))).await?;
            }
        }
        Ok(records)
    }

    fn round_size(&self, missing: usize) -> usize {
        let Query { reason, cause, actor, network, after, .. } = self.query;
        let is_filtered = reason.is_some()
            || cause.is_some()
            || actor.is_some()
            || network.is_some()
            || after.is_some();
        if is_filtered { missing.max(FILTERED_ROUND) } else { missing }
    }

    fn key(&self, list: usize) -> String {
        let TagList { tag, name, .. } = &self.lists[list];
        format!("{}:{name}", self.operations.tag_key(tag))
    }

    /// Finds the newest login of `lists` up to the bound `latest`.
    async fn find_newest(
        &mut self,
        lists: Vec<usize>,
        latest: Option<&str>,
    ) -> Result<(), OperationError> {
        let commands = lists.iter().map(|list| match latest {
            // Cheaper for the server than a range of scores.
            None => command("ZREVRANGE", &self.key(*list), ["0", "0", "WITHSCORES"]),
            Some(latest) => self.range(*list, latest, self.earliest, Some(1)),
        });
        let found = self.query_entries(commands.collect()).await?;
        for (list, entries) in lists.into_iter().zip(found) {
            let newest = entries.first().map(|(_, login)| *login);
            self.lists[list].newest = newest.filter(|login| *login >= self.earliest);
        }
        Ok(())
    }

    /// Returns the newest `wanted` entries, and all other entries with the login time of the last
    /// one.
    async fn next_entries(&self, wanted: usize) -> Result<Vec<Entry>, OperationError> {
        let mut newest: Vec<_> = self.lists.iter().filter_map(|list| list.newest).collect();
        newest.sort_by(|a, b| b.total_cmp(a));
        // `wanted` lists have a login since this time. The other lists need not be read.
        let since = newest.get(wanted.saturating_sub(1)).copied().unwrap_or(self.earliest);
        let (mut entries, since) = self.entries_since(since, wanted.min(MAX_ENTRIES)).await?;
        entries.retain(|entry| entry.login >= since);
        entries.sort_by(|a, b| b.login.total_cmp(&a.login));
        if let Some(last) = entries.get(wanted.saturating_sub(1)).map(|entry| entry.login) {
            entries.retain(|entry| entry.login >= last);
        }
        Ok(entries)
    }

    /// Returns the entries since a time, or since a later time if a list has more than `count`. The
    /// entries since the returned time are complete.
    async fn entries_since(
        &self,
        mut since: f64,
        count: usize,
    ) -> Result<(Vec<Entry>, f64), OperationError> {
        let has_some = |n: &usize| self.lists[*n].newest.is_some_and(|newest| newest >= since);
        let lists: Vec<_> = (0..self.lists.len()).filter(has_some).collect();
        let newest = |list: usize| self.lists[list].newest.unwrap_or(since).to_string();
        let range = |list: &usize| self.range(*list, &newest(*list), since, Some(count));
        let mut found = self.query_entries(lists.iter().map(range).collect()).await?;
        let full: Vec<_> = (0..found.len()).filter(|n| found[*n].len() == count).collect();
        // Simultaneous logins must be read together.
        let range = |n: &usize| {
            let last = found[*n].last().map_or(since, |(_, login)| *login);
            (self.range(lists[*n], &newest(lists[*n]), last, None), last)
        };
        let (commands, cuts): (Vec<_>, Vec<_>) = full.iter().map(range).unzip();
        for (n, entries) in full.iter().zip(self.query_entries(commands).await?) {
            found[*n] = entries;
        }
        since = cuts.into_iter().fold(since, f64::max);
        let entries = lists.into_iter().zip(found).flat_map(|(list, entries)| {
            entries.into_iter().map(move |(name, login)| Entry { login, list, name })
        });
        Ok((entries.collect(), since))
    }

    fn range(&self, list: usize, latest: &str, earliest: f64, count: Option<usize>) -> Cmd {
        let earliest = earliest.to_string();
        let arguments = [latest, &earliest, "WITHSCORES"];
        let mut command = command("ZREVRANGEBYSCORE", &self.key(list), arguments);
        if let Some(count) = count {
            command.arg("LIMIT").arg(0).arg(count);
        }
        command
    }

    async fn query_entries(
        &self,
        commands: Vec<Cmd>,
    ) -> Result<Vec<Vec<(String, f64)>>, OperationError> {
        let Operations { connection, timeout, .. } = self.operations;
        let responses = connection.query_all(&commands, *timeout).await?;
        responses.into_iter().map(convert).collect()
    }

    /// Reads the records of entries, and returns those that match.
    async fn read_records(&self, entries: &[Entry]) -> Result<Vec<SessionRecord>, OperationError> {
        let name =
            |entry: &Entry| (self.lists[entry.list].tag.clone(), entry.record_name().to_owned());
        let records = self.operations.read_records(entries.iter().map(name).collect()).await?;
        let mut records: Vec<_> = self.operations.listed(records, self.query).collect();
        records.sort_by_key(|record| Reverse(Query::cursor(record)));
        Ok(records)
    }
}

fn command(name: &str, key: &str, arguments: [&str; 3]) -> Cmd {
    let mut command = Cmd::with_capacity(8, 128);
    command.arg(name).arg(key).arg(&arguments);
    command
}
