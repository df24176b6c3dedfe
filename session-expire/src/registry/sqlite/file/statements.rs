//! Statements that write session records, rotated keys and closed adoptions.
//!
//! They run within the transaction of the writer, which commits all of them or none.

use rusqlite::{Connection, named_params};

use super::rows::{data_text, ip, millis, policy_text};
use crate::{
    registry::index::write_set::{AdoptionClosing, EntryUpdate, NewEntry},
    session::{data::SessionData, ended::Ended, key::RecordKey, record::SessionRecord},
    time::Timestamp,
};

pub(crate) fn insert(db: &Connection, entry: &NewEntry) -> rusqlite::Result<()> {
    let NewEntry { key, record, data } = entry;
    let mut insert = db.prepare_cached(
        "INSERT INTO sessions (key_hash, id, signing_key, user, logged_in_at, authenticated_at,
             last_seen, ip, device, idle_ms, absolute_ms, login_policy, user_policy, uncounted,
             actor, generation, tombstone_until, data)
         VALUES (:key, :id, :signing_key, :user, :logged_in_at, :authenticated_at, :last_seen, :ip,
             :device, :idle, :absolute, :login_policy, :user_policy, :uncounted, :actor,
             :generation, :tombstone_until, :data)",
    )?;
    insert.execute(named_params! {
        ":key": key.expose(),
        ":id": record.id.as_str(),
        ":signing_key": record.signing_key.expose(),
        ":user": &*record.user,
        ":logged_in_at": record.logged_in_at.as_millis(),
        ":authenticated_at": record.authenticated_at.as_millis(),
        ":last_seen": record.last_seen.as_millis(),
        ":ip": ip(&record.client),
        ":device": &*record.client.device,
        ":idle": millis(record.idle),
        ":absolute": millis(record.absolute),
        ":login_policy": policy_text(record.login_policy.as_deref())?,
        ":user_policy": policy_text(record.user_policy.as_deref())?,
        ":uncounted": record.uncounted,
        ":actor": record.actor.as_deref(),
        ":generation": i64::try_from(record.generation).unwrap_or(i64::MAX),
        ":tombstone_until": record.tombstone_until.map(Timestamp::as_millis),
        ":data": data_text(data)?,
    })?;
    Ok(())
}

/// Writes all columns of an open record that an update or a rotation can change.
pub(crate) fn update(db: &Connection, update: &EntryUpdate) -> rusqlite::Result<()> {
    let EntryUpdate { key, record, data, rotates_to } = update;
    update_record(db, key, record)?;
    update_activity(db, key, record)?;
    if let Some(data) = data {
        update_data(db, key, data)?;
    }
    match rotates_to {
        Some((to, at)) => rotate(db, key, to, *at),
        None => Ok(()),
    }
}

fn update_record(db: &Connection, key: &RecordKey, record: &SessionRecord) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE sessions SET id = :id, signing_key = :signing_key, logged_in_at = :logged_in_at,
             authenticated_at = :authenticated_at, user_policy = :user_policy
         WHERE key_hash = :key AND ended_at IS NULL",
    )?;
    update.execute(named_params! {
        ":key": key.expose(),
        ":id": record.id.as_str(),
        ":signing_key": record.signing_key.expose(),
        ":logged_in_at": record.logged_in_at.as_millis(),
        ":authenticated_at": record.authenticated_at.as_millis(),
        ":user_policy": policy_text(record.user_policy.as_deref())?,
    })?;
    Ok(())
}

pub(crate) fn update_activity(
    db: &Connection,
    key: &RecordKey,
    record: &SessionRecord,
) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE sessions SET last_seen = ?2, last_ip = ?3, last_device = ?4
         WHERE key_hash = ?1 AND ended_at IS NULL",
    )?;
    let client = record.last_client.as_ref();
    update.execute((
        key.expose(),
        record.last_seen.as_millis(),
        client.and_then(ip),
        client.map(|client| &*client.device),
    ))?;
    Ok(())
}

fn update_data(db: &Connection, key: &RecordKey, data: &SessionData) -> rusqlite::Result<()> {
    let sql = "UPDATE sessions SET data = ?2 WHERE key_hash = ?1 AND ended_at IS NULL";
    db.prepare_cached(sql)?.execute((key.expose(), data_text(data)?))?;
    Ok(())
}

/// Renames the key of an open record and inserts a tombstone of the old key. The tombstone stays
/// for a day, or until the `tombstone_until` of the record if that is later.
fn rotate(
    db: &Connection,
    from: &RecordKey,
    to: &RecordKey,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO renewed_keys (key_hash, session, renewed_at, tombstone_until)
         SELECT key_hash, seq, ?2, max(?2 + 86400000, coalesce(tombstone_until, 0))
         FROM sessions WHERE key_hash = ?1 AND ended_at IS NULL",
    )?;
    insert.execute((from.expose(), at.as_millis()))?;
    let sql = "UPDATE sessions SET key_hash = ?2 WHERE key_hash = ?1 AND ended_at IS NULL";
    db.prepare_cached(sql)?.execute((from.expose(), to.expose()))?;
    Ok(())
}

