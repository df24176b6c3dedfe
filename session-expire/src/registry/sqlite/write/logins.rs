//! Logins: reservation, commit and cancellation.

use rusqlite::Row;

use super::Tx;
use crate::{
    registry::sqlite::file::{loads, rows::read_open, schema::user_hash, statements},
    session::{
        ended::Ended,
        key::{PublicId, RecordKey},
        limit::{OpenSession, SessionLimit},
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        record::{SessionRecord, SessionRef},
    },
    time::Timestamp,
};

/// Executes [`Registry::reserve`](crate::registry::Registry::reserve).
pub(crate) fn reserve(
    tx: &mut Tx<'_>,
    reservation: &Reservation,
) -> rusqlite::Result<ReserveOutcome> {
    let Reservation { key, user, at, replaces, limit, .. } = reservation;
    tx.at(*at);
    if tx.committed(key)?.is_some() {
        return Ok(ReserveOutcome::Reserved { generation: tx.head.generations.current });
    }
    if limit.may_refuse() {
        let others = tx.counted_sessions(user, *replaces, *at)?;
        if limit.refuses(&others, tx.reserved_by_others(user, key, *at)?) {
            return Ok(ReserveOutcome::Refused { active: tx.active_records(&others)? });
        }
    }
    statements::reserve(tx.db, reservation)?;
    tx.has_changed = true;
    Ok(ReserveOutcome::Reserved { generation: tx.head.generations.current })
}

/// Executes [`Registry::commit`](crate::registry::Registry::commit).
pub(crate) fn commit(tx: &mut Tx<'_>, login: &NewLogin) -> rusqlite::Result<LoginOutcome> {
    tx.at(login.at);
    if let Some(record) = tx.committed(&login.key)? {
        return Ok(LoginOutcome::Committed { record, ended: vec![] });
    }
    if login.reserved_in.is_some_and(|generation| generation < tx.head.generations.current) {
        return Ok(LoginOutcome::Voided);
    }
    if login.adopted_until.is_some() && tx.is_adoption_closed(&login.user, login.at)? {
        return Ok(LoginOutcome::AdoptionClosed);
    }
    let reserved = tx.reserved_by_others(&login.user, &login.key, login.at)?;
    let others = tx.other_sessions(login, reserved)?;
    let needs_slot = !login.uncounted && !tx.is_reserved(&login.key, login.at)?;
    if needs_slot && login.limit.refuses(&others, reserved) {
        return Ok(LoginOutcome::Refused { active: tx.active_records(&others)? });
    }
    let ended = tx.enforce_limit_of_login(login, others)?;
    let record = tx.insert(login)?;
    tx.prune(&ended)?;
    Ok(LoginOutcome::Committed { record, ended })
}

/// Executes [`Registry::cancel`](crate::registry::Registry::cancel).
pub(crate) fn cancel(tx: &mut Tx<'_>, key: &RecordKey, ended: &Ended) -> rusqlite::Result<()> {
    tx.at(ended.at);
    tx.has_changed |= statements::release(tx.db, key)? > 0;
    let Some(stored) = loads::find_key(tx.db, key)? else { return Ok(()) };
    if tx.head.generations.end_of(stored.record.generation).is_some() {
        return Ok(());
    }
    let ended = tx.end_session(stored, ended)?;
    tx.prune(ended.as_slice())
}

