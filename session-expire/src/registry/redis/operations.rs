//! Operations on a server: Redis keys, script calls, and the load of a record.
//!
//! Every key has the version of the layout in its name. `logins` and `lists` add the operations
//! that write.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, FromRedisValue, Value, from_redis_value};
use sha2::{Digest, Sha256};

use super::{
    as_string::{AsString, millis, time},
    cache::LEASE,
    connection::Connection,
    data,
    error::OperationError,
    pipeline::ScriptCall,
    record::StoredFields,
    script::{LOAD, Script},
    script_args::ScriptArgs,
};
use crate::{
    policy::limit::Limit,
    registry::StoredSession,
    session::{data::SessionData, ended::Ended, key::RecordKey, record::SessionRecord},
    time::{
        Timestamp,
        clock::{Clock, SystemClock},
    },
};

/// Version of the layout, which is part of every key. Versions of the crate with different layouts
/// do not read each other's records.
const LAYOUT: u32 = 3;

/// Number of letters of a partition key that are the tag of its keys.
const TAG: usize = 2;

/// Number of ends of all sessions that the server remembers; the same number is in `common.lua`.
const REMEMBERED_ENDS: u64 = 16;

/// Connection to a server, with the options of the registry.
pub(super) struct Operations {
    pub(super) connection: Arc<Connection>,
    pub(super) prefix: String,
    pub(super) timeout: Duration,
    pub(super) history_limit: Limit<u32>,
    pub(super) history_age: Duration,
    /// Time of the last operation that wrote, in milliseconds.
    pub(super) last_write: AtomicI64,
}

/// Generation, record and data in a response; `None` if the field does not exist.
type LoadedFields = (Option<u64>, Option<Vec<u8>>, Option<Vec<u8>>);

impl Operations {
    /// Returns the Redis key of the records with this tag.
    pub(super) fn tag_key(&self, tag: &str) -> String {
        format!("{}{LAYOUT}:{{{tag}}}", self.prefix)
    }

    /// Returns the Redis keys of a tag, in the order of the scripts. The scripts add the keys of
    /// users, which have the same slot of a cluster.
    fn tag_keys(&self, tag: &str) -> Vec<String> {
        let tag = self.tag_key(tag);
        let names = ["open", "ended", "due", "ends", "former"];
        let others = names.map(|name| format!("{tag}:{name}"));
        iter::once(tag).chain(others).collect()
    }

    /// Returns the arguments that all scripts need.
    pub(super) fn args(&self, at: Timestamp) -> ScriptArgs {
        ScriptArgs {
            at: time(at),
            history_age: AsString(millis(self.history_age)),
            history_limit: self.history_limit.at().map(AsString),
            ..ScriptArgs::default()
        }
    }

    /// Returns the arguments of an operation without a time of its own: it happens at the time of
    /// the last write.
    pub(super) fn args_now(&self) -> ScriptArgs {
        match self.last_write() {
            at if at.as_millis() == 0 => self.args(SystemClock::default().now()),
            at => self.args(at),
        }
    }

    /// Returns the time of the last operation of this process that wrote; 0 before the first one.
    pub(super) fn last_write(&self) -> Timestamp {
        Timestamp::from_millis(self.last_write.load(Ordering::Relaxed))
    }

    /// Returns the keys and the arguments of a script call.
    pub(super) fn call(
        &self,
        tag: &str,
        arguments: &ScriptArgs,
    ) -> Result<ScriptCall, OperationError> {
        let arguments = serde_json::to_string(arguments).map_err(OperationError::Json)?;
        Ok((self.tag_keys(tag), arguments))
    }

    /// Runs a script that only reads, and returns the texts of its response.
    pub(super) async fn read(
        &self,
        script: &Script,
        partition_key: &str,
        arguments: &ScriptArgs,
    ) -> Result<Vec<String>, OperationError> {
        let (keys, arguments) = self.call(tag(partition_key), arguments)?;
        convert(self.connection.run(script, &keys, &[&arguments], self.timeout).await?)
    }

