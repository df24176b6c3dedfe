//! Statements that write session records, reservations and closed adoptions.
//!
//! They run within the transaction of the writer, which commits all of them or none.

use rusqlite::{Connection, named_params};

use super::{
    rows::{data_text, ip, millis, policy_text, stamp_column},
    schema::user_hash,
};
use crate::{
    registry::rotation::KeyRotation,
    session::{
        data::SessionData,
        ended::Ended,
        key::{PublicId, RecordKey, partition_key},
        login::Reservation,
        login::ticket::LoginTicket,
        reason::Reason,
        record::SessionRecord,
    },
    time::Timestamp,
};

/// Conditions of the partial indexes by user. Together they cover every row.
pub(crate) const PARTS: [&str; 3] =
    ["ended_at IS NULL", "in_history = 1 AND ended_at IS NOT NULL", "in_history = 0"];

pub(crate) fn insert(
    db: &Connection,
    key: &RecordKey,
    record: &SessionRecord,
    data: &SessionData,
) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO sessions (key_hash, id, signing_key, user, logged_in_at, authenticated_at,
             last_seen, ip, device, idle_ms, absolute_ms, longest_idle_ms, longest_absolute_ms,
             check_at, login_policy, user_policy, uncounted, remembered, confirmation_attempts,
             stamp, actor, generation, tombstone_until, data)
         VALUES (:key, :id, :signing_key, :user, :logged_in_at, :authenticated_at, :last_seen, :ip,
             :device, :idle, :absolute, :longest_idle, :longest_absolute, :check_at, :login_policy,
             :user_policy, :uncounted, :remembered, :confirmation_attempts, :stamp, :actor,
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
        ":longest_idle": millis(record.longest_idle),
        ":longest_absolute": millis(record.longest_absolute),
        ":check_at": record.leaves_at().as_millis(),
        ":login_policy": policy_text(record.login_policy.as_deref())?,
        ":user_policy": policy_text(record.user_policy.as_deref())?,
        ":uncounted": record.uncounted,
        ":remembered": record.remembered,
        ":confirmation_attempts": record.confirmation_attempts,
        ":stamp": stamp_column(record),
        ":actor": record.actor.as_deref(),
        ":generation": i64::try_from(record.generation).unwrap_or(i64::MAX),
        ":tombstone_until": record.tombstone_until.map(Timestamp::as_millis),
        ":data": data_text(data)?,
    })?;
    Ok(())
}

/// New state of an open record.
pub(crate) struct RowUpdate<'a> {
    pub(crate) seq: i64,
    pub(crate) before: &'a SessionRecord,
    pub(crate) record: &'a SessionRecord,
    /// New data; `None` if it does not change.
    pub(crate) data: Option<&'a SessionData>,
}

/// Writes the columns that an update changes. Most updates only change the activity, which is in no
/// index.
pub(crate) fn update(db: &Connection, update: &RowUpdate<'_>) -> rusqlite::Result<()> {
    let RowUpdate { seq, before, record, data } = *update;
    let is_same_but_active = SessionRecord {
        last_seen: before.last_seen,
        last_client: before.last_client.clone(),
        ..record.clone()
    } == *before;
    if !is_same_but_active || record.last_seen < before.last_seen {
        update_record(db, seq, record)?;
    }
    update_activity(db, seq, record)?;
    if let Some(data) = data {
        let sql = "UPDATE sessions SET data = ?2 WHERE seq = ?1";
        db.prepare_cached(sql)?.execute((seq, data_text(data)?))?;
    }
    Ok(())
}

fn update_record(db: &Connection, seq: i64, record: &SessionRecord) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE sessions SET id = :id, signing_key = :signing_key, logged_in_at = :logged_in_at,
             authenticated_at = :authenticated_at, longest_idle_ms = :longest_idle,
             longest_absolute_ms = :longest_absolute, check_at = min(check_at, :leaves_at),
             user_policy = :user_policy, remembered = :remembered,
             confirmation_attempts = :confirmation_attempts, stamp = :stamp,
             tombstone_until = :tombstone_until
         WHERE seq = :seq",
    )?;
    update.execute(named_params! {
        ":seq": seq,
        ":id": record.id.as_str(),
        ":signing_key": record.signing_key.expose(),
        ":logged_in_at": record.logged_in_at.as_millis(),
        ":authenticated_at": record.authenticated_at.as_millis(),
        ":longest_idle": millis(record.longest_idle),
        ":longest_absolute": millis(record.longest_absolute),
        ":leaves_at": record.leaves_at().as_millis(),
        ":user_policy": policy_text(record.user_policy.as_deref())?,
        ":remembered": record.remembered,
        ":confirmation_attempts": record.confirmation_attempts,
        ":stamp": stamp_column(record),
        ":tombstone_until": record.tombstone_until.map(Timestamp::as_millis),
    })?;
    Ok(())
}

