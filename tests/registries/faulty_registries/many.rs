//! Faults of operations on many sessions: ends, limits, lists, whole users.

use std::{sync::Arc, time::Duration};

use session_expire::{
    Reason,
    clock::Timestamp,
    registry::{
        EndSessions, EndTarget, Ended, Query, Registry, SessionLimit, SessionRecord, SessionRef,
    },
};

use super::{
    Fault,
    login::{by_age, one_less},
    registry::{Faulty, now, pause},
};

impl Faulty {
    fn end_sessions(&self, records: &[SessionRecord], how: &Ended) -> Vec<SessionRecord> {
        let end = |record: &SessionRecord| {
            EndSessions::new(EndTarget::Session(record.session_ref()), how.clone())
        };
        records.iter().flat_map(|record| now(self.below.end(end(record)))).collect()
    }

    fn end_all(&self, user: &Arc<str>, how: &Ended) -> Vec<SessionRecord> {
        now(self.below.end(EndSessions::new(EndTarget::All(Arc::clone(user)), how.clone())))
    }

    fn all_open(&self) -> Vec<SessionRecord> {
        now(self.below.list(Query::new().ended(false)))
    }

    pub(super) fn faulty_end(&self, mut end: EndSessions) -> Vec<SessionRecord> {
        let (user, how) = (Arc::clone(end.target.user()), end.ended.clone());
        match self.fault {
            Fault::NeverClosesAdoption => end.close_adoption_until = None,
            Fault::DropsTheCause => end.ended.cause = None,
            Fault::LastEndStays => self.overwrite_ends(&end),
            _ => {}
        }
        match (&end.target, self.fault) {
            (EndTarget::Session(session), _) => self.end_session(session.clone(), end),
            (EndTarget::Others(kept), _) => self.end_others(kept.clone(), end),
            (_, Fault::EndsAllOfAPartition) => {
                let tag = session_expire::registry::partition_key(&user);
                let mut open = self.all_open();
                open.retain(|record| session_expire::registry::partition_key(&record.user) == tag);
                self.end_sessions(&open, &how)
            }
            (_, Fault::KeepsOneOfAll) => {
                let open = self.records(&user, Some(false));
                self.end_sessions(open.get(1..).unwrap_or_default(), &how)
            }
            (_, Fault::EndsAllInTwoSteps) => {
                let open = self.records(&user, Some(false));
                pause(20);
                self.end_sessions(&open, &how)
            }
            (_, Fault::NeverEndsUncounted) => {
                let mut open = self.records(&user, Some(false));
                open.retain(|record| !record.uncounted);
                self.end_sessions(&open, &how)
            }
            (_, Fault::ReturnsEndedAgain) => {
                now(self.below.end(end));
                self.records(&user, Some(true))
            }
            _ => now(self.below.end(end)),
        }
    }

    fn overwrite_ends(&self, end: &EndSessions) {
        for record in self.records(end.target.user(), None) {
            let key = self.memory().keys.get(&record.id).copied();
            if let Some(key) = key.filter(|_| end.target.covers(&record)) {
                self.memory().last_ends.insert(key, end.ended.clone());
            }
        }
    }

    fn end_session(&self, session: SessionRef, end: EndSessions) -> Vec<SessionRecord> {
        let how = &end.ended;
        match self.fault {
            Fault::EndsAllForOne => self.end_all(&session.user, how),
            Fault::EndsByIdOfAnyUser => {
                let mut open = self.all_open();
                open.retain(|record| record.id == session.id);
                self.end_sessions(&open, how)
            }
            Fault::EndsInTwoSteps | Fault::ReturnsEndedTwice => {
                let before = self.record(&session).filter(|record| record.ended.is_none());
                pause(20);
                let how = how.clone();
                let ended = now(self.below.end(end));
                let again = before.map(|record| {
                    let mut record = record;
                    record.ended = Some(how);
                    record
                });
                match self.fault {
                    Fault::EndsInTwoSteps => again.into_iter().collect(),
                    _ => [ended, again.into_iter().collect()].concat(),
                }
            }
            _ => now(self.below.end(end)),
        }
    }

    fn end_others(&self, kept: SessionRef, end: EndSessions) -> Vec<SessionRecord> {
        let how = &end.ended;
        let mut others = self.records(&kept.user, Some(false));
        others.retain(|record| record.id != kept.id);
        let is_open = self.is_open(&kept);
        match self.fault {
            Fault::EndsTheKeptSession if is_open => self.end_all(&kept.user, how),
            Fault::EndsOthersOfEnded => self.end_sessions(&others, how),
            Fault::EndsOthersInTwoSteps if is_open => {
                pause(20);
                self.end_sessions(&others, how)
            }
            Fault::NeverEndsUncounted if is_open => {
                others.retain(|record| !record.uncounted);
                self.end_sessions(&others, how)
            }
            _ => now(self.below.end(end)),
        }
    }

