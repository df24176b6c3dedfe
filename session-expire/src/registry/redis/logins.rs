//! Operations on the sessions of one user.
//!
//! Each is one script and therefore atomic.

use super::{
    error::OperationError,
    operations::{Operations, read_records},
    script::{
        CANCEL, COMMIT, COUNT_CONFIRMATION_ATTEMPT, END, ENFORCE_LIMIT, ISSUE_TICKET, RESERVE,
        ROTATE, UPDATE,
    },
    stored::{
        as_string::{AsString, flag, time},
        names::{record_name, short_hash},
        record::{StoredFields, to_stored},
        script_args::ScriptArgs,
    },
};
use crate::{
    registry::{
        end::{EndSessions, EndTarget},
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        ended::Ended,
        key::{PublicId, RecordKey, partition_key},
        limit::SessionLimit,
        login::ticket::LoginTicket,
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
};

impl Operations {
    pub(super) async fn reserve(
        &self,
        reservation: Reservation,
    ) -> Result<ReserveOutcome, OperationError> {
        let args = ScriptArgs {
            name: Some(record_name(&reservation.key)),
            user: Some(short_hash(&reservation.user)),
            replaces: reservation.replaces.map(AsString),
            deadline: Some(time(reservation.until)),
            uncounted: flag(reservation.uncounted),
            ..self.args(reservation.at).limit(reservation.limit)
        };
        let response = self.write(&RESERVE, reservation.key.partition_key(), &args).await?;
        match split_outcome(&response)? {
            ("reserved", [generation]) => {
                let generation = generation.parse().map_err(|_| OperationError::Response)?;
                Ok(ReserveOutcome::Reserved { generation })
            }
            ("refused", active) => {
                Ok(ReserveOutcome::Refused { active: read_sorted_by_login(active) })
            }
            _ => Err(OperationError::Response),
        }
    }

    pub(super) async fn commit(&self, login: NewLogin) -> Result<LoginOutcome, OperationError> {
        let (replaces, replaces_for) = login.replaces.unzip();
        let user = short_hash(&login.user);
        let args = ScriptArgs {
            name: Some(record_name(&login.key)),
            record: Some(to_stored(&SessionRecord::new(&login), &user)?),
            user: Some(user),
            replaces: replaces.map(AsString),
            replaces_for: replaces_for.map(AsString),
            reserved_in: login.reserved_in.map(AsString),
            ..self.args(login.at).ended(&login.eviction()).limit(login.limit).data(&login.data)
        }
        .takeover(login.takeover.as_ref());
        let response = self.change(&COMMIT, login.key.partition_key(), args).await?;
        match split_outcome(&response)? {
            ("committed", [own, ended @ ..]) => Ok(LoginOutcome::Committed {
                record: StoredFields::parse(own.as_bytes())?.record()?,
                ended: read_records(ended),
            }),
            ("refused", active) => {
                Ok(LoginOutcome::Refused { active: read_sorted_by_login(active) })
            }
            ("adoption_closed", _) => Ok(LoginOutcome::AdoptionClosed),
            ("voided", _) => Ok(LoginOutcome::Voided),
            ("ticket_invalid", _) => Ok(LoginOutcome::TicketInvalid),
            _ => Err(OperationError::Response),
        }
    }

    pub(super) async fn issue_ticket(&self, ticket: LoginTicket) -> Result<(), OperationError> {
        let args = ScriptArgs {
            name: Some(record_name(&ticket.key)),
            user: Some(short_hash(&ticket.user)),
            deadline: Some(time(ticket.until)),
            ..self.args(ticket.at)
        };
        self.write(&ISSUE_TICKET, ticket.key.partition_key(), &args).await.map(drop)
    }

    pub(super) async fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> Result<Option<SessionRecord>, OperationError> {
        let call = Some(AsString(PublicId::random()));
        let args = ScriptArgs { call, ..self.args(ended.at).session(&session).ended(&ended) };
        let partition_key = partition_key(&session.user);
        let response = self.change(&COUNT_CONFIRMATION_ATTEMPT, &partition_key, args).await?;
        let record = response.first().map(|text| StoredFields::parse(text.as_bytes())?.record());
        record.transpose()
    }

    pub(super) async fn cancel(&self, key: RecordKey, ended: Ended) -> Result<(), OperationError> {
        let args =
            ScriptArgs { name: Some(record_name(&key)), ..self.args(ended.at).ended(&ended) };
        self.change(&CANCEL, key.partition_key(), args).await.map(drop)
    }

    pub(super) async fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> Result<UpdateOutcome, OperationError> {
        let args = self.args(update.now).session(&session).update(&update)?;
        let partition_key = partition_key(&session.user);
        let response = match update.changes_policy() {
            true => self.change(&UPDATE, &partition_key, args).await?,
            false => self.write(&UPDATE, &partition_key, &args).await?,
        };
        self.wait_for_caches(&response).await;
        match split_outcome(&response)? {
            ("updated", _) => Ok(UpdateOutcome::Updated),
            ("ended", _) => Ok(UpdateOutcome::Ended),
            ("too_large", _) => Ok(UpdateOutcome::TooLarge),
            _ => Err(OperationError::Response),
        }
    }

    pub(super) async fn rotate(
        &self,
        rotation: KeyRotation,
    ) -> Result<RotationOutcome, OperationError> {
        let update = &rotation.update;
        let args = ScriptArgs {
            from: Some(record_name(&rotation.from)),
            to: Some(record_name(&rotation.to)),
            reauthenticated_as: rotation.reauthenticated_as.map(AsString),
            ..self.args(update.now).session(&rotation.session).update(update)?
        };
        let partition_key = partition_key(&rotation.session.user);
        let response = self.change(&ROTATE, &partition_key, args).await?;
        self.wait_for_caches(&response).await;
        match split_outcome(&response)? {
            ("rotated", _) => Ok(RotationOutcome::Rotated),
            ("lost", _) => Ok(RotationOutcome::Lost),
            ("ended", _) => Ok(RotationOutcome::Ended),
            ("too_large", _) => Ok(RotationOutcome::TooLarge),
            _ => Err(OperationError::Response),
        }
    }

    pub(super) async fn end(&self, end: EndSessions) -> Result<Vec<SessionRecord>, OperationError> {
        let (id, except) = match &end.target {
            EndTarget::Session(session) => (Some(AsString(session.id)), None),
            EndTarget::Others(session) => (None, Some(AsString(session.id))),
            EndTarget::All(_) => (None, None),
        };
        let user = end.target.user();
        let args = ScriptArgs {
            user: Some(short_hash(user)),
            id,
            except,
            close_adoption_until: end.close_adoption_until.map(time),
            ..self.args(end.ended.at).ended(&end.ended)
        };
        Ok(read_records(&self.change(&END, &partition_key(user), args).await?))
    }

    pub(super) async fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> Result<Vec<SessionRecord>, OperationError> {
        let args = self.args(ended.at).session(&session).ended(&ended).limit(limit);
        let partition_key = partition_key(&session.user);
        Ok(read_records(&self.change(&ENFORCE_LIMIT, &partition_key, args).await?))
    }
}

/// Splits a response into the word of its outcome and the records after it.
fn split_outcome(response: &[String]) -> Result<(&str, &[String]), OperationError> {
    let split = response.split_first().map(|(word, records)| (word.as_str(), records));
    split.ok_or(OperationError::Response)
}

/// Reads records and sorts them by login time. The server sorts them by arrival, which can differ
/// from the times, because the clocks of processes differ.
fn read_sorted_by_login(texts: &[String]) -> Vec<SessionRecord> {
    let mut records = read_records(texts);
    records.sort_by_key(|record| record.logged_in_at);
    records
}
