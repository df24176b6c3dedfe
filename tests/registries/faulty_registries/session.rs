//! Faults of one session: `update` and `rotate`.

use session_expire::{
    Policy, PublicId,
    registry::{
        KeyRotation, NewLogin, Query, Registry, RotationOutcome, SessionData, SessionRecord,
        SessionRef, SessionUpdate, UpdateOutcome,
    },
};

use super::{
    Fault,
    registry::{Faulty, now, pause},
};

impl Faulty {
    pub(super) fn faulty_update(
        &self,
        mut session: SessionRef,
        mut update: SessionUpdate,
    ) -> UpdateOutcome {
        self.change_update(&session, &mut update);
        self.change_data(&session, &mut update);
        match self.fault {
            Fault::UpdatesByIdOfAnyUser => {
                let all = now(self.below.list(Query::default()));
                let found = all.iter().find(|record| record.id == session.id);
                session = found.map_or(session, |record| record.session_ref());
            }
            Fault::UpdatesAllSessions => {
                for record in self.records(&session.user, Some(false)) {
                    now(self.below.update(record.session_ref(), update.clone()));
                }
            }
            Fault::UpdateReopens if self.is_open(&session) => {
                pause(20);
                return self.update_and_reopen(session, update);
            }
            _ => {}
        }
        let outcome = now(self.below.update(session.clone(), update.clone()));
        self.change_update_outcome(outcome, session, update)
    }

    /// Writes an ended session as open again.
    fn update_and_reopen(&self, session: SessionRef, update: SessionUpdate) -> UpdateOutcome {
        let outcome = now(self.below.update(session.clone(), update.clone()));
        if outcome == UpdateOutcome::Ended {
            let mut login = NewLogin::new(session.user, update.now, &Policy::new());
            login.id = session.id;
            now(self.below.commit(login));
        }
        outcome
    }

    fn change_update(&self, session: &SessionRef, update: &mut SessionUpdate) {
        match self.fault {
            Fault::ActivityMovesBack => {
                update.now = update.active_at.map_or(update.now, |at| at.min(update.now));
            }
            Fault::EveryUpdateIsActivity => update.active_at = Some(update.now),
            Fault::TrustsTheFuture => {
                update.now = update.active_at.map_or(update.now, |at| at.max(update.now));
            }
            Fault::KeepsTheFuture => {
                let last_seen = self.record(session).map(|record| record.last_seen);
                update.now = last_seen.map_or(update.now, |at| at.max(update.now));
            }
            Fault::NeverClearsTheUserPolicy => {
                update.user_policy = update.user_policy.take().filter(Option::is_some);
            }
            Fault::DropsTheLastClient => update.client = None,
            Fault::NeverRemembers => update.remembered = false,
            Fault::KeepsTheStamp => update.stamp = None,
            Fault::KeepsTheSigningKey => *update = update.clone().with_signing_key(None),
            _ => {}
        }
    }

    fn change_data(&self, session: &SessionRef, update: &mut SessionUpdate) {
        let before = self.data(session);
        let all_names = || before.entries().map(|(name, _)| name.into());
        let changes = &mut update.data;
        match self.fault {
            Fault::ReplacesAllData if !changes.set.is_empty() => {
                changes.removed.extend(all_names())
            }
            Fault::RemovesNothing => changes.removed = vec![],
            Fault::ConsumesAllMessages if !changes.consumed_messages.is_empty() => {
                changes.consumed_messages = before.messages().iter().map(|one| one.id).collect();
            }
            Fault::KeepsTheOldestMessages
                if before.messages().len() >= SessionData::MAX_MESSAGES =>
            {
                changes.added_messages = vec![];
            }
            Fault::ActivityDropsTheData if changes.is_empty() && update.active_at.is_some() => {
                changes.removed = all_names().collect();
            }
            Fault::WritesAllData if !changes.is_empty() => {
                let mut written = before.clone();
                if written.apply(changes).is_err() {
                    return;
                }
                pause(20);
                let current = self.data(session);
                changes.removed = current.entries().map(|(name, _)| name.into()).collect();
                changes.set =
                    written.entries().map(|(name, json)| (name.into(), json.to_owned())).collect();
            }
            _ => {}
        }
    }

