//! Load of a record and its data, with or without the number of open sessions of its user.
//!
//! An ordinary load is one command without a script. Only a session that `end_everyone` has ended
//! needs a second command.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::{
    error::OperationError,
    operations::Operations,
    script::LOAD,
    server::pipeline::convert,
    stored::{
        data,
        names::{record_name, tag},
        record::StoredFields,
    },
};
use crate::{
    registry::StoredSession,
    session::{
        data::SessionData, ended::Ended, key::RecordKey, reason::Reason, record::SessionRecord,
    },
};

/// Number of calls of `end_everyone` that the server remembers; `common.lua` has the same number.
const REMEMBERED_ENDS: u64 = 16;

/// Generation, record and data in a response; `None` if the field does not exist.
type LoadedFields = (Option<u64>, Option<Vec<u8>>, Option<Vec<u8>>);

impl Operations {
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
        let (fields, open) = match count_open {
            true => Box::pin(self.load_and_count(&key)).await?,
            false => (self.load_only(&key).await?, None),
        };
        let generation = fields.0.unwrap_or(0);
        let mut loaded = read_session(fields, open)?;
        if let Some(loaded) = &mut loaded
            && is_of_earlier_generation(&loaded.record, generation)
        {
            let tag = tag(key.partition_key());
            let command = self.end_command(tag, loaded.record.generation, generation);
            let response = Box::pin(self.connection.query(&command, self.timeout)).await?;
            let ended = read_end(response, &loaded.record)?;
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

    /// Returns the command that reads the end of an open record of an earlier `generation`: that by
    /// the first call of `end_everyone` after it, or by the oldest remembered call.
    pub(super) fn end_command(&self, tag: &str, generation: u64, current: u64) -> Cmd {
        let oldest = (current + 1).saturating_sub(REMEMBERED_ENDS);
        let mut command = redis::cmd("HGET");
        command.arg(format!("{}:ends", self.tag_key(tag))).arg((generation + 1).max(oldest));
        command
    }
}

/// Reads the response to [`Operations::end_command`] for a record. A failed migration can lose the
/// stored end, but the session has ended nevertheless.
pub(super) fn read_end(response: Value, record: &SessionRecord) -> Result<Ended, OperationError> {
    let lost = || Ended::new(Reason::Revoked, record.last_seen);
    match convert::<Option<Vec<u8>>>(response)? {
        Some(text) => Ok(StoredFields::parse(&text)?.ended()?.unwrap_or_else(lost)),
        None => Ok(lost()),
    }
}

pub(super) fn is_of_earlier_generation(record: &SessionRecord, generation: u64) -> bool {
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