pub(crate) fn end(db: &Connection, key: &RecordKey, ended: &Ended) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE sessions SET ended_at = :at, ended_reason = :reason, ended_cause = :cause,
             ended_by = :by, data = NULL
         WHERE key_hash = :key AND ended_at IS NULL",
    )?;
    update.execute(named_params! {
        ":key": key.expose(),
        ":at": ended.at.as_millis(),
        ":reason": ended.reason.as_str(),
        ":cause": ended.cause.as_deref(),
        ":by": ended.by.as_deref(),
    })?;
    Ok(())
}

/// Ends all open records of all users.
pub(crate) fn end_everyone(db: &Connection, ended: &Ended) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE sessions SET ended_at = ?1, ended_reason = ?2, ended_cause = ?3, ended_by = ?4,
             data = NULL
         WHERE ended_at IS NULL",
        (ended.at.as_millis(), ended.reason.as_str(), ended.cause.as_deref(), ended.by.as_deref()),
    )?;
    Ok(())
}

/// Deletes all records of `user`.
pub(crate) fn erase(db: &Connection, user: &str) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM renewed_keys WHERE session IN (
             SELECT seq FROM sessions WHERE user = ?1 AND in_history = 1
             UNION ALL SELECT seq FROM sessions WHERE user = ?1 AND in_history = 0)",
        [user],
    )?;
    let history = "DELETE FROM sessions WHERE user = ?1 AND in_history = 1";
    let tombstones = "DELETE FROM sessions WHERE user = ?1 AND in_history = 0";
    db.execute(history, [user])?;
    db.execute(tombstones, [user])?;
    Ok(())
}

pub(crate) fn close_adoption(db: &Connection, closing: &AdoptionClosing) -> rusqlite::Result<()> {
    match closing {
        AdoptionClosing::User(user, until) => db.execute(
            "INSERT INTO closed_adoptions (user, until) VALUES (?1, ?2)
             ON CONFLICT (user) DO UPDATE SET until = max(until, excluded.until)",
            (&**user, until.as_millis()),
        ),
        AdoptionClosing::AllUsers => db.execute(
            "INSERT INTO closed_adoptions (user, until) SELECT NULL, NULL
             WHERE NOT EXISTS (SELECT 1 FROM closed_adoptions WHERE user IS NULL)",
            [],
        ),
    }?;
    Ok(())
}

/// Removes the records beyond `limit` from the history of `user`, at most 1,000 per call.
pub(crate) fn prune(db: &Connection, user: &str, limit: u32) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE sessions SET in_history = 0 WHERE seq IN (
             SELECT seq FROM sessions
             WHERE in_history = 1 AND user = ?1 AND ended_at IS NOT NULL
             ORDER BY logged_in_at DESC, id DESC LIMIT 1000 OFFSET ?2)",
    )?;
    update.execute((user, limit))?;
    Ok(())
}

/// Removes the records that ended up to `before` from the history of all users, at most 100 per
/// call. Every login calls it, so it removes records faster than logins add them.
pub(crate) fn prune_before(db: &Connection, before: Timestamp) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE sessions SET in_history = 0 WHERE seq IN (
             SELECT seq FROM sessions WHERE in_history = 1 AND ended_at <= ?1 LIMIT 100)",
    )?;
    update.execute([before.as_millis()])?;
    Ok(())
}

/// Deletes the tombstones, rotated keys and closed adoptions that are due at `now`, at most 100 of
/// each per call.
pub(crate) fn purge(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let now = [now.as_millis()];
    let renewed = "DELETE FROM renewed_keys WHERE key_hash IN (
             SELECT key_hash FROM renewed_keys WHERE tombstone_until <= ?1 LIMIT 100)";
    db.prepare_cached(renewed)?.execute(now)?;
    let sessions = "DELETE FROM sessions WHERE seq IN (
             SELECT seq FROM sessions WHERE in_history = 0
                 AND max(ended_at + 86400000, coalesce(tombstone_until, 0)) <= ?1 LIMIT 100)";
    db.prepare_cached(sessions)?.execute(now)?;
    let closed = "DELETE FROM closed_adoptions WHERE rowid IN (
             SELECT rowid FROM closed_adoptions WHERE until <= ?1 LIMIT 100)";
    db.prepare_cached(closed)?.execute(now)?;
    Ok(())
}