    /// Runs a script that writes, and returns the texts of its response.
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
        self.last_write.store(arguments.at.0, Ordering::Relaxed);
        let response = self.read(script, partition_key, arguments).await;
        // The notification of the server comes later, and an ended session must not stay active
        // until then. The script may have run even if it returned an error.
        if let Some(cache) = &self.connection.cache {
            cache.invalidate(partition_key);
        }
        response
    }

    /// Returns the record of `key` if the cache has a valid copy.
    pub(super) fn cached(&self, key: &RecordKey, count_open: bool) -> Option<StoredSession> {
        self.connection.cache.as_ref()?.get(key, count_open)
    }

    /// Waits until no other process has a valid copy without the first data of a session, if the
    /// response of a script says that it is the first.
    pub(super) async fn wait_for_caches(&self, response: &[String]) {
        if self.connection.cache.is_some()
            && response.get(1).is_some_and(|word| word == "first_data")
        {
            tokio::time::sleep(LEASE).await;
        }
    }

    pub(super) async fn load(
        &self,
        key: RecordKey,
        count_open: bool,
    ) -> Result<Option<StoredSession>, OperationError> {
        let cache = self.connection.cache.as_ref();
        let read = cache.map(|cache| (cache, cache.start_read(key.partition_key())));
        let (fields, open) = match count_open {
            true => Box::pin(self.load_and_count(&key)).await?,
            false => (self.load_only(&key).await?, None),
        };
        let generation = fields.0.unwrap_or(0);
        let mut loaded = read_session(fields, open)?;
        if let Some(loaded) = &mut loaded
            && is_of_earlier_generation(&loaded.record, generation)
        {
            let ended =
                Box::pin(self.end_after(&key, loaded.record.generation, generation)).await?;
            Arc::make_mut(&mut loaded.record).ended = Some(ended);
            loaded.data = Arc::default();
        }
        if let Some((cache, token)) = read {
            cache.store(&token, &key, loaded.as_ref());
        }
        Ok(loaded)
    }

    /// Loads a record and its data without a script.
    async fn load_only(&self, key: &RecordKey) -> Result<LoadedFields, OperationError> {
        let data_field = format!("d:{}", record_name(key));
        let mut command = Cmd::with_capacity(5, 128);
        command.arg("HMGET").arg(self.tag_key(tag(key.partition_key())));
        command.arg("generation").arg(&data_field[2..]).arg(&data_field);
        convert(self.connection.query(&command, self.timeout).await?)
    }

    async fn load_and_count(
        &self,
        key: &RecordKey,
    ) -> Result<(LoadedFields, Option<u32>), OperationError> {
        let (keys, name) = (self.tag_keys(tag(key.partition_key())), record_name(key));
        let response = self.connection.run(&LOAD, &keys, &[&name], self.timeout).await?;
        convert(response).map(|(fields, open): (_, u32)| (fields, Some(open)))
    }

    /// Returns the first end of all sessions after the generation of a login.
    async fn end_after(
        &self,
        key: &RecordKey,
        generation: u64,
        current: u64,
    ) -> Result<Ended, OperationError> {
        let oldest = (current + 1).saturating_sub(REMEMBERED_ENDS);
        let mut command = redis::cmd("HGET");
        command.arg(format!("{}:ends", self.tag_key(tag(key.partition_key()))));
        command.arg((generation + 1).max(oldest));
        let text: Option<Vec<u8>> = convert(self.connection.query(&command, self.timeout).await?)?;
        let text = text.ok_or(OperationError::Response)?;
        StoredFields::parse(&text)?.ended()?.ok_or(OperationError::Response)
    }
}

/// Returns the tag of the keys with this partition key: its first two letters. Everything under one
/// tag changes together, also on a cluster.
pub(super) fn tag(partition_key: &str) -> &str {
    partition_key.get(..TAG).unwrap_or(partition_key)
}

fn is_of_earlier_generation(record: &SessionRecord, generation: u64) -> bool {
    record.ended.is_none() && record.generation < generation
}

fn read_session(
    (_, record, data): LoadedFields,
    open: Option<u32>,
) -> Result<Option<StoredSession>, OperationError> {
    let Some(text) = record else { return Ok(None) };
    let fields = StoredFields::parse(&text)?;
    if fields.is_reservation() {
        return Ok(None);
    }
    let record = fields.record()?;
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
/// It is short, because a sorted set with members over 64 bytes needs several times the memory.
pub(super) fn short_hash(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-";
    let digest = Sha256::digest(text);
    let number = digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    let digit = |n: u32| char::from(DIGITS[usize::try_from(number >> (6 * n) & 63).unwrap_or(0)]);
    (0..22).map(digit).collect()
}

pub(super) fn convert<T: FromRedisValue>(response: Value) -> Result<T, OperationError> {
    from_redis_value(response).map_err(|_| OperationError::Response)
}

/// Reads records, and logs and skips unreadable ones.
pub(super) fn read_records(texts: &[String]) -> Vec<SessionRecord> {
    texts.iter().filter_map(|text| read_listed(text)).collect()
}

pub(super) fn read_listed(text: &str) -> Option<SessionRecord> {
    let record = StoredFields::parse(text.as_bytes()).and_then(|fields| fields.listed_record());
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
