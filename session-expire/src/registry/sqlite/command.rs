//! Commands for the writer: operations that may change the file.
//!
//! The writer decides a command only if no write to the same shard is pending. A command that
//! changes only memory completes at once. The registry sends commands; the writer executes them.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    error::FileError,
    file::queries,
    pending_write::PendingWrite,
    shared::{Shared, reserve},
};
use crate::{
    registry::{
        end::EndSessions,
        index::{
            Index,
            decide_login::LoginDecision,
            shard::Shard,
            write_set::{AdoptionClosing, WriteSet},
        },
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        ended::Ended,
        key::{RecordKey, partition_key},
        limit::SessionLimit,
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
};

/// Sender of an outcome. The operation takes effect even if its future was dropped.
pub(super) type Responder<T> = oneshot::Sender<Result<T, FileError>>;

/// Called with the records that a write has ended, or with its error.
pub(super) type Respond = Box<dyn FnOnce(Result<Vec<SessionRecord>, FileError>) + Send>;

/// Operation for the writer. Keys are hashed.
pub(super) enum Command {
    User(UserCommand),
    EndEveryone(Ended, Responder<u64>),
}

/// Operation on the sessions of one user, and thus on one shard.
pub(super) enum UserCommand {
    Reserve(Reservation, Responder<ReserveOutcome>),
    Commit(Box<NewLogin>, Responder<LoginOutcome>),
    Cancel(RecordKey, Ended, Responder<()>),
    Update(SessionRef, Box<SessionUpdate>, Responder<UpdateOutcome>),
    Rotate(Box<KeyRotation>, Responder<RotationOutcome>),
    End(EndSessions, Responder<Vec<SessionRecord>>),
    EnforceLimit(SessionRef, SessionLimit, Ended, Responder<Vec<SessionRecord>>),
    Erase(Arc<str>, Responder<u64>),
}

/// Returns a closure that converts the ended records to an outcome and sends it to `responder`.
fn respond<T: Send + 'static>(
    responder: Responder<T>,
    to_outcome: impl FnOnce(Vec<SessionRecord>) -> T + Send + 'static,
) -> Respond {
    Box::new(move |ended| {
        // The receiver may have been dropped with its request.
        let _ = responder.send(ended.map(to_outcome));
    })
}

impl UserCommand {
    fn partition_key(&self) -> String {
        match self {
            Self::Reserve(reservation, _) => reservation.key.partition_key().to_owned(),
            Self::Commit(login, _) => login.key.partition_key().to_owned(),
            Self::Cancel(key, ..) => key.partition_key().to_owned(),
            Self::Update(session, ..) | Self::EnforceLimit(session, ..) => {
                partition_key(&session.user)
            }
            Self::Rotate(rotation, _) => partition_key(&rotation.session.user),
            Self::End(end, _) => end.target.partition_key(),
            Self::Erase(user, _) => partition_key(user),
        }
    }

    /// Returns the number of the shard. Commands for different shards are independent.
    pub(super) fn shard_number(&self) -> usize {
        Index::shard_number(&self.partition_key())
    }

    /// Decides the operation. If the file must change, returns the pending write with its shard
    /// marked. Otherwise completes the operation and returns `None`.
    pub(super) fn decide(self, db: &Connection, shared: &Shared) -> Option<PendingWrite> {
        let user = self.partition_key();
        match self {
            Self::Commit(login, responder) => decide_commit(*login, responder, db, shared),
            Self::Update(session, update, responder) => {
                decide_update(&session, &update, responder, shared)
            }
            Self::Erase(user, responder) => decide_erase(&user, responder, db, shared),
            Self::Reserve(reservation, responder) => decide_in_shard(shared, user, |shard| {
                let outcome = reserve(shard, &reservation);
                (WriteSet::default(), respond(responder, |_| outcome))
            }),
            Self::Cancel(key, ended, responder) => decide_in_shard(shared, user, |shard| {
                (shard.decide_cancel(key, &ended), respond(responder, drop))
            }),
            Self::Rotate(rotation, responder) => decide_in_shard(shared, user, |shard| {
                let (outcome, writes) = shard.decide_rotation(&rotation);
                (writes, respond(responder, move |_| outcome))
            }),
            Self::End(end, responder) => decide_in_shard(shared, user, |shard| {
                (shard.decide_end(&end), respond(responder, |ended| ended))
            }),
            Self::EnforceLimit(session, limit, ended, responder) => {
                decide_in_shard(shared, user, |shard| {
                    let writes = shard.decide_limit(&session, limit, &ended);
                    (writes, respond(responder, |ended| ended))
                })
            }
        }
    }
}

