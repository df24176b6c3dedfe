//! One operation of a registry, and its outcome in a form that can be compared.

use std::sync::Arc;

use session_expire::registry::{
    EndSessions, Ended, KeyRotation, LoginOutcome, LoginTicket, NewLogin, Query, RecordKey,
    Registry, Reservation, ReserveOutcome, RotationOutcome, SessionData, SessionLimit,
    SessionRecord, SessionRef, SessionUpdate, StoredSession, UpdateOutcome,
};

#[derive(Debug, Clone)]
pub enum Operation {
    Load(RecordKey, bool),
    Reserve(Reservation),
    Commit(Box<NewLogin>),
    Cancel(RecordKey, Ended),
    IssueTicket(LoginTicket),
    FailConfirmation(SessionRef, Ended),
    Update(SessionRef, SessionUpdate),
    Rotate(KeyRotation),
    End(EndSessions),
    EnforceLimit(SessionRef, SessionLimit, Ended),
    List(Query),
    EndEveryone(Ended),
    Erase(Arc<str>),
    Export(Arc<str>),
}

/// The outcome of an operation; records whose order is not defined are sorted by id.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Loaded(Option<Box<StoredSession>>),
    Reserved,
    Committed(Box<SessionRecord>, Vec<SessionRecord>),
    Refused(Vec<SessionRecord>),
    AdoptionClosed,
    Voided,
    TicketInvalid,
    Cancelled,
    TicketIssued,
    Counted(Option<Box<SessionRecord>>),
    Updated(UpdateOutcome),
    Rotated(RotationOutcome),
    Ended(Vec<SessionRecord>),
    Listed(Vec<SessionRecord>),
    Count(u64),
    Exported(Vec<SessionRecord>, Vec<(SessionRef, SessionData)>),
}

fn by_id(mut records: Vec<SessionRecord>) -> Vec<SessionRecord> {
    records.sort_by_key(|record| record.id);
    records
}

impl From<LoginOutcome> for Outcome {
    fn from(outcome: LoginOutcome) -> Self {
        match outcome {
            LoginOutcome::Committed { record, ended } => {
                Self::Committed(Box::new(record), by_id(ended))
            }
            LoginOutcome::Refused { active } => Self::Refused(active),
            LoginOutcome::AdoptionClosed => Self::AdoptionClosed,
            LoginOutcome::Voided => Self::Voided,
            LoginOutcome::TicketInvalid => Self::TicketInvalid,
            other => panic!("unknown outcome: {other:?}"),
        }
    }
}

impl From<ReserveOutcome> for Outcome {
    fn from(outcome: ReserveOutcome) -> Self {
        match outcome {
            ReserveOutcome::Reserved { .. } => Self::Reserved,
            ReserveOutcome::Refused { active } => Self::Refused(active),
            other => panic!("unknown outcome: {other:?}"),
        }
    }
}

/// Calls the operation on `registry`, which must not fail.
pub async fn call(registry: &dyn Registry, operation: &Operation) -> Outcome {
    match operation.clone() {
        Operation::Load(key, count) => {
            Outcome::Loaded(registry.load(key, count).await.unwrap().map(Box::new))
        }
        Operation::Reserve(reservation) => registry.reserve(reservation).await.unwrap().into(),
        Operation::Commit(login) => registry.commit(*login).await.unwrap().into(),
        Operation::Cancel(key, ended) => {
            registry.cancel(key, ended).await.unwrap();
            Outcome::Cancelled
        }
        Operation::IssueTicket(ticket) => {
            registry.issue_ticket(ticket).await.unwrap();
            Outcome::TicketIssued
        }
        Operation::FailConfirmation(session, ended) => {
            let counted = registry.count_confirmation_attempt(session, ended).await.unwrap();
            Outcome::Counted(counted.map(Box::new))
        }
        Operation::Update(session, update) => {
            Outcome::Updated(registry.update(session, update).await.unwrap())
        }
        Operation::Rotate(rotation) => Outcome::Rotated(registry.rotate(rotation).await.unwrap()),
        Operation::End(end) => Outcome::Ended(by_id(registry.end(end).await.unwrap())),
        Operation::EnforceLimit(session, limit, ended) => {
            Outcome::Ended(by_id(registry.enforce_limit(session, limit, ended).await.unwrap()))
        }
        Operation::List(query) => Outcome::Listed(registry.list(query).await.unwrap()),
        Operation::EndEveryone(ended) => {
            Outcome::Count(registry.end_everyone(ended).await.unwrap())
        }
        Operation::Erase(user) => Outcome::Count(registry.erase(user).await.unwrap()),
        Operation::Export(user) => {
            let mut export = registry.export(user).await.unwrap();
            export.data.sort_by_key(|(session, _)| session.id);
            Outcome::Exported(export.records, export.data)
        }
    }
}
