//! Operations on a server: Redis keys, script calls, and the load of a record.
//!
//! Every key has the version of the layout in its name. `logins` and `lists` add the operations
//! that write.

use std::{sync::Arc, time::Duration};

use redis::Cmd;
use sha2::{Digest, Sha256};

use super::{
    as_string::{AsString, millis, time},
    connection::Connection,
    data,
    error::OperationError,
    record::RecordDto,
    script::{LOAD, Script},
    script_args::ScriptArgs,
};
use crate::{
    policy::limit::Limit,
    registry::StoredSession,
    session::{data::SessionData, key::RecordKey, login::NewLogin, record::SessionRecord},
    time::{Timestamp, hours},
};

/// Version of the layout, which is part of every key. Versions of the crate with different layouts
/// do not read each other's records.
const LAYOUT: u32 = 2;

/// Retention of a tombstone.
const TOMBSTONE_RETENTION: Duration = hours(24);

/// Time for which an open record is kept after its own timeouts, because the policy of a handler
/// may be laxer.
const POLICY_MARGIN: Duration = hours(24);

/// Connection to a server, with the options of the registry.
pub(super) struct Operations {
    pub(super) connection: Arc<Connection>,
    pub(super) prefix: String,
    pub(super) timeout: Duration,
    pub(super) history_limit: Limit<u32>,
    pub(super) history_age: Duration,
}

/// Record and data in a response; `None` if the field does not exist.
type StoredFields = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Operations {
    /// Returns the prefix of all Redis keys, with the version of the layout.
    pub(super) fn key_prefix(&self) -> String {
        format!("{}{LAYOUT}:", self.prefix)
    }

    /// Returns the Redis key of the records with this partition key.
    fn records_key(&self, partition_key: &str) -> String {
        format!("{}{LAYOUT}:{{{partition_key}}}", self.prefix)
    }

    /// Returns the four Redis keys of a partition, in the order of the scripts.
    fn partition_keys(&self, partition_key: &str) -> Vec<String> {
        let records = self.records_key(partition_key);
        let [open, ended, due] = ["open", "ended", "due"].map(|index| format!("{records}:{index}"));
        vec![records, open, ended, due]
    }

    /// Returns how long an open record is kept after its last use.
    pub(super) fn retention(&self, login: &NewLogin) -> Duration {
        let limits = login.idle.at().into_iter().chain(login.absolute.at());
        let may_be_active =
            limits.max().map_or(hours(24 * 90), |limit| limit.saturating_add(POLICY_MARGIN));
        self.history_age.max(may_be_active)
    }

    pub(super) fn args(&self, at: Timestamp) -> ScriptArgs {
        ScriptArgs {
            at: time(at),
            history_retention: AsString(millis(self.history_age)),
            tombstone_retention: AsString(millis(TOMBSTONE_RETENTION)),
            history_limit: self.history_limit.at().map(AsString),
            ..ScriptArgs::default()
        }
    }

    /// Runs a script.
    pub(super) async fn run(
        &self,
        script: &Script,
        partition_key: &str,
        arguments: &[&str],
    ) -> Result<redis::Value, OperationError> {
        let keys = self.partition_keys(partition_key);
        self.connection.run(script, &keys, arguments, self.timeout).await
    }

    /// Runs a script with JSON arguments, and returns the texts of its response.
    ///
    /// # Cancel safety
    ///
    /// The script runs completely or not at all, even if this future is dropped.
    pub(super) async fn write(
        &self,
        script: &Script,
        partition_key: &str,
        arguments: &ScriptArgs,
    ) -> Result<Vec<String>, OperationError> {
        let arguments = serde_json::to_string(arguments).map_err(OperationError::Json)?;
        let response = self.run(script, partition_key, &[&arguments]).await;
        // The notification of the server comes later, and an ended session must not stay active
        // until then. The script may have run even if it returned an error.
        if let Some(cache) = &self.connection.cache {
            cache.invalidate(partition_key);
        }
        parse_texts(response?)
    }

    /// Returns the record of `key` if the cache has a valid copy.
    pub(super) fn cached(&self, key: &RecordKey, count_open: bool) -> Option<StoredSession> {
        self.connection.cache.as_ref()?.get(key, count_open)
    }

    pub(super) async fn load(
        &self,
        key: RecordKey,
        count_open: bool,
    ) -> Result<Option<StoredSession>, OperationError> {
        let cache = self.connection.cache.as_ref();
        let read = cache.map(|cache| (cache, cache.start_read(key.partition_key())));
        let loaded = match count_open {
            true => Box::pin(self.load_and_count(&key)).await?,
            false => self.load_only(&key).await?,
        };
        if let Some((cache, token)) = read {
            cache.store(&token, &key, loaded.as_ref());
        }
        Ok(loaded)
    }

    /// Loads a record and its data without a script.
    async fn load_only(&self, key: &RecordKey) -> Result<Option<StoredSession>, OperationError> {
        let data_field = format!("d:{}", record_name(key));
        let mut command = Cmd::with_capacity(4, 128);
        command.arg("HMGET").arg(self.records_key(key.partition_key()));
        command.arg(&data_field[2..]).arg(&data_field);
        let response = self.connection.query(&command, self.timeout).await?;
        let fields: StoredFields =
            redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        read_session(fields, None)
    }

    async fn load_and_count(
        &self,
        key: &RecordKey,
    ) -> Result<Option<StoredSession>, OperationError> {
        let response = self.run(&LOAD, key.partition_key(), &[&record_name(key)]).await?;
        let loaded: Option<(StoredFields, u32)> =
            redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        loaded.map_or(Ok(None), |(fields, open)| read_session(fields, Some(open)))
    }
}

