//! Conversion between session records and rows.
//!
//! Rows contain hashes of keys, never a key. A word of a newer version of this crate does not make
//! a row unreadable. The queries and statements of the file use these conversions.

use std::{error::Error, str::FromStr, sync::Arc, time::Duration};

use rusqlite::{Row, types::Type};
use sha2::{Digest, Sha256};

use crate::{
    policy::{
        PolicyPatch, from_stored,
        limit::{Limit, Limits},
        to_text,
    },
    session::{
        client::Client,
        data::SessionData,
        ended::Ended,
        key::{LETTERS, PublicId, RecordKey},
        limit::OpenSession,
        login::stamp::Stamp,
        reason::Reason,
        record::SessionRecord,
        signing_key::SigningKey,
        verdict::{Facts, Verdict, judge_limits},
    },
    time::Timestamp,
};

/// Columns that [`read_record`] expects, in this order.
macro_rules! record_columns {
    () => {
        "key_hash, id, signing_key, user, logged_in_at, authenticated_at, last_seen, ip, device, \
         last_ip, last_device, idle_ms, absolute_ms, login_policy, user_policy, uncounted, actor, \
         generation, tombstone_until, ended_at, ended_reason, ended_cause, ended_by, seq, \
         longest_idle_ms, longest_absolute_ms, remembered, confirmation_attempts, stamp"
    };
}

/// Columns that [`read_row`] expects, in this order.
macro_rules! columns {
    () => {
        concat!(crate::registry::sqlite::file::rows::record_columns!(), ", data")
    };
}

pub(crate) use {columns, record_columns};

/// Number of [`columns`].
pub(crate) const COLUMN_COUNT: usize = 30;

const DATA: usize = 29;

/// Returns the key under which a record is stored: the same partition key, then letters and digits
/// of the SHA-256 of `key`. A stolen file thus contains no key.
pub(crate) fn hashed(key: RecordKey) -> RecordKey {
    let digest = Sha256::digest(key.expose());
    let mut hashed = [0; 30];
    let (partition_key, letters) = hashed.split_at_mut(key.partition_key().len());
    partition_key.copy_from_slice(key.partition_key().as_bytes());
    for (letter, byte) in letters.iter_mut().zip(digest) {
        *letter = LETTERS[usize::from(byte % 62)];
    }
    // 30 letters and digits always parse; the fallback only avoids a panic.
    str::from_utf8(&hashed).ok().and_then(RecordKey::parse).unwrap_or(key)
}

/// Row of the table `sessions`.
pub(crate) struct SessionRow {
    pub(crate) seq: i64,
    pub(crate) key: RecordKey,
    pub(crate) record: SessionRecord,
    pub(crate) data: SessionData,
}

/// Converts a row of [`columns`].
pub(crate) fn read_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let key = parse_with(row, 0, RecordKey::parse)?;
    Ok(SessionRow { seq: row.get(23)?, key, record: read_record(row)?, data: data(row)? })
}

/// Converts a row of [`record_columns`] or [`columns`].
pub(crate) fn read_record(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        id: parse_with(row, 1, PublicId::parse)?,
        signing_key: parse_with(row, 2, SigningKey::parse)?,
        user: row.get(3)?,
        logged_in_at: Timestamp::from_millis(row.get(4)?),
        authenticated_at: Timestamp::from_millis(row.get(5)?),
        last_seen: Timestamp::from_millis(row.get(6)?),
        client: Client { ip: parse_column(row, 7)?, device: row.get(8)? },
        last_client: last_client(row)?.map(Into::into),
        idle: limit(row.get(11)?),
        absolute: limit(row.get(12)?),
        longest_idle: limit(row.get(24)?),
        longest_absolute: limit(row.get(25)?),
        login_policy: policy(row, 13)?,
        user_policy: policy(row, 14)?,
        uncounted: row.get(15)?,
        remembered: row.get(26)?,
        confirmation_attempts: row.get(27)?,
        stamp: row.get::<_, Option<i64>>(28)?.and_then(stamp_from_column),
        actor: row.get(16)?,
        generation: u64::try_from(row.get::<_, i64>(17)?).unwrap_or(0),
        tombstone_until: row.get::<_, Option<i64>>(18)?.map(Timestamp::from_millis),
        ended: ended(row)?,
    })
}

fn last_client(row: &Row<'_>) -> rusqlite::Result<Option<Client>> {
    let Some(device) = row.get::<_, Option<Arc<str>>>(10)? else { return Ok(None) };
    Ok(Some(Client { ip: parse_column(row, 9)?, device }))
}

fn policy(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Arc<PolicyPatch>>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    let patch = from_stored(text).map_err(|error| unreadable(column, error))?;
    Ok(Some(Arc::new(patch)))
}

fn data(row: &Row<'_>) -> rusqlite::Result<SessionData> {
    let Some(text) = row.get_ref(DATA)?.as_str_or_null()? else {
        return Ok(SessionData::default());
    };
    // The error of the parser is discarded: it could show session data in a log.
    serde_json::from_str(text).map_err(|_| unreadable(DATA, "not session data"))
}

fn ended(row: &Row<'_>) -> rusqlite::Result<Option<Ended>> {
    let is_ended = row.get::<_, Option<i64>>(19)?.is_some();
    is_ended.then(|| read_ended(row, 19)).transpose()
}

/// Reads the four columns of an end. A reason that only a newer version defines becomes
/// [`Reason::Unknown`].
pub(crate) fn read_ended(row: &Row<'_>, first: usize) -> rusqlite::Result<Ended> {
    let reason: String = row.get(first + 1)?;
    Ok(Ended {
        at: Timestamp::from_millis(row.get(first)?),
        reason: Reason::parse(&reason).unwrap_or(Reason::Unknown),
        cause: row.get(first + 2)?,
        by: row.get(first + 3)?,
    })
}

/// Reads the part of an open, counted record by which the session limit decides: `key_hash`,
/// `logged_in_at`, `authenticated_at`, `last_seen`, `idle_ms`, `absolute_ms`.
pub(crate) fn read_open(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<OpenSession> {
    let time = |column| row.get(column).map(Timestamp::from_millis);
    let (authenticated_at, last_seen) = (time(2)?, time(3)?);
    let limits = Limits { idle: limit(row.get(4)?), absolute: limit(row.get(5)?) };
    let facts = Facts::Login { authenticated_at, last_seen, ended: None };
    let expired = match judge_limits(&facts, limits, now) {
        Verdict::Expired(reason) => Some(reason),
        Verdict::Active(_) | Verdict::Anonymous => None,
    };
    let key = parse_with(row, 0, RecordKey::parse)?;
    Ok(OpenSession { key, logged_in_at: time(1)?, last_seen, expired })
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

/// Returns the bits of the stamp as a signed number, because SQLite has no unsigned integers.
pub(crate) fn stamp_column(record: &SessionRecord) -> Option<i64> {
    record.stamp.map(|stamp| stamp.to_number().cast_signed())
}

fn stamp_from_column(number: i64) -> Option<Stamp> {
    Stamp::from_number(number.cast_unsigned())
}

pub(crate) fn millis(limit: Limit<Duration>) -> Option<i64> {
    limit.at().map(|limit| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX))
}

fn limit(millis: Option<i64>) -> Limit<Duration> {
    let at = |millis| Limit::At(Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
    millis.map_or(Limit::Off, at)
}