fn update_activity(db: &Connection, seq: i64, record: &SessionRecord) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE sessions SET last_seen = ?2, last_ip = ?3, last_device = ?4 WHERE seq = ?1",
    )?;
    let client = record.last_client.as_ref();
    update.execute((
        seq,
        record.last_seen.as_millis(),
        client.and_then(|client| ip(client)),
        client.map(|client| &*client.device),
    ))?;
    Ok(())
}

/// Sets the time of the next check whether an open session is due to end.
pub(crate) fn check_again(db: &Connection, seq: i64, at: Timestamp) -> rusqlite::Result<()> {
    let sql = "UPDATE sessions SET check_at = ?2 WHERE seq = ?1";
    db.prepare_cached(sql)?.execute((seq, at.as_millis()))?;
    Ok(())
}

/// Renames the key of an open record. Its previous state stays under the old key as a tombstone,
/// with the public id that the session has after the rotation.
pub(crate) fn rotate(
    db: &Connection,
    seq: i64,
    rotation: &KeyRotation,
    id: &PublicId,
) -> rusqlite::Result<()> {
    let (from, to, at) = (&rotation.from, &rotation.to, rotation.update.now);
    let sql = "UPDATE sessions SET key_hash = ?2 WHERE seq = ?1";
    db.prepare_cached(sql)?.execute((seq, to.expose()))?;
    let mut insert = db.prepare_cached(
        "INSERT INTO sessions (key_hash, id, signing_key, user, logged_in_at, authenticated_at,
             last_seen, ip, device, last_ip, last_device, idle_ms, absolute_ms, longest_idle_ms,
             longest_absolute_ms, login_policy, user_policy, uncounted, remembered,
             confirmation_attempts, stamp, actor, generation, tombstone_until, ended_at,
             ended_reason, in_history)
         SELECT ?2, ?5, signing_key, user, logged_in_at, authenticated_at,
             last_seen, ip, device, last_ip, last_device, idle_ms, absolute_ms, longest_idle_ms,
             longest_absolute_ms, login_policy, user_policy, uncounted, remembered,
             confirmation_attempts, stamp, actor, generation, tombstone_until, ?3, ?4, 0
         FROM sessions WHERE seq = ?1",
    )?;
    let (at, reason) = (at.as_millis(), Reason::Renewed.as_str());
    insert.execute((seq, from.expose(), at, reason, id.as_str()))?;
    Ok(())
}

pub(crate) fn end(db: &Connection, seq: i64, ended: &Ended) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE sessions SET ended_at = :at, ended_reason = :reason, ended_cause = :cause,
             ended_by = :by, data = NULL
         WHERE seq = :seq",
    )?;
    update.execute(named_params! {
        ":seq": seq,
        ":at": ended.at.as_millis(),
        ":reason": ended.reason.as_str(),
        ":cause": ended.cause.as_deref(),
        ":by": ended.by.as_deref(),
    })?;
    Ok(())
}

pub(crate) fn reserve(db: &Connection, reservation: &Reservation) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO reservations (key_hash, user_hash, until)
               VALUES (?1, ?2, ?3)";
    let Reservation { key, user, until, .. } = reservation;
    db.prepare_cached(sql)?.execute((key.expose(), user_hash(user), until.as_millis()))?;
    Ok(())
}

/// Deletes the reservation of a login, and returns the number of deleted rows.
pub(crate) fn release(db: &Connection, key: &RecordKey) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM reservations WHERE key_hash = ?1";
    db.prepare_cached(sql)?.execute([key.expose()])
}