    pub(super) fn faulty_enforce_limit(
        &self,
        session: SessionRef,
        mut limit: SessionLimit,
        how: Ended,
    ) -> Vec<SessionRecord> {
        match self.fault {
            Fault::IgnoresLastSeen => limit = by_age(limit),
            Fault::AllowsOneLess => limit = one_less(limit),
            Fault::EvictsTheRequester => {
                let own: Vec<_> = self.record(&session).into_iter().collect();
                return self.end_sessions(&own, &how);
            }
            Fault::EnforcesForEnded if !self.is_open(&session) => {
                return self.end_all(&session.user, &how);
            }
            _ => {}
        }
        let mut ended = now(self.below.enforce_limit(session, limit, how.clone()));
        if self.is(Fault::EnforcesExpiredAsEvicted) {
            ended.iter_mut().for_each(|record| record.ended = Some(how.clone()));
        }
        ended
    }

    pub(super) fn faulty_list(&self, query: Query) -> Vec<SessionRecord> {
        match self.fault {
            Fault::ListsOldestFirst => {
                let mut listed = now(self.below.list(query));
                listed.reverse();
                listed
            }
            Fault::ListsAllUsers => {
                let mut query = query;
                query.user = None;
                now(self.below.list(query))
            }
            Fault::IgnoresTheFilter => now(self.below.list(query.ended(None))),
            Fault::IgnoresTheReason => now(self.below.list(query.reason(None))),
            Fault::LosesExpiredSessions => {
                let mut listed = now(self.below.list(query));
                listed
                    .retain(|record| record.ended.as_ref().map(|e| e.reason) != Some(Reason::Idle));
                listed
            }
            Fault::PagesOverlap => self.overlapping_page(query),
            Fault::FiltersAfterPaging => {
                let page = now(self.below.list(query.clone().ended(None)));
                page.into_iter().filter(|record| query.matches(record)).collect()
            }
            Fault::PageOfNoneHoldsAll if query.limit == Some(0) => {
                now(self.below.list(query.limit(None)))
            }
            Fault::ListsOneUserForAll if query.user.is_none() => {
                let mut listed = now(self.below.list(query));
                let first = listed.first().map(|record| Arc::clone(&record.user));
                listed.retain(|record| Some(&record.user) == first.as_ref());
                listed
            }
            Fault::ListsRotatedKeys => {
                let rotated = self.memory().rotated.clone();
                let renewed = rotated.iter().filter_map(|key| now(self.below.load(*key, false)));
                let mut listed = now(self.below.list(query));
                listed.extend(renewed.map(|loaded| SessionRecord::clone(&loaded.record)));
                listed
            }
            _ => now(self.below.list(query)),
        }
    }

    /// Returns a page that begins with the last record of the page before. It ends where it would
    /// return the same page for ever.
    fn overlapping_page(&self, query: Query) -> Vec<SessionRecord> {
        let later = |(at, id): (Timestamp, _)| (at.plus(Duration::from_millis(1)), id);
        let after = query.after.map(later);
        let page = now(self.below.list(query.clone().after(after)));
        if page.last().map(Query::cursor) == query.after { vec![] } else { page }
    }

    pub(super) fn faulty_end_everyone(&self, how: Ended) -> u64 {
        let mut open = self.all_open();
        match self.fault {
            Fault::EndsOneUserForAll => {
                let first = open.first().map(|record| Arc::clone(&record.user));
                open.retain(|record| Some(&record.user) == first.as_ref());
                self.end_sessions(&open, &how).len().try_into().unwrap()
            }
            Fault::EndOfEveryoneKeepsThePending => {
                self.end_sessions(&open, &how).len().try_into().unwrap()
            }
            Fault::EndOfEveryoneIsReplaced => {
                for record in now(self.below.list(Query::new())) {
                    let key = self.memory().keys.get(&record.id).copied();
                    key.map(|key| self.memory().last_ends.insert(key, how.clone()));
                }
                now(self.below.end_everyone(how))
            }
            Fault::EndOfEveryoneKeepsTheSlots => {
                self.memory().are_slots_taken = true;
                now(self.below.end_everyone(how))
            }
            _ => now(self.below.end_everyone(how)),
        }
    }

    pub(super) fn faulty_erase(&self, user: Arc<str>) -> u64 {
        match self.fault {
            Fault::EraseEnds => {
                let count = self.records(&user, None).len();
                let how = Ended::new(session_expire::Reason::Revoked, Timestamp::from_millis(0));
                self.end_all(&user, &how);
                count.try_into().unwrap()
            }
            Fault::EraseKeepsRotatedKeys => {
                let rotated = self.memory().rotated.clone();
                for key in rotated {
                    let loaded = now(self.below.load(key, false));
                    self.memory().erased.extend(loaded.map(|loaded| (key, loaded)));
                }
                now(self.below.erase(user))
            }
            _ => now(self.below.erase(user)),
        }
    }
}
