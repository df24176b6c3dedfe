//! Faults of the reports to listeners.

use std::{collections::HashMap, mem, sync::Arc};

use session_expire::{
    PublicId,
    registry::{
        Change, ChangeListener, EndSessions, EndTarget, KeyRotation, Registry, RegistryFuture,
        SessionRef, SessionUpdate, Subscription,
    },
};

use super::{
    Fault,
    registry::{Faulty, pause},
};

/// State of the faults of the reports.
#[derive(Default)]
pub(super) struct Reports {
    listeners: Vec<ChangeListener>,
    /// Public ids of sessions that [`Registry::end`] has ended.
    ended: Vec<PublicId>,
    /// Public ids of sessions with a new policy.
    with_new_policy: Vec<PublicId>,
    /// Public ids after a rotation, by the public ids before.
    new_ids: HashMap<PublicId, PublicId>,
    erased: Vec<Change>,
    held_back: Option<Change>,
    count: usize,
}

impl Reports {
    /// Returns the changes that are reported instead of `change`.
    fn spoil(&mut self, fault: Fault, change: Change) -> Vec<Change> {
        self.count += 1;
        match (fault, change) {
            (Fault::SwapsReports, change) => match self.held_back.take() {
                Some(before) => vec![change, before],
                None => {
                    self.held_back = Some(change);
                    vec![]
                }
            },
            (Fault::ReportsTheNewId, Change::Session { partition, id }) => {
                let id = self.new_ids.get(&id).copied().unwrap_or(id);
                vec![Change::Session { partition, id }]
            }
            (_, change) if self.hides(fault, &change) => vec![],
            (_, change) => vec![change],
        }
    }

    fn hides(&self, fault: Fault, change: &Change) -> bool {
        match (fault, change) {
            (Fault::HidesLogins, Change::User { .. }) => true,
            (Fault::HidesEnds, Change::Session { id, .. }) => self.ended.contains(id),
            (Fault::HidesEvictions, Change::Session { id, .. }) => !self.ended.contains(id),
            (Fault::HidesPolicyChanges, Change::Session { id, .. }) => {
                self.with_new_policy.contains(id)
            }
            (Fault::HidesTheEndOfEveryone, Change::Any) => true,
            (Fault::HidesErasure, change) => self.erased.contains(change),
            (Fault::LosesReports, Change::Session { .. }) => self.count.is_multiple_of(10),
            _ => false,
        }
    }
}

/// Subscription that continues after it is dropped.
struct Undroppable(Option<Box<dyn Subscription>>);

impl Subscription for Undroppable {
    fn check(&self) -> RegistryFuture<'_, bool> {
        RegistryFuture::ready(Ok(true))
    }
}

impl Drop for Undroppable {
    fn drop(&mut self) {
        mem::forget(self.0.take());
    }
}

impl Faulty {
    pub(super) fn faulty_subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        let (fault, reports) = (self.fault, Arc::clone(&self.reports));
        reports.lock().unwrap().listeners.push(listener.clone());
        let subscription = self.below.subscribe(ChangeListener::new(move |change| {
            let changes = reports.lock().unwrap().spoil(fault, change);
            changes.into_iter().for_each(|change| listener.report(change));
        }));
        match fault {
            Fault::IgnoresTheDrop => Box::new(Undroppable(Some(subscription))),
            _ => subscription,
        }
    }

    fn report(&self, session: &SessionRef) {
        let listeners = self.reports.lock().unwrap().listeners.clone();
        listeners.iter().for_each(|listener| listener.report(Change::session(session)));
    }

    pub(super) fn before_update(&self, session: &SessionRef, update: &SessionUpdate) {
        if update.changes_policy() {
            self.reports.lock().unwrap().with_new_policy.push(session.id);
        }
        if self.is(Fault::ReportsActivity) && update.active_at.is_some() {
            self.report(session);
        }
    }

    pub(super) fn before_rotation(&self, rotation: &KeyRotation) {
        let (id, new_id) = (rotation.session.id, rotation.reauthenticated_as);
        self.reports.lock().unwrap().new_ids.insert(id, new_id.unwrap_or(id));
    }

    pub(super) fn before_end(&self, end: &EndSessions) {
        let ended = self.records(end.target.user(), Some(false));
        let ended = ended.iter().filter(|record| end.target.covers(record)).map(|record| record.id);
        self.reports.lock().unwrap().ended.extend(ended);
        if let (Fault::ReportsTooEarly, EndTarget::Session(session)) = (self.fault, &end.target) {
            self.report(session);
            pause(20);
        }
    }

    pub(super) fn before_erase(&self, user: &str) {
        self.reports.lock().unwrap().erased.push(Change::user(user));
    }
}