/// Adds a ticket. Deletes the tickets of its user that expire first if there are too many.
pub(crate) fn add_ticket(db: &Connection, ticket: &LoginTicket) -> rusqlite::Result<()> {
    let (user_hash, until) = (user_hash(&ticket.user), ticket.until.as_millis());
    let mut delete = db.prepare_cached(
        "DELETE FROM tickets WHERE key_hash IN (
             SELECT key_hash FROM tickets WHERE user_hash = ?1 AND key_hash <> ?3
             ORDER BY until DESC LIMIT -1 OFFSET ?2)",
    )?;
    let rest = i64::try_from(LoginTicket::MAX_PER_USER - 1).unwrap_or(0);
    delete.execute((&user_hash, rest, ticket.key.expose()))?;
    let sql = "INSERT OR REPLACE INTO tickets (key_hash, user_hash, until) VALUES (?1, ?2, ?3)";
    db.prepare_cached(sql)?.execute((ticket.key.expose(), user_hash, until))?;
    Ok(())
}

/// Deletes a ticket.
pub(crate) fn spend_ticket(db: &Connection, key: &RecordKey) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM tickets WHERE key_hash = ?1")?.execute([key.expose()])?;
    Ok(())
}

/// Deletes the tickets of `user`, and returns their number.
pub(crate) fn void_tickets(db: &Connection, user: &str) -> rusqlite::Result<usize> {
    db.prepare_cached("DELETE FROM tickets WHERE user_hash = ?1")?.execute([user_hash(user)])
}

/// Deletes all rows of `user`, and returns the number of its records. The tombstone of a rotated
/// key does not count.
pub(crate) fn erase(db: &Connection, user: &str) -> rusqlite::Result<u64> {
    db.execute("DELETE FROM reservations WHERE user_hash = ?1", [user_hash(user)])?;
    void_tickets(db, user)?;
    let mut count = 0;
    for part in PARTS {
        let condition = format!("user = ?1 AND {part}");
        let rotated =
            format!("DELETE FROM sessions WHERE {condition} AND ended_reason = 'renewed'");
        db.execute(&rotated, [user])?;
        count += db.execute(&format!("DELETE FROM sessions WHERE {condition}"), [user])?;
    }
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Adds a change of all sessions of `user`, and removes their public ids from the changes.
pub(crate) fn report_user(db: &Connection, user: &str) -> rusqlite::Result<()> {
    let key = partition_key(user);
    db.execute("INSERT INTO changes (partition_key) VALUES (?1)", [&key])?;
    db.execute("UPDATE changes SET id = NULL WHERE partition_key = ?1", [&key])?;
    Ok(())
}

/// Closes adoption for a user until a time in milliseconds.
pub(crate) fn close_adoption(db: &Connection, user_hash: &str, until: i64) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO closed_adoptions (user_hash, until) VALUES (?1, ?2)
         ON CONFLICT (user_hash) DO UPDATE SET until = max(until, excluded.until)",
        (user_hash, until),
    )?;
    Ok(())
}

/// Removes the records beyond `limit` from the history of `user`, at most 1,000 per call. Returns
/// their number.
pub(crate) fn prune(db: &Connection, user: &str, limit: u32) -> rusqlite::Result<usize> {
    let mut update = db.prepare_cached(
        "UPDATE sessions SET in_history = 0 WHERE seq IN (
             SELECT seq FROM sessions INDEXED BY history_of_user
             WHERE in_history = 1 AND user = ?1 AND ended_at IS NOT NULL
             ORDER BY logged_in_at DESC, id DESC LIMIT 1000 OFFSET ?2)",
    )?;
    update.execute((user, limit))
}

/// Deletes the oldest tombstones of `user` beyond [`MAX_TOMBSTONES`]. Those of adopted sessions
/// stay: without one, an old cookie could be adopted a second time.
pub(crate) fn delete_surplus_tombstones(db: &Connection, user: &str) -> rusqlite::Result<()> {
    let mut delete = db.prepare_cached(
        "DELETE FROM sessions WHERE tombstone_until IS NULL AND seq IN (
             SELECT seq FROM sessions INDEXED BY tombstones_of_user
             WHERE in_history = 0 AND user = ?1
             ORDER BY ended_at DESC LIMIT 1000 OFFSET ?2)",
    )?;
    delete.execute((user, MAX_TOMBSTONES))?;
    Ok(())
}

/// Maximum number of tombstones per user. Without it, repeated sign-ins and
/// sign-outs of one user could fill the disk.
const MAX_TOMBSTONES: u32 = 1_000;
