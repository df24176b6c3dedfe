//! Operations on the sessions of one user: each is one script.

use super::{
    as_string::{AsString, flag, time},
    error::OperationError,
    operations::{Operations, name, readable, short_hash},
    record::RecordDto,
    script::{CANCEL, COMMIT, END, ENFORCE_LIMIT, RESERVE, ROTATE, UPDATE},
    script_args::ScriptArgs,
};
use crate::{
    registry::{
        end::{EndSessions, EndTarget},
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        key::{RecordKey, partition_key},
        limit::SessionLimit,
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        record::{Ended, SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
};

impl Operations {
    pub(super) async fn reserve(
        &self,
        reservation: Reservation,
    ) -> Result<ReserveOutcome, OperationError> {
        let args = ScriptArgs {
            name: Some(name(&reservation.key)),
            user: Some(short_hash(&reservation.user)),
            replaces: reservation.replaces.map(AsString),
            deadline: Some(time(reservation.until)),
            ..self.args(reservation.at).limit(reservation.limit)
        };
        let response = self.write(&RESERVE, reservation.key.partition_key(), &args).await?;
        match split(&response)? {
            ("reserved", _) => Ok(ReserveOutcome::Reserved),
            ("refused", active) => Ok(ReserveOutcome::Refused { active: by_login(active) }),
            _ => Err(OperationError::Response),
        }
    }

    pub(super) async fn commit(&self, login: NewLogin) -> Result<LoginOutcome, OperationError> {
        let is_adopted = login.adopted_until.is_some();
        let closed = if is_adopted { self.adoption_closed_at().await? } else { None };
        let outcome = self.run_commit(&login, closed.is_some()).await?;
        // A user's partition may have been passed by when adoption was closed for all.
        if is_adopted
            && closed.is_none()
            && let Some(ended) = self.adoption_closed_at().await?
        {
            self.cancel(login.key, ended).await?;
            return Ok(LoginOutcome::AdoptionClosed);
        }
        Ok(outcome)
    }

    async fn run_commit(
        &self,
        login: &NewLogin,
        is_closed: bool,
    ) -> Result<LoginOutcome, OperationError> {
        let (replaces, replaces_for) = login.replaces.unzip();
        let args = ScriptArgs {
            name: Some(name(&login.key)),
            user: Some(short_hash(&login.user)),
            record: Some(RecordDto::new(&SessionRecord::new(login), self.retention(login))?),
            replaces: replaces.map(AsString),
            replaces_for: replaces_for.map(AsString),
            is_adoption_closed: flag(is_closed),
            ..self.args(login.at).ended(&login.evicts()).limit(login.limit).data(&login.data)
        };
        let response = self.write(&COMMIT, login.key.partition_key(), &args).await?;
        match split(&response)? {
            ("committed", [own, ended @ ..]) => Ok(LoginOutcome::Committed {
                record: RecordDto::read(own.as_bytes())?,
                ended: readable(ended),
            }),
            ("refused", active) => Ok(LoginOutcome::Refused { active: by_login(active) }),
            ("adoption_closed", _) => Ok(LoginOutcome::AdoptionClosed),
            _ => Err(OperationError::Response),
        }
    }

    pub(super) async fn cancel(&self, key: RecordKey, ended: Ended) -> Result<(), OperationError> {
        let args = ScriptArgs { name: Some(name(&key)), ..self.args(ended.at).ended(&ended) };
        self.write(&CANCEL, key.partition_key(), &args).await.map(drop)
    }

    pub(super) async fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> Result<UpdateOutcome, OperationError> {
        let args = self.args(update.now).session(&session).update(&update)?;
        let response = self.write(&UPDATE, &partition_key(&session.user), &args).await?;
        match split(&response)? {
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
            from: Some(name(&rotation.from)),
            to: Some(name(&rotation.to)),
            reauthenticated_as: rotation.reauthenticated_as.map(AsString),
            ..self.args(update.now).session(&rotation.session).update(update)?
        };
        let partition_key = partition_key(&rotation.session.user);
        let response = self.write(&ROTATE, &partition_key, &args).await?;
        match split(&response)? {
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
        Ok(readable(&self.write(&END, &partition_key(user), &args).await?))
    }

    pub(super) async fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> Result<Vec<SessionRecord>, OperationError> {
        let args = self.args(ended.at).session(&session).ended(&ended).limit(limit);
        let partition_key = partition_key(&session.user);
        Ok(readable(&self.write(&ENFORCE_LIMIT, &partition_key, &args).await?))
    }
}

/// Splits the word of an outcome from what follows it.
fn split(response: &[String]) -> Result<(&str, &[String]), OperationError> {
    response.split_first().map(|(word, rest)| (word.as_str(), rest)).ok_or(OperationError::Response)
}

/// The server has them as they came, but the clocks of processes differ.
fn by_login(texts: &[String]) -> Vec<SessionRecord> {
    let mut records = readable(texts);
    records.sort_by_key(|record| record.logged_in_at);
    records
}