impl Tx<'_> {
    /// Returns the record of a login that was committed before.
    fn committed(&self, key: &RecordKey) -> rusqlite::Result<Option<SessionRecord>> {
        let committed = loads::load(self.db, key, false)?;
        Ok(committed.map(|committed| SessionRecord::clone(&committed.session.record)))
    }

    /// Returns the sessions that compete with `login` for slots. If a slot is free, it returns none
    /// without reading the rows, because a user may have many.
    fn other_sessions(
        &self,
        login: &NewLogin,
        reserved: usize,
    ) -> rusqlite::Result<Vec<OpenSession>> {
        if login.uncounted || self.counted_open(&login.user)? + reserved < login.limit.max() {
            return Ok(vec![]);
        }
        self.counted_sessions(&login.user, login.replaces.map(|(id, _)| id), login.at)
    }

    fn counted_open(&self, user: &str) -> rusqlite::Result<usize> {
        let mut count = self.db.prepare_cached(
            "SELECT count(*) FROM sessions INDEXED BY open_of_user
             WHERE user = ?1 AND ended_at IS NULL AND uncounted = 0 AND generation >= ?2",
        )?;
        count.query_row((user, self.current_generation()), read_count)
    }

    /// Returns the open, counted sessions of `user` except `except`, in the order of their logins.
    pub(super) fn counted_sessions(
        &self,
        user: &str,
        except: Option<PublicId>,
        now: Timestamp,
    ) -> rusqlite::Result<Vec<OpenSession>> {
        // An order by `seq` in SQL would copy all columns, which is twice as slow.
        let mut select = self.db.prepare_cached(
            "SELECT key_hash, logged_in_at, authenticated_at, last_seen, idle_ms, absolute_ms, seq
             FROM sessions INDEXED BY open_of_user
             WHERE user = ?1 AND ended_at IS NULL AND uncounted = 0 AND generation >= ?2
                 AND id IS NOT ?3",
        )?;
        let except = except.as_ref().map(PublicId::as_str);
        let rows = select.query_map((user, self.current_generation(), except), |row| {
            Ok((row.get::<_, i64>(6)?, read_open(row, now)?))
        })?;
        let mut sessions: Vec<_> = rows.collect::<Result<_, _>>()?;
        sessions.sort_unstable_by_key(|(seq, _)| *seq);
        Ok(sessions.into_iter().map(|(_, session)| session).collect())
    }

    /// Returns the active records among `open`, oldest login first. It sorts them, because the
    /// login times may differ from the order in which the logins arrived.
    fn active_records(&self, open: &[OpenSession]) -> rusqlite::Result<Vec<SessionRecord>> {
        let mut records = vec![];
        for session in open.iter().filter(|session| session.expired.is_none()) {
            let stored = loads::find_key(self.db, &session.key)?;
            records.extend(stored.map(|stored| stored.record));
        }
        records.sort_by_key(|record| record.logged_in_at);
        Ok(records)
    }

    /// Returns how many slots of `user` are reserved for other logins than `key`.
    fn reserved_by_others(
        &self,
        user: &str,
        key: &RecordKey,
        now: Timestamp,
    ) -> rusqlite::Result<usize> {
        let mut count = self.db.prepare_cached(
            "SELECT count(*) FROM reservations
             WHERE user_hash = ?1 AND until > ?2 AND key_hash <> ?3",
        )?;
        count.query_row((user_hash(user), now.as_millis(), key.expose()), read_count)
    }

    /// Returns `true` if there is an active reservation for the login with this key.
    fn is_reserved(&self, key: &RecordKey, now: Timestamp) -> rusqlite::Result<bool> {
        let sql = "SELECT 1 FROM reservations WHERE key_hash = ?1 AND until > ?2";
        self.db.prepare_cached(sql)?.exists((key.expose(), now.as_millis()))
    }

    fn is_adoption_closed(&self, user: &str, now: Timestamp) -> rusqlite::Result<bool> {
        if self.head.generations.current > 0 {
            return Ok(true);
        }
        let sql = "SELECT 1 FROM closed_adoptions WHERE user_hash = ?1 AND until > ?2";
        self.db.prepare_cached(sql)?.exists((user_hash(user), now.as_millis()))
    }

    /// Ends the session that the login replaces and those that the limit evicts.
    fn enforce_limit_of_login(
        &mut self,
        login: &NewLogin,
        others: Vec<OpenSession>,
    ) -> rusqlite::Result<Vec<SessionRecord>> {
        let mut ended = vec![];
        if let Some((id, reason)) = login.replaces {
            let session = SessionRef { user: login.user.clone(), id };
            if let Some(stored) = loads::find_open(self.db, &self.head.generations, &session)? {
                ended.extend(self.end_session(stored, &Ended::new(reason, login.at))?);
            }
        }
        ended.extend(self.evict(login.limit, others, &login.eviction())?);
        Ok(ended)
    }

    /// Ends the sessions among `others` that the limit evicts.
    pub(super) fn evict(
        &mut self,
        limit: SessionLimit,
        others: Vec<OpenSession>,
        evicted: &Ended,
    ) -> rusqlite::Result<Vec<SessionRecord>> {
        let mut ended = vec![];
        for session in limit.select_victims(others) {
            let Some(stored) = loads::find_key(self.db, &session.key)? else { continue };
            ended.extend(self.end_session(stored, &session.end(evicted))?);
        }
        Ok(ended)
    }

    fn insert(&mut self, login: &NewLogin) -> rusqlite::Result<SessionRecord> {
        let mut record = SessionRecord::new(login);
        record.generation = self.head.generations.current;
        statements::release(self.db, &login.key)?;
        statements::insert(self.db, &login.key, &record, &login.data)?;
        self.change(&record.user);
        Ok(record)
    }
}

fn read_count(row: &Row<'_>) -> rusqlite::Result<usize> {
    Ok(usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0))
}
