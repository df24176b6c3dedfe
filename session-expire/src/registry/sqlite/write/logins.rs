//! Logins: reservation, commit and cancellation.

use super::Tx;
use crate::{
    registry::sqlite::file::{loads, schema::user_hash, statements},
    session::{
        ended::Ended,
        key::RecordKey,
        limit::{OpenSession, SessionLimit},
        login::ticket::LoginTicket,
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
    tx.at(reservation.at);
    let reserved = ReserveOutcome::Reserved { generation: tx.head.generations.current };
    if tx.committed(&reservation.key)?.is_some() {
        return Ok(reserved);
    }
    if let Some(active) = tx.refuses_reservation(reservation)? {
        return Ok(ReserveOutcome::Refused { active });
    }
    if !reservation.uncounted {
        statements::reserve(tx.db, reservation)?;
        tx.has_changed = true;
    }
    Ok(reserved)
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
    if !tx.has_ticket(login)? {
        return Ok(LoginOutcome::TicketInvalid);
    }
    let others = tx.other_sessions(login)?;
    if let Some(active) = tx.refuses_login(login, &others)? {
        return Ok(LoginOutcome::Refused { active });
    }
    let ended = tx.end_for_login(login, others)?;
    let record = tx.insert(login)?;
    tx.prune(&ended)?;
    Ok(LoginOutcome::Committed { record, ended })
}

/// Executes [`Registry::issue_ticket`](crate::registry::Registry::issue_ticket).
pub(crate) fn issue_ticket(tx: &mut Tx<'_>, ticket: &LoginTicket) -> rusqlite::Result<()> {
    tx.at(ticket.at);
    tx.has_changed = true;
    statements::add_ticket(tx.db, ticket)
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

    /// Returns `true` if the login has no takeover, or a ticket for it.
    fn has_ticket(&self, login: &NewLogin) -> rusqlite::Result<bool> {
        let Some(takeover) = &login.takeover else { return Ok(true) };
        let sql = "SELECT 1 FROM tickets WHERE key_hash = ?1 AND user_hash = ?2 AND until > ?3";
        let parameters = (takeover.ticket.expose(), user_hash(&login.user), login.at.as_millis());
        self.db.prepare_cached(sql)?.exists(parameters)
    }

    fn is_adoption_closed(&self, user: &str, now: Timestamp) -> rusqlite::Result<bool> {
        if self.head.generations.current > 0 {
            return Ok(true);
        }
        let sql = "SELECT 1 FROM closed_adoptions WHERE user_hash = ?1 AND until > ?2";
        self.db.prepare_cached(sql)?.exists((user_hash(user), now.as_millis()))
    }

    /// Ends the replaced session, that of the takeover, and those that must end for the login.
    fn end_for_login(
        &mut self,
        login: &NewLogin,
        others: Vec<OpenSession>,
    ) -> rusqlite::Result<Vec<SessionRecord>> {
        let replaced = login.replaces.map(|(id, reason)| (id, Ended::new(reason, login.at)));
        let taken = login.takeover.as_ref().map(|taken| (taken.session, taken.ended.clone()));
        let victims = match login.uncounted {
            true => self.expired_uncounted(login)?,
            false => login.limit.select_victims(others),
        };
        let mut ended = vec![];
        for (id, how) in replaced.into_iter().chain(taken) {
            let session = SessionRef { user: login.user.clone(), id };
            if let Some(stored) = loads::find_open(self.db, &self.head.generations, &session)? {
                ended.extend(self.end_session(stored, &how)?);
            }
        }
        ended.extend(self.end_victims(victims, &login.eviction())?);
        Ok(ended)
    }

    /// Ends the sessions among `others` that the limit evicts.
    pub(super) fn evict(
        &mut self,
        limit: SessionLimit,
        others: Vec<OpenSession>,
        evicted: &Ended,
    ) -> rusqlite::Result<Vec<SessionRecord>> {
        self.end_victims(limit.select_victims(others), evicted)
    }

    fn end_victims(
        &mut self,
        victims: Vec<OpenSession>,
        evicted: &Ended,
    ) -> rusqlite::Result<Vec<SessionRecord>> {
        let mut ended = vec![];
        for session in victims {
            let Some(stored) = loads::find_key(self.db, &session.key)? else { continue };
            ended.extend(self.end_session(stored, &session.end(evicted))?);
        }
        Ok(ended)
    }

    fn insert(&mut self, login: &NewLogin) -> rusqlite::Result<SessionRecord> {
        let mut record = SessionRecord::new(login);
        record.generation = self.head.generations.current;
        statements::release(self.db, &login.key)?;
        if let Some(takeover) = &login.takeover {
            statements::spend_ticket(self.db, &takeover.ticket)?;
        }
        statements::insert(self.db, &login.key, &record, &login.data)?;
        self.change(&record.user);
        Ok(record)
    }
}