fn read_session(
    (record, data): StoredFields,
    open: Option<u32>,
) -> Result<Option<StoredSession>, OperationError> {
    let Some(record) = record else { return Ok(None) };
    let record = RecordDto::read(&record)?;
    let data = match data.filter(|_| record.ended.is_none()) {
        Some(data) => data::from_bytes(&data)?,
        None => SessionData::default(),
    };
    Ok(Some(StoredSession { record: Arc::new(record), data: Arc::new(data), open }))
}

/// Returns the name of a record on the server, a hash of its key.
pub(super) fn record_name(key: &RecordKey) -> String {
    short_hash(key.expose())
}

/// Returns 128 bits of the SHA-256 of `text` in 22 characters.
///
/// It is short, because a sorted set with members over 64 bytes needs eight times the memory.
pub(super) fn short_hash(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-";
    let digest = Sha256::digest(text);
    let number = digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    let digit = |n: u32| char::from(DIGITS[usize::try_from(number >> (6 * n) & 63).unwrap_or(0)]);
    (0..22).map(digit).collect()
}

pub(super) fn parse_texts(response: redis::Value) -> Result<Vec<String>, OperationError> {
    redis::from_redis_value(response).map_err(|_| OperationError::Response)
}

/// Reads records, and logs and skips unreadable ones.
pub(super) fn read_records(texts: &[String]) -> Vec<SessionRecord> {
    texts.iter().filter_map(|text| read_listed(text)).collect()
}

pub(super) fn read_listed(text: &str) -> Option<SessionRecord> {
    let record = RecordDto::read_listed(text.as_bytes());
    let log = |error: &OperationError| {
        let event = "sys_unreadable_record";
        tracing::error!(event, %error, "unreadable session record on the Redis server; skipped");
    };
    record.inspect_err(log).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_hash_has_22_characters_and_differs_per_text() {
        let hashes = ["", "alice", "bob"].map(short_hash);
        assert!(hashes.iter().all(|hash| hash.len() == 22 && hash.is_ascii()));
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
        assert!(!hashes.iter().any(|hash| hash.contains([':', ';', '<'])));
    }
}
