//! Changes of existing sessions: updates, rotations, ends and erasure.

use std::time::Duration;

use super::Tx;
use crate::{
    registry::{
        end::{EndSessions, EndTarget},
        rotation::{KeyRotation, RotationOutcome},
        sqlite::file::{
            loads,
            rows::SessionRow,
            schema::user_hash,
            statements::{self, RowUpdate},
        },
    },
    session::{
        data::SessionData,
        ended::Ended,
        key::PublicId,
        limit::SessionLimit,
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
    time::Timestamp,
};

/// Executes [`Registry::update`](crate::registry::Registry::update).
pub(crate) fn update(
    tx: &mut Tx<'_>,
    session: &SessionRef,
    update: &SessionUpdate,
) -> rusqlite::Result<UpdateOutcome> {
    tx.at(update.now);
    let Some(stored) = tx.find_open(session)? else { return Ok(UpdateOutcome::Ended) };
    let Some((record, data)) = updated(&stored, update) else {
        return Ok(UpdateOutcome::TooLarge);
    };
    tx.write(&stored, &record, data.as_ref())?;
    Ok(UpdateOutcome::Updated)
}

/// Returns `true` if the update only records activity. A crash that loses it can only end the
/// session early. An update that sets `remembered` must not be lost: the session would be fresh.
pub(crate) fn is_activity(update: &SessionUpdate) -> bool {
    let SessionUpdate {
        now: _,
        active_at,
        client: _,
        longest: _,
        user_policy,
        signing_key,
        data,
        remembered,
        stamp,
    } = update;
    let has_others = *remembered
        || stamp.is_some()
        || user_policy.is_some()
        || signing_key.is_some()
        || !data.is_empty();
    active_at.is_some() && !has_others
}

/// Starts to correct times that are ahead of `now`, if there may be any.
pub(crate) fn correct_times(tx: &mut Tx<'_>, now: Timestamp) {
    tx.at(now);
    if now.plus(MAX_SKEW) < tx.head.latest_at {
        (tx.head.correct_to, tx.head.latest_at) = (Some(now), now);
        tx.has_changed = true;
    }
}

/// Maximum difference of times that two threads read at the same moment.
const MAX_SKEW: Duration = Duration::from_secs(1);

/// Executes [`Registry::rotate`](crate::registry::Registry::rotate).
pub(crate) fn rotate(tx: &mut Tx<'_>, rotation: &KeyRotation) -> rusqlite::Result<RotationOutcome> {
    let now = rotation.update.now;
    tx.at(now);
    let Some(stored) = tx.find_open(&rotation.session)? else {
        return Ok(RotationOutcome::Ended);
    };
    let Some((mut record, data)) = updated(&stored, &rotation.update) else {
        return Ok(RotationOutcome::TooLarge);
    };
    if stored.key != rotation.from {
        tx.write(&stored, &record, data.as_ref())?;
        return Ok(RotationOutcome::Lost);
    }
    record.rotate_key(rotation.reauthenticated_as, now);
    statements::rotate(tx.db, stored.seq, rotation, &record.id)?;
    statements::delete_surplus_tombstones(tx.db, &record.user)?;
    tx.write(&stored, &record, data.as_ref())?;
    tx.change(&record.user);
    Ok(RotationOutcome::Rotated)
}

/// Executes
/// [`Registry::count_confirmation_attempt`](crate::registry::Registry::count_confirmation_attempt).
pub(crate) fn count_confirmation_attempt(
    tx: &mut Tx<'_>,
    session: &SessionRef,
    ended: &Ended,
) -> rusqlite::Result<Option<SessionRecord>> {
    tx.at(ended.at);
    let Some(stored) = tx.find_open(session)? else { return Ok(None) };
    let mut record = stored.record.clone();
    record.count_confirmation_attempt(ended.clone());
    let open = SessionRecord { ended: None, ..record.clone() };
    tx.write(&stored, &open, None)?;
    if let Some(ended) = &record.ended {
        tx.end_sessions(vec![stored.seq], ended)?;
    }
    Ok(Some(record))
}

/// Returns the record and its data after `update`; the data is `None` if it does not change. `None`
/// if the data would exceed its maximum size.
fn updated(
    stored: &SessionRow,
    update: &SessionUpdate,
) -> Option<(SessionRecord, Option<SessionData>)> {
    let mut record = stored.record.clone();
    record.update(update);
    let mut data = stored.data.clone();
    data.apply(&update.data).ok()?;
    Some((record, (data != stored.data).then_some(data)))
}

/// Executes [`Registry::end`](crate::registry::Registry::end).
pub(crate) fn end(tx: &mut Tx<'_>, end: &EndSessions) -> rusqlite::Result<Vec<SessionRecord>> {
    tx.at(end.ended.at);
    let user = end.target.user();
    let sessions = match &end.target {
        EndTarget::Session(session) => {
            tx.find_open(session)?.map(|stored| stored.seq).into_iter().collect()
        }
        EndTarget::Others(session) => match tx.find_open(session)? {
            Some(kept) => tx.open_sessions(user, Some(kept.record.id))?,
            None => return Ok(vec![]),
        },
        EndTarget::All(_) => tx.open_sessions(user, None)?,
    };
    if let Some(until) = end.close_adoption_until {
        statements::close_adoption(tx.db, &user_hash(user), until.as_millis())?;
        tx.has_changed = true;
    }
    if end.target.voids_tickets() {
        tx.has_changed |= statements::void_tickets(tx.db, user)? > 0;
    }
    tx.end_sessions(sessions, &end.ended)
}

/// Executes [`Registry::enforce_limit`](crate::registry::Registry::enforce_limit).
pub(crate) fn enforce_limit(
    tx: &mut Tx<'_>,
    session: &SessionRef,
    limit: SessionLimit,
    evicted: &Ended,
) -> rusqlite::Result<Vec<SessionRecord>> {
    tx.at(evicted.at);
    match tx.find_open(session)? {
        Some(kept) if !kept.record.uncounted => {}
        _ => return Ok(vec![]),
    }
    let others = tx.others_of_kind(&session.user, false, &[Some(session.id)], evicted.at)?;
    let ended = tx.evict(limit, others, evicted)?;
    tx.prune(&ended)?;
    Ok(ended)
}

/// Executes [`Registry::end_everyone`](crate::registry::Registry::end_everyone). The cost does not
/// depend on the number of sessions, except for counting them.
pub(crate) fn end_everyone(tx: &mut Tx<'_>, ended: &Ended) -> rusqlite::Result<u64> {
    tx.at(ended.at);
    let sql = "SELECT count(*) FROM sessions INDEXED BY open_by_check
               WHERE ended_at IS NULL AND generation >= ?1";
    let count: i64 = tx.db.query_row(sql, [tx.current_generation()], |row| row.get(0))?;
    tx.db.execute("DELETE FROM reservations", [])?;
    tx.db.execute("DELETE FROM tickets", [])?;
    tx.head.generations.end_current(tx.db, ended)?;
    tx.has_changed = true;
    tx.changes.all = true;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Executes [`Registry::erase`](crate::registry::Registry::erase).
///
/// Adoption is closed for the user, because the tombstones of adopted sessions are deleted:
/// otherwise a cookie could be adopted a second time.
pub(crate) fn erase(tx: &mut Tx<'_>, user: &str) -> rusqlite::Result<u64> {
    let sql = "SELECT max(tombstone_until) FROM sessions WHERE user = ?1 AND";
    for part in statements::PARTS {
        let adopted_until: Option<i64> =
            tx.db.query_row(&format!("{sql} {part}"), [user], |row| row.get(0))?;
        if let Some(until) = adopted_until {
            statements::close_adoption(tx.db, &user_hash(user), until)?;
        }
    }
    let count = statements::erase(tx.db, user)?;
    statements::report_user(tx.db, user)?;
    tx.change(user);
    Ok(count)
}

impl Tx<'_> {
    fn find_open(&self, session: &SessionRef) -> rusqlite::Result<Option<SessionRow>> {
        loads::find_open(self.db, &self.head.generations, session)
    }

    /// Returns the numbers of the open sessions of `user`, in the order of their logins.
    fn open_sessions(&self, user: &str, except: Option<PublicId>) -> rusqlite::Result<Vec<i64>> {
        let mut select = self.db.prepare_cached(
            "SELECT seq FROM sessions INDEXED BY open_of_user
             WHERE user = ?1 AND ended_at IS NULL AND generation >= ?2 AND id IS NOT ?3
             ORDER BY seq",
        )?;
        let except = except.as_ref().map(PublicId::as_str);
        let rows = select.query_map((user, self.current_generation(), except), |row| row.get(0))?;
        rows.collect()
    }

    /// Writes a changed record.
    fn write(
        &mut self,
        stored: &SessionRow,
        record: &SessionRecord,
        data: Option<&SessionData>,
    ) -> rusqlite::Result<()> {
        if *record == stored.record && data.is_none() {
            return Ok(());
        }
        self.change(&record.user);
        statements::update(
            self.db,
            &RowUpdate { seq: stored.seq, before: &stored.record, record, data },
        )
    }
}
