//! Slots of the session limit, and uncounted sessions.
//!
//! A login reads them before it changes the file.

use rusqlite::Row;

use super::Tx;
use crate::{
    registry::sqlite::file::{loads, rows::read_open, schema::user_hash},
    session::{
        key::{PublicId, RecordKey},
        limit::{OpenSession, SessionLimit},
        login::{NewLogin, Reservation},
        record::{SessionRecord, SessionRef},
    },
    time::Timestamp,
};

impl Tx<'_> {
    /// Returns the active sessions of the user if the reservation is refused.
    pub(super) fn refuses_reservation(
        &self,
        reservation: &Reservation,
    ) -> rusqlite::Result<Option<Vec<SessionRecord>>> {
        let Reservation { key, user, at, replaces, limit, uncounted, .. } = reservation;
        if *uncounted {
            return self.refuses_uncounted(user, &[*replaces], *at);
        }
        if !limit.may_refuse() {
            return Ok(None);
        }
        let others = self.others_of_kind(user, false, &[*replaces], *at)?;
        let is_refused = limit.refuses(&others, self.reserved_by_others(user, key, *at)?);
        is_refused.then(|| self.active_records(&others)).transpose()
    }

    /// Returns the active sessions of the user if the login is refused.
    pub(super) fn refuses_login(
        &self,
        login: &NewLogin,
        others: &[OpenSession],
    ) -> rusqlite::Result<Option<Vec<SessionRecord>>> {
        if login.uncounted {
            return self.refuses_uncounted(&login.user, &login.ended_by_choice(), login.at);
        }
        let reserved = self.reserved_by_others(&login.user, &login.key, login.at)?;
        let is_refused =
            login.limit.refuses(others, reserved) && !self.is_reserved(&login.key, login.at)?;
        is_refused.then(|| self.active_records(others)).transpose()
    }

    /// Returns the active uncounted sessions of `user` except those in `except`, if there are as
    /// many as allowed.
    fn refuses_uncounted(
        &self,
        user: &str,
        except: &[Option<PublicId>],
        now: Timestamp,
    ) -> rusqlite::Result<Option<Vec<SessionRecord>>> {
        if self.count_open(user, true)? < SessionLimit::MAX_UNCOUNTED {
            return Ok(None);
        }
        let mut active = self.others_of_kind(user, true, except, now)?;
        active.retain(|session| session.expired.is_none());
        let is_refused = active.len() >= SessionLimit::MAX_UNCOUNTED;
        is_refused.then(|| self.active_records(&active)).transpose()
    }

    /// Returns the expired uncounted sessions, if as many uncounted sessions are open as may be
    /// active.
    pub(super) fn expired_uncounted(&self, login: &NewLogin) -> rusqlite::Result<Vec<OpenSession>> {
        if self.count_open(&login.user, true)? < SessionLimit::MAX_UNCOUNTED {
            return Ok(vec![]);
        }
        let mut expired = self.open_of_kind(&login.user, true, login.at)?;
        expired.retain(|session| session.expired.is_some());
        Ok(expired)
    }

    /// Returns the sessions that compete with `login` for slots. If a slot is free, it returns none
    /// without reading the rows, because a user may have many.
    pub(super) fn other_sessions(&self, login: &NewLogin) -> rusqlite::Result<Vec<OpenSession>> {
        if login.uncounted {
            return Ok(vec![]);
        }
        let reserved = self.reserved_by_others(&login.user, &login.key, login.at)?;
        if self.count_open(&login.user, false)? + reserved < login.limit.max() {
            return Ok(vec![]);
        }
        self.others_of_kind(&login.user, false, &login.ended_by_choice(), login.at)
    }

    /// Returns the number of open sessions of `user`, either counted or uncounted.
    fn count_open(&self, user: &str, uncounted: bool) -> rusqlite::Result<usize> {
        let mut count = self.db.prepare_cached(
            "SELECT count(*) FROM sessions INDEXED BY open_of_user
             WHERE user = ?1 AND ended_at IS NULL AND uncounted = ?2 AND generation >= ?3",
        )?;
        count.query_row((user, uncounted, self.current_generation()), read_count)
    }

    /// Returns the open sessions of `user` that are counted, or those that are `uncounted`, except
    /// those in `except`, in the order of their logins.
    pub(super) fn others_of_kind(
        &self,
        user: &str,
        uncounted: bool,
        except: &[Option<PublicId>],
        now: Timestamp,
    ) -> rusqlite::Result<Vec<OpenSession>> {
        let mut sessions = self.open_of_kind(user, uncounted, now)?;
        for id in except.iter().flatten() {
            let session = SessionRef { user: user.into(), id: *id };
            if let Some(stored) = loads::find_open(self.db, &self.head.generations, &session)? {
                sessions.retain(|other| other.key != stored.key);
            }
        }
        Ok(sessions)
    }

    /// Returns the open sessions of `user`, either counted or uncounted, in the order of their
    /// logins.
    fn open_of_kind(
        &self,
        user: &str,
        uncounted: bool,
        now: Timestamp,
    ) -> rusqlite::Result<Vec<OpenSession>> {
        // `ORDER BY seq` would copy all columns, which takes twice as long.
        let mut select = self.db.prepare_cached(
            "SELECT key_hash, logged_in_at, authenticated_at, last_seen, idle_ms, absolute_ms, seq
             FROM sessions INDEXED BY open_of_user
             WHERE user = ?1 AND ended_at IS NULL AND uncounted = ?2 AND generation >= ?3",
        )?;
        let rows = select.query_map((user, uncounted, self.current_generation()), |row| {
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

    /// Returns the number of slots of `user` that are reserved for logins other than `key`.
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
}

fn read_count(row: &Row<'_>) -> rusqlite::Result<usize> {
    Ok(usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0))
}
