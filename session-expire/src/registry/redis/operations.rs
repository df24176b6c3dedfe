//! Operations on a server: its keys, its scripts, and the load of a record.

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

/// Version of the layout, which is a part of every key: versions of the crate with different
/// layouts do not read each other's records.
const LAYOUT: u32 = 1;

/// For how long a tombstone is kept.
const KEEP_TOMBSTONE: Duration = hours(24);

/// How much laxer than the limits under which a record is counted the policy of a handler may be.
const LAXER: Duration = hours(24);

/// The records on a server, and how long they stay there.
pub(super) struct Operations {
    pub(super) connection: Arc<Connection>,
    pub(super) prefix: String,
    pub(super) timeout: Duration,
    pub(super) history_limit: Limit<u32>,
    pub(super) history_age: Duration,
}

/// A record and its data as the server returns them.
type Pair = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Operations {
    /// What the names of all keys begin with.
    pub(super) fn base(&self) -> String {
        format!("{}{LAYOUT}:", self.prefix)
    }

    fn partition(&self, partition_key: &str) -> String {
        format!("{}{LAYOUT}:{{{partition_key}}}", self.prefix)
    }

    fn keys(&self, partition_key: &str) -> Vec<String> {
        let base = self.partition(partition_key);
        vec![base.clone(), format!("{base}:open"), format!("{base}:past"), format!("{base}:due")]
    }

    /// Returns for how long an open record is kept after its last use.
    pub(super) fn retention(&self, login: &NewLogin) -> Duration {
        let limits = login.idle.at().into_iter().chain(login.absolute.at());
        let may_be_active =
            limits.max().map_or(hours(24 * 90), |limit| limit.saturating_add(LAXER));
        self.history_age.max(may_be_active)
    }

    pub(super) fn args(&self, at: Timestamp) -> ScriptArgs {
        ScriptArgs {
            at: time(at),
            keep_history: AsString(millis(self.history_age)),
            keep_tombstone: AsString(millis(KEEP_TOMBSTONE)),
            history_limit: self.history_limit.at().map(AsString),
            ..ScriptArgs::default()
        }
    }

    /// Runs a script that only reads.
    pub(super) async fn read(
        &self,
        script: &Script,
        partition_key: &str,
        arguments: &[&str],
    ) -> Result<redis::Value, OperationError> {
        self.connection.run(script, &self.keys(partition_key), arguments, self.timeout).await
    }

    /// Runs a script that writes, and returns the texts that it returns.
    pub(super) async fn write(
        &self,
        script: &Script,
        partition_key: &str,
        arguments: &ScriptArgs,
    ) -> Result<Vec<String>, OperationError> {
        let arguments = serde_json::to_string(arguments).map_err(OperationError::Json)?;
        let response = self.read(script, partition_key, &[&arguments]).await;
        // Also after a failure: the script may have run. The server's own message comes a moment
        // later, and a session that has ended must not be taken for open until then.
        if let Some(cache) = &self.connection.cache {
            cache.change(partition_key);
        }
        texts(response?)
    }

    /// Returns the record of `key` if it is known without asking the server.
    pub(super) fn cached(&self, key: &RecordKey, count_open: bool) -> Option<StoredSession> {
        self.connection.cache.as_ref()?.get(key, count_open)
    }

    pub(super) async fn load(
        &self,
        key: RecordKey,
        count_open: bool,
    ) -> Result<Option<StoredSession>, OperationError> {
        let token = self.connection.cache.as_ref().map(|cache| cache.begin(key.partition_key()));
        let loaded = match count_open {
            true => Box::pin(self.load_and_count(&key)).await?,
            false => self.load_only(&key).await?,
        };
        if let Some((cache, token)) = self.connection.cache.as_ref().zip(token) {
            cache.keep(&token, &key, loaded.as_ref());
        }
        Ok(loaded)
    }

    /// Loads a record and its data in one plain command.
    async fn load_only(&self, key: &RecordKey) -> Result<Option<StoredSession>, OperationError> {
        let data_field = format!("d:{}", name(key));
        let mut command = Cmd::with_capacity(4, 128);
        command.arg("HMGET").arg(self.partition(key.partition_key()));
        command.arg(&data_field[2..]).arg(&data_field);
        let response = self.connection.ask(&command, self.timeout).await?;
        let pair: Pair = redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        loaded(pair, None)
    }

    async fn load_and_count(
        &self,
        key: &RecordKey,
    ) -> Result<Option<StoredSession>, OperationError> {
        let response = self.read(&LOAD, key.partition_key(), &[&name(key)]).await?;
        let found: Option<(Pair, u32)> =
            redis::from_redis_value(response).map_err(|_| OperationError::Response)?;
        found.map_or(Ok(None), |(pair, open)| loaded(pair, Some(open)))
    }
}

fn loaded(
    (record, data): Pair,
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

/// Returns the name of a record on the server, from which its key cannot be told.
pub(super) fn name(key: &RecordKey) -> String {
    short_hash(key.expose())
}

/// Returns 128 bits of SHA-256 in 22 characters: a member of a sorted set must not exceed 64 bytes,
/// or Redis stores the set in eight times the memory.
pub(super) fn short_hash(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-";
    let digest = Sha256::digest(text);
    let number = digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    let digit =
        |place: u32| char::from(DIGITS[usize::try_from(number >> (6 * place) & 63).unwrap_or(0)]);
    (0..22).map(digit).collect()
}

pub(super) fn texts(response: redis::Value) -> Result<Vec<String>, OperationError> {
    redis::from_redis_value(response).map_err(|_| OperationError::Response)
}

/// Returns the records that can be read: one that cannot must not hide the others.
pub(super) fn readable(texts: &[String]) -> Vec<SessionRecord> {
    texts.iter().filter_map(|text| read_listed(text)).collect()
}

pub(super) fn read_listed(text: &str) -> Option<SessionRecord> {
    let record = RecordDto::read_listed(text.as_bytes());
    let log =
        |error: &OperationError| tracing::error!(%error, "unreadable record on the Redis server");
    record.inspect_err(log).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_hash_has_22_characters_and_tells_texts_apart() {
        let hashes = ["", "alice", "bob"].map(short_hash);
        assert!(hashes.iter().all(|hash| hash.len() == 22 && hash.is_ascii()));
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
        assert!(!hashes.iter().any(|hash| hash.contains([':', ';', '<'])));
    }
}