fn decide_in_shard(
    shared: &Shared,
    partition_key: String,
    decide: impl FnOnce(&mut Shard) -> (WriteSet, Respond),
) -> Option<PendingWrite> {
    let mut shard = shared.index.shard(&partition_key);
    let (writes, respond) = decide(&mut shard);
    PendingWrite::new(partition_key, writes, respond).start(&mut shard)
}

fn decide_update(
    session: &SessionRef,
    update: &SessionUpdate,
    responder: Responder<UpdateOutcome>,
    shared: &Shared,
) -> Option<PendingWrite> {
    if let Some(outcome) = shared.try_update(session, update) {
        respond(responder, move |_| outcome)(Ok(vec![]));
        return None;
    }
    decide_in_shard(shared, partition_key(&session.user), |shard| {
        let (outcome, writes) = shard.decide_update(session, update);
        (writes, respond(responder, move |_| outcome))
    })
}

fn decide_commit(
    login: NewLogin,
    responder: Responder<LoginOutcome>,
    db: &Connection,
    shared: &Shared,
) -> Option<PendingWrite> {
    match load_committed(&login.key, db, shared) {
        Ok(None) => {}
        Ok(Some(record)) => return complete(responder, Ok(committed_before(record))),
        Err(error) => return complete(responder, Err(error)),
    }
    let (partition_key, at) = (login.key.partition_key().to_owned(), login.at);
    let record = SessionRecord::new(&login);
    let mut shard = shared.index.shard(&partition_key);
    let writes = match shard.decide_commit(login) {
        LoginDecision::Commit(writes) => *writes,
        LoginDecision::Committed(record) => {
            return complete(responder, Ok(committed_before(*record)));
        }
        LoginDecision::Refuse { active } => {
            return complete(responder, Ok(LoginOutcome::Refused { active }));
        }
        LoginDecision::AdoptionClosed => {
            return complete(responder, Ok(LoginOutcome::AdoptionClosed));
        }
    };
    let respond = respond(responder, |ended| LoginOutcome::Committed { record, ended });
    PendingWrite::new(partition_key, writes, respond).with_purge(at, &mut shard).start(&mut shard)
}

/// Loads the record of a committed login that is no longer in memory, because the session has ended
/// or its key was rotated.
fn load_committed(
    key: &RecordKey,
    db: &Connection,
    shared: &Shared,
) -> Result<Option<SessionRecord>, FileError> {
    if shared.record(key).is_some() {
        return Ok(None);
    }
    queries::load(db, key).map_err(|error| shared.error(error))
}

fn committed_before(record: SessionRecord) -> LoginOutcome {
    LoginOutcome::Committed { record, ended: vec![] }
}

fn decide_erase(
    user: &Arc<str>,
    responder: Responder<u64>,
    db: &Connection,
    shared: &Shared,
) -> Option<PendingWrite> {
    let (count, adopted_until) = match queries::summary(db, user) {
        Ok(summary) => summary,
        Err(error) => return complete(responder, Err(shared.error(error))),
    };
    decide_in_shard(shared, partition_key(user), |shard| {
        let mut writes = shard.decide_erase(user);
        // Some tombstones of adopted sessions are only in the file.
        if let Some(until) = adopted_until {
            writes.closes_adoption = Some(AdoptionClosing::User(Arc::clone(user), until));
        }
        (writes, respond(responder, move |_| count))
    })
}

/// Completes an operation that changes nothing.
fn complete<T>(responder: Responder<T>, outcome: Result<T, FileError>) -> Option<PendingWrite> {
    // The receiver may have been dropped with its request.
    let _ = responder.send(outcome);
    None
}