    fn change_update_outcome(
        &self,
        outcome: UpdateOutcome,
        session: SessionRef,
        mut update: SessionUpdate,
    ) -> UpdateOutcome {
        match (self.fault, outcome) {
            (Fault::UpdatesEnded, UpdateOutcome::Ended) if self.record(&session).is_some() => {
                UpdateOutcome::Updated
            }
            (Fault::StoresActivityOfTooLarge, UpdateOutcome::TooLarge) => {
                update.data = <_>::default();
                now(self.below.update(session, update));
                outcome
            }
            (Fault::LimitsEachUpdate, UpdateOutcome::TooLarge) => {
                match SessionData::default().apply(&update.data) {
                    Ok(()) => UpdateOutcome::Updated,
                    Err(_) => outcome,
                }
            }
            _ => outcome,
        }
    }

    pub(super) fn faulty_rotate(&self, mut rotation: KeyRotation) -> RotationOutcome {
        let session = rotation.session.clone();
        let key = self.memory().keys.get(&session.id).copied();
        match self.fault {
            Fault::RotationIgnoresItsUpdate => {
                rotation.update = SessionUpdate::new(rotation.update.now);
            }
            Fault::LostRotationStoresNothing if key != Some(rotation.old_key()) => {
                return RotationOutcome::Lost;
            }
            Fault::RenewalChangesTheId if rotation.reauthenticated_as.is_none() => {
                rotation.reauthenticated_as = Some(PublicId::random());
            }
            Fault::RenewalReauthenticates if rotation.reauthenticated_as.is_none() => {
                rotation.reauthenticated_as = Some(session.id);
            }
            Fault::RotatesOnce if self.memory().rotated.contains(&rotation.old_key()) => {
                return RotationOutcome::Lost;
            }
            Fault::ReauthenticatesAsRenewal => rotation.reauthenticated_as = None,
            Fault::RotatesAnyKey => {
                let (new_key, again) = (rotation.new_key(), rotation.reauthenticated_as);
                let old_key = key.unwrap_or(rotation.old_key());
                rotation = KeyRotation::new(rotation.session, old_key, rotation.update)
                    .with_new_key(new_key);
                rotation.reauthenticated_as = again;
            }
            _ => {}
        }
        let before = self.record(&session);
        let outcome = now(self.below.rotate(rotation.clone()));
        if outcome == RotationOutcome::Rotated {
            self.after_rotation(&rotation, before.as_ref());
            if let (Some(id), Some(before), Fault::ReauthenticationKeepsFailures) =
                (rotation.reauthenticated_as, before, self.fault)
            {
                self.fail_again(&before, id, rotation.update.now);
            }
        }
        self.change_rotation_outcome(outcome, rotation)
    }

    fn after_rotation(&self, rotation: &KeyRotation, before: Option<&SessionRecord>) {
        let session = &rotation.session;
        let mut memory = self.memory();
        let id = rotation.reauthenticated_as.unwrap_or(session.id);
        memory.keys.insert(id, rotation.new_key());
        memory.rotated.push(rotation.old_key());
        if let Some(adopted_until) = before.and_then(|before| before.tombstone_until) {
            memory.adopted.insert(rotation.new_key(), adopted_until);
        }
        memory.old_ids.insert(rotation.old_key(), session.id);
        if self.is(Fault::RotatesOnce) {
            memory.rotated.push(rotation.new_key());
        }
        drop(memory);
        if self.is(Fault::RotationDropsTheData) {
            let mut update = SessionUpdate::new(rotation.update.now);
            update.data.removed =
                self.data(session).entries().map(|(name, _)| name.into()).collect();
            now(self.below.update(session.clone(), update));
        }
    }

    fn change_rotation_outcome(
        &self,
        outcome: RotationOutcome,
        mut rotation: KeyRotation,
    ) -> RotationOutcome {
        match (self.fault, outcome) {
            (Fault::RotatesEnded, RotationOutcome::Ended) => RotationOutcome::Rotated,
            (Fault::RotatesWithoutTooLargeData, RotationOutcome::TooLarge) => {
                rotation.update.data = <_>::default();
                now(self.below.rotate(rotation))
            }
            _ => outcome,
        }
    }
}
