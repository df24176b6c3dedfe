//! Conversion between session records and rows.
//!
//! Rows contain hashes of keys, never a key. A word of a newer version of this crate does not make
//! a row unreadable. The queries and statements of the file use these conversions.

use std::{error::Error, str::FromStr, sync::Arc, time::Duration};

use rusqlite::{Row, types::Type};
use sha2::{Digest, Sha256};

use crate::{
    policy::{PolicyPatch, limit::Limit, to_text},
    session::{
        client::Client,
        data::SessionData,
        ended::Ended,
        key::{PublicId, RecordKey},
        reason::Reason,
        record::SessionRecord,
        signing_key::SigningKey,
    },
    time::Timestamp,
};

/// Columns that [`read_row`] expects, in this order.
pub(crate) const COLUMNS: &str = "key_hash, id, signing_key, user, logged_in_at, \
     authenticated_at, last_seen, ip, device, last_ip, last_device, idle_ms, absolute_ms, \
     login_policy, user_policy, uncounted, actor, generation, tombstone_until, ended_at, \
     ended_reason, ended_cause, ended_by, data";

/// Returns the key under which a record is stored: the same partition key, then letters and digits
/// of the SHA-256 of `key`. A stolen file thus contains no key.
pub(crate) fn hashed(key: RecordKey) -> RecordKey {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digest = Sha256::digest(key.expose());
    let mut hashed = [0; 26];
    let (partition_key, letters) = hashed.split_at_mut(key.partition_key().len());
    partition_key.copy_from_slice(key.partition_key().as_bytes());
    for (letter, byte) in letters.iter_mut().zip(digest) {
        *letter = LETTERS[usize::from(byte % 62)];
    }
    // 26 letters and digits always parse; the fallback only avoids a panic.
    str::from_utf8(&hashed).ok().and_then(RecordKey::parse).unwrap_or(key)
}

/// Row of the table `sessions`.
pub(crate) struct SessionRow {
    pub(crate) key: RecordKey,
    pub(crate) record: SessionRecord,
    pub(crate) data: SessionData,
}

/// Converts a row of [`COLUMNS`].
pub(crate) fn read_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let record = SessionRecord {
        id: parse_with(row, 1, PublicId::parse)?,
        signing_key: parse_with(row, 2, SigningKey::parse)?,
        user: row.get(3)?,
        logged_in_at: Timestamp::from_millis(row.get(4)?),
        authenticated_at: Timestamp::from_millis(row.get(5)?),
        last_seen: Timestamp::from_millis(row.get(6)?),
        client: Client { ip: parse_column(row, 7)?, device: row.get(8)? },
        last_client: last_client(row)?,
        idle: limit(row.get(11)?),
        absolute: limit(row.get(12)?),
        login_policy: policy(row, 13)?,
        user_policy: policy(row, 14)?,
        uncounted: row.get(15)?,
        actor: row.get(16)?,
        generation: u64::try_from(row.get::<_, i64>(17)?).unwrap_or(0),
        tombstone_until: row.get::<_, Option<i64>>(18)?.map(Timestamp::from_millis),
        ended: ended(row)?,
    };
    let data = data(row)?;
    Ok(SessionRow { key: parse_with(row, 0, RecordKey::parse)?, record, data })
}

fn last_client(row: &Row<'_>) -> rusqlite::Result<Option<Client>> {
    let Some(device) = row.get::<_, Option<Arc<str>>>(10)? else { return Ok(None) };
    Ok(Some(Client { ip: parse_column(row, 9)?, device }))
}

fn policy(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Arc<PolicyPatch>>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    let patch = serde_json::from_str(text).map_err(|error| unreadable(column, error))?;
    Ok(Some(Arc::new(patch)))
}

fn data(row: &Row<'_>) -> rusqlite::Result<SessionData> {
    let Some(text) = row.get_ref(23)?.as_str_or_null()? else { return Ok(SessionData::default()) };
    // The error of the parser is discarded: it could show session data in a log.
    serde_json::from_str(text).map_err(|_| unreadable(23, "not session data"))
}

/// Reads the end of a session. A reason that only a newer version defines becomes
/// [`Reason::Unknown`].
fn ended(row: &Row<'_>) -> rusqlite::Result<Option<Ended>> {
    let Some(at) = row.get::<_, Option<i64>>(19)? else { return Ok(None) };
    let reason: Option<String> = row.get(20)?;
    let reason = reason.and_then(|word| Reason::parse(&word)).unwrap_or(Reason::Unknown);
    Ok(Some(Ended {
        at: Timestamp::from_millis(at),
        reason,
        cause: row.get(21)?,
        by: row.get(22)?,
    }))
}

fn parse_with<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    parse(row.get_ref(column)?.as_str()?).ok_or_else(|| unreadable(column, "malformed key or id"))
}

fn parse_column<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T::Err: Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(|text| text.parse().map_err(|error| unreadable(column, error))).transpose()
}

/// Returns `true` if the error concerns one row, which was changed manually or by a newer version.
pub(crate) fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(error, E::FromSqlConversionFailure(..) | E::InvalidColumnType(..))
}

fn unreadable(column: usize, error: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

pub(crate) fn policy_text(patch: Option<&PolicyPatch>) -> rusqlite::Result<Option<String>> {
    patch.map(to_text).transpose().map_err(unwritable)
}

pub(crate) fn data_text(data: &SessionData) -> rusqlite::Result<Option<String>> {
    let text = (!data.is_empty()).then(|| serde_json::to_string(data));
    text.transpose().map_err(unwritable)
}

pub(crate) fn ip(client: &Client) -> Option<String> {
    client.ip.map(|ip| ip.to_string())
}

pub(crate) fn millis(limit: Limit<Duration>) -> Option<i64> {
    limit.at().map(|limit| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX))
}

fn limit(millis: Option<i64>) -> Limit<Duration> {
    let at = |millis| Limit::At(Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
    millis.map_or(Limit::Off, at)
}
