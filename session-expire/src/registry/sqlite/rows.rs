//! Records as rows, and rows as records.

use std::{error::Error, str::FromStr, sync::Arc, time::Duration};

use rusqlite::{Connection, Row, named_params, types::Type};
use sha2::{Digest, Sha256};

use crate::{
    facts::Reason,
    limit::{Limit, Limits},
    policy::PolicyPatch,
    registry::{
        key::{PublicId, RecordKey, SigningKey},
        record::{Client, Ended, SessionRecord},
    },
    time::Timestamp,
};

/// What [`read`] reads.
pub(super) const COLUMNS: &str = "key_hash, id, seal, user, logged_in_at, last_seen, ip, device, \
     idle_ms, absolute_ms, choice, patch, ended_at, ended_reason, ended_by";

/// The name under which a key is stored: its shared letters, then letters from its SHA-256. Whoever
/// steals the file cannot get the key from it, and thus no session.
pub(super) fn hashed(key: RecordKey) -> RecordKey {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digest = Sha256::digest(key.expose());
    let letters = digest.iter().take(22).map(|byte| char::from(LETTERS[usize::from(byte % 62)]));
    let name: String = key.tag().chars().chain(letters).collect();
    // 4 + 22 letters are always a key; the fallback only spares a panic.
    RecordKey::parse(&name).unwrap_or(key)
}

fn millis(limit: Limit<Duration>) -> Option<i64> {
    limit.at().map(|limit| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX))
}

fn limit(millis: Option<i64>) -> Limit<Duration> {
    let at = |millis| Limit::At(Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
    millis.map_or(Limit::Off, at)
}

pub(super) fn insert(
    db: &Connection,
    key: &RecordKey,
    record: &SessionRecord,
    [choice, patch]: &[Option<String>; 2],
) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO logins (key_hash, id, seal, user, logged_in_at, last_seen, ip, device, idle_ms, absolute_ms, choice, patch)
         VALUES (:key, :id, :seal, :user, :at, :seen, :ip, :device, :idle, :absolute, :choice, :patch)",
    )?;
    insert.execute(named_params! {
        ":key": key.expose(),
        ":id": record.id.as_str(),
        ":seal": record.seal.expose(),
        ":user": &*record.user,
        ":at": record.logged_in_at.as_millis(),
        ":seen": record.last_seen.as_millis(),
        ":ip": record.client.ip.map(|ip| ip.to_string()),
        ":device": &*record.client.device,
        ":idle": millis(record.limits.idle),
        ":absolute": millis(record.limits.absolute),
        ":choice": choice,
        ":patch": patch,
    })?;
    Ok(())
}

pub(super) fn end(
    db: &Connection,
    key: &RecordKey,
    last_seen: Timestamp,
    ended: &Ended,
) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE logins SET ended_at = :at, ended_reason = :reason, ended_by = :by, last_seen = :seen
         WHERE key_hash = :key AND ended_at IS NULL",
    )?;
    update.execute(named_params! {
        ":key": key.expose(),
        ":at": ended.at.as_millis(),
        ":reason": ended.reason.as_str(),
        ":by": ended.by.as_deref(),
        ":seen": last_seen.as_millis(),
    })?;
    Ok(())
}

/// Writes all that [`SessionRecord::touch`] may have changed.
pub(super) fn update(
    db: &Connection,
    key: &RecordKey,
    record: &SessionRecord,
    patch: Option<&str>,
) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE logins SET logged_in_at = :at, last_seen = :seen, patch = :patch
         WHERE key_hash = :key AND ended_at IS NULL",
    )?;
    update.execute(named_params! {
        ":key": key.expose(),
        ":at": record.logged_in_at.as_millis(),
        ":seen": record.last_seen.as_millis(),
        ":patch": patch,
    })?;
    Ok(())
}

pub(super) fn see(db: &Connection, key: &RecordKey, last_seen: Timestamp) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE logins SET last_seen = ?2 WHERE key_hash = ?1 AND ended_at IS NULL",
    )?;
    update.execute((key.expose(), last_seen.as_millis()))?;
    Ok(())
}

/// Takes what exceeds `limit` out of the log of `user`: at most 1,000 rows at once.
pub(super) fn trim(db: &Connection, user: &str, limit: u32) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE logins SET in_log = 0 WHERE seq IN (
             SELECT seq FROM logins WHERE in_log = 1 AND user = ?1 AND ended_at IS NOT NULL
             ORDER BY logged_in_at DESC, id DESC LIMIT 1000 OFFSET ?2)",
    )?;
    update.execute((user, limit))?;
    Ok(())
}

/// Deletes what was trimmed and ended before `before`: at most 100 rows at once, more than one login
/// can add for long.
pub(super) fn forget(db: &Connection, before: Timestamp) -> rusqlite::Result<()> {
    let mut delete = db.prepare_cached(
        "DELETE FROM logins WHERE seq IN (
             SELECT seq FROM logins WHERE in_log = 0 AND ended_at <= ?1 ORDER BY ended_at LIMIT 100)",
    )?;
    delete.execute([before.as_millis()])?;
    Ok(())
}

/// The record of a row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<(RecordKey, SessionRecord)> {
    let key = word(row, 0, RecordKey::parse)?;
    let record = SessionRecord {
        id: word(row, 1, PublicId::parse)?,
        seal: word(row, 2, SigningKey::parse)?,
        user: row.get(3)?,
        logged_in_at: Timestamp::from_millis(row.get(4)?),
        last_seen: Timestamp::from_millis(row.get(5)?),
        client: Client { ip: parsed(row, 6)?, device: row.get(7)? },
        limits: Limits { idle: limit(row.get(8)?), absolute: limit(row.get(9)?) },
        choice: patch(row, 10)?,
        patch: patch(row, 11)?,
        ended: ended(row)?,
    };
    Ok((key, record))
}

fn patch(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Arc<PolicyPatch>>> {
    let Some(text) = row.get::<_, Option<String>>(column)? else { return Ok(None) };
    let patch = serde_json::from_str(&text).map_err(|error| unreadable(column, error))?;
    Ok(Some(Arc::new(patch)))
}

fn ended(row: &Row<'_>) -> rusqlite::Result<Option<Ended>> {
    let Some(at) = row.get::<_, Option<i64>>(12)? else { return Ok(None) };
    let reason = parsed(row, 13)?.unwrap_or(Reason::Unknown);
    Ok(Some(Ended { at: Timestamp::from_millis(at), reason, by: row.get(14)? }))
}

fn word<T>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    parse(&row.get::<_, String>(column)?)
        .ok_or_else(|| unreadable(column, "not a name of letters and digits"))
}

fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T::Err: Error + Send + Sync + 'static,
{
    let text = row.get::<_, Option<String>>(column)?;
    text.map(|text| text.parse().map_err(|error| unreadable(column, error))).transpose()
}

fn unreadable(column: usize, error: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
