//! Registries that are wrong in one way each: the promises catch every one of them.

use std::{
    collections::HashMap,
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use session_expire::{
    ActivityUpdate, EndTarget, Ended, Limit, Loaded, LoginOutcome, MemoryRegistry, NewLogin,
    Overflow, Query, RecordKey, Registry, RegistryFuture, SessionLimit, SessionRecord,
    conformance::{PROMISES, block_on},
};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    EvictsTheNewest,
    ForgetsBy,
    CountsEnded,
    CountsTheRunOut,
    RevivesTheEnded,
    ReplacedHoldsAPlace,
    ForgetsToReplace,
    ReplacesAnyone,
    LastReasonStays,
    RefusalEndsTheOld,
    HoldersInAnyOrder,
    ZeroMeansNone,
    HasNoEnd,
    EndsByIdOfAnyone,
    OthersIncludesItself,
    AnswersTheEndedAgain,
    MakesRoomForTheDead,
    RequesterYields,
    ListsOldestFirst,
    PagesOverlap,
    IgnoresTheFilter,
    TrimsOwners,
    DropsThePatch,
    DropsTheAddress,
    RoundsToSeconds,
    TrustsTheFuture,
    ActivityMovesBack,
    PassesTheLimitInARace,
    EndsInTwoSteps,
}

/// A registry with a fault, made of one without.
pub struct Broken {
    fault: Fault,
    below: MemoryRegistry,
    last_ends: Mutex<HashMap<RecordKey, Ended>>,
}

fn done<'a, T: Send + 'a>(answer: T) -> RegistryFuture<'a, T> {
    Box::pin(ready(Ok(answer)))
}

/// The answer of a future that needs no wait.
fn at_once<T: Send>(answer: RegistryFuture<'_, T>) -> T {
    let mut done = None;
    block_on(Box::pin(async { done = Some(answer.await.unwrap()) }));
    done.unwrap()
}

impl Broken {
    pub fn new(fault: Fault) -> Self {
        Self { fault, below: MemoryRegistry::new(), last_ends: Mutex::default() }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn of(&self, user: &Arc<str>, ended: Option<bool>) -> Vec<SessionRecord> {
        let query = Query { user: Some(Arc::clone(user)), ended, ..Query::default() };
        at_once(self.below.find(query))
    }

    fn end_one(&self, record: &SessionRecord, ended: Ended) -> Vec<SessionRecord> {
        at_once(self.below.end(EndTarget::Id(Arc::clone(&record.user), record.id), ended))
    }

    /// Signs in where the places were counted by a rule of the fault's own.
    fn sign_in_with(&self, login: NewLogin, count: usize, newest_first: bool) -> LoginOutcome {
        let places = login.room.places();
        let mut open = self.of(&login.user, Some(false));
        if login.room.overflow == Overflow::Refuse && count >= places {
            open.reverse();
            return LoginOutcome::Refused { holders: open };
        }
        if !newest_first {
            open.reverse();
        }
        let surplus = (count + 1).saturating_sub(places);
        let yielding = open.iter().take(surplus);
        let ended = yielding.flat_map(|record| self.end_one(record, login.evicts())).collect();
        let room = SessionLimit { max_sessions: Limit::Off, ..login.room };
        match at_once(self.below.login(NewLogin { room, ..login })) {
            LoginOutcome::Committed { record, .. } => LoginOutcome::Committed { record, ended },
            refused @ LoginOutcome::Refused { .. } => refused,
        }
    }

    fn sign_in(&self, mut login: NewLogin) -> LoginOutcome {
        let open = self.of(&login.user, Some(false)).len();
        match self.fault {
            Fault::EvictsTheNewest => return self.sign_in_with(login, open, true),
            Fault::CountsEnded => {
                let all = self.of(&login.user, None).len();
                return self.sign_in_with(login, all, false);
            }
            Fault::CountsTheRunOut => return self.sign_in_with(login, open, false),
            Fault::PassesTheLimitInARace => {
                std::thread::sleep(std::time::Duration::from_millis(2));
                return self.sign_in_with(login, open, false);
            }
            Fault::ForgetsBy => {
                let admission = at_once(self.below.login(login));
                let LoginOutcome::Committed { record, mut ended } = admission else {
                    return admission;
                };
                let bys = ended.iter_mut().filter_map(|record| record.ended.as_mut());
                bys.for_each(|ended| ended.by = None);
                return LoginOutcome::Committed { record, ended };
            }
            Fault::ReplacedHoldsAPlace | Fault::ForgetsToReplace => {
                let replaced = login.replaces.take();
                let admission = at_once(self.below.login(login));
                if let (Some((key, reason)), LoginOutcome::Committed { record, .. }, true) =
                    (replaced, &admission, self.is(Fault::ReplacedHoldsAPlace))
                {
                    let over = Ended::new(reason, record.logged_in_at);
                    at_once(self.below.end(EndTarget::Key(key), over));
                }
                return admission;
            }
            Fault::RefusalEndsTheOld | Fault::ReplacesAnyone => {
                if let Some((key, reason)) = login.replaces {
                    at_once(self.below.end(EndTarget::Key(key), Ended::new(reason, login.at)));
                }
            }
            Fault::HasNoEnd if login.room.max_sessions == Limit::Off => {
                login.room.max_sessions = Limit::At(u32::MAX);
            }
            Fault::ZeroMeansNone if login.room.max_sessions == Limit::At(0) => {
                let over = login.evicts();
                let ended = at_once(self.below.end(EndTarget::All(Arc::clone(&login.user)), over));
                let LoginOutcome::Committed { record, .. } = at_once(self.below.login(login))
                else {
                    unreachable!()
                };
                return LoginOutcome::Committed { record, ended };
            }
            Fault::HoldersInAnyOrder => {
                let admission = at_once(self.below.login(login));
                let LoginOutcome::Refused { mut holders } = admission else { return admission };
                holders.reverse();
                return LoginOutcome::Refused { holders };
            }
            Fault::TrimsOwners => {
                login.user = login.user.trim().into();
                login.key = RecordKey::with_secret(&login.user, login.key.secret()).unwrap();
            }
            Fault::DropsThePatch => login.patch = None,
            Fault::DropsTheAddress => login.client.ip = None,
            Fault::RoundsToSeconds => {
                let millis = login.at.as_millis() / 1_000 * 1_000;
                login.at = session_expire::Timestamp::from_millis(millis);
            }
            _ => {}
        }
        at_once(self.below.login(login))
    }

    fn finish(&self, target: EndTarget, ended: Ended) -> Vec<SessionRecord> {
        let whole = |user: &Arc<str>| {
            at_once(self.below.end(EndTarget::All(Arc::clone(user)), ended.clone()))
        };
        match (&target, self.fault) {
            (EndTarget::Id(_, id), Fault::EndsByIdOfAnyone) => {
                let all = at_once(self.below.find(Query::default()));
                let meant = all.iter().filter(|record| record.id == *id);
                meant.flat_map(|record| self.end_one(record, ended.clone())).collect()
            }
            (EndTarget::Others(user, _), Fault::OthersIncludesItself) => whole(user),
            (EndTarget::All(user), Fault::AnswersTheEndedAgain) => {
                let _ = whole(user);
                self.of(user, Some(true))
            }
            (EndTarget::Key(key), Fault::LastReasonStays) => {
                self.last_ends.lock().unwrap().insert(*key, ended.clone());
                at_once(self.below.end(target, ended))
            }
            (EndTarget::Key(key), Fault::EndsInTwoSteps) => {
                let open = at_once(self.below.load(*key));
                let open = open.filter(|loaded| loaded.record.ended.is_none());
                std::thread::sleep(std::time::Duration::from_millis(2));
                at_once(self.below.end(target, ended.clone()));
                open.map(|loaded| SessionRecord {
                    ended: Some(ended),
                    ..SessionRecord::clone(&loaded.record)
                })
                .into_iter()
                .collect()
            }
            _ => at_once(self.below.end(target, ended)),
        }
    }

    fn list(&self, query: Query) -> Vec<SessionRecord> {
        match self.fault {
            Fault::ListsOldestFirst => {
                let mut found = at_once(self.below.find(query));
                found.reverse();
                found
            }
            Fault::PagesOverlap => {
                let later = |(at, id): (session_expire::Timestamp, _)| {
                    (at.plus(std::time::Duration::from_millis(1)), id)
                };
                // Would turn one page for ever, so it gives up at the second time.
                let after = query.after.map(later);
                let page = at_once(self.below.find(Query { after, ..query.clone() }));
                if page.last().map(Query::place) == query.after { vec![] } else { page }
            }
            Fault::IgnoresTheFilter => at_once(self.below.find(Query { ended: None, ..query })),
            _ => at_once(self.below.find(query)),
        }
    }
}

impl Registry for Broken {
    fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        done(self.sign_in(login))
    }

    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        let mut loaded = at_once(self.below.load(key));
        if let (Some(loaded), Some(last)) = (&mut loaded, self.last_ends.lock().unwrap().get(&key))
        {
            Arc::make_mut(&mut loaded.record).ended = Some(last.clone());
        }
        if let (Some(loaded), Fault::RevivesTheEnded) = (&mut loaded, self.fault)
            && loaded.record.ended.as_ref().is_some_and(|ended| ended.at < loaded.record.last_seen)
        {
            Arc::make_mut(&mut loaded.record).ended = None;
        }
        done(loaded)
    }

    fn touch(&self, key: RecordKey, mut change: ActivityUpdate) -> RegistryFuture<'_, ()> {
        match (self.fault, at_once(self.below.load(key))) {
            (Fault::TrustsTheFuture, _) => change.now = change.now.max(change.seen),
            (Fault::ActivityMovesBack, Some(_)) => change.now = change.seen.min(change.now),
            (Fault::RevivesTheEnded, Some(loaded)) if loaded.record.ended.is_some() => {
                let record = loaded.record;
                let login = NewLogin {
                    key,
                    id: record.id,
                    seal: record.seal,
                    ..NewLogin::new(record.user.clone(), change.now, &session_expire::Policy::new())
                };
                at_once(self.below.login(login));
            }
            _ => {}
        }
        self.below.touch(key, change)
    }

    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        done(self.finish(target, ended))
    }

    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        let asking = at_once(self.below.load(key)).map(|loaded| loaded.record);
        match (self.fault, asking) {
            (Fault::MakesRoomForTheDead, Some(record)) if record.ended.is_some() => {
                self.below.end(EndTarget::All(record.user.clone()), ended)
            }
            (Fault::RequesterYields, Some(record)) => done(self.end_one(&record, ended)),
            _ => self.below.make_room(key, room, ended),
        }
    }

    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        done(self.list(query))
    }
}

/// The names of the promises that a registry with `fault` breaks.
fn broken_by(fault: Option<Fault>) -> Vec<&'static str> {
    let breaks = |promise: fn(&dyn Registry, session_expire::conformance::Runner)| {
        let registry: Box<dyn Registry> = match fault {
            Some(fault) => Box::new(Broken::new(fault)),
            None => Box::new(MemoryRegistry::new()),
        };
        catch_unwind(AssertUnwindSafe(|| promise(&*registry, block_on))).is_err()
    };
    let broken = PROMISES.iter().filter(|(_, promise)| breaks(*promise));
    broken.map(|(name, _)| *name).collect()
}

#[test]
fn every_fault_is_caught_by_the_promise_it_breaks() {
    for (fault, promise) in [
        (Fault::EvictsTheNewest, "the_oldest_login_yields"),
        (Fault::ForgetsBy, "the_oldest_login_yields"),
        (Fault::CountsEnded, "ended_sessions_take_no_place"),
        (Fault::CountsTheRunOut, "whoever_ran_out_refuses_nobody"),
        (Fault::RevivesTheEnded, "an_ended_record_stays_as_it_ended"),
        (Fault::ReplacedHoldsAPlace, "a_replaced_login_holds_no_place"),
        (Fault::ForgetsToReplace, "a_replaced_login_ends_for_the_given_reason"),
        (Fault::ReplacesAnyone, "another_users_login_is_not_replaced"),
        (Fault::LastReasonStays, "the_first_reason_stays"),
        (Fault::RefusalEndsTheOld, "a_refused_login_replaces_nothing"),
        (Fault::HoldersInAnyOrder, "a_login_without_a_place_is_refused_and_nothing_changes"),
        (Fault::ZeroMeansNone, "off_and_zero_mean_no_limit"),
        (Fault::HasNoEnd, "without_a_limit_a_thousand_are_the_limit"),
        (Fault::EndsByIdOfAnyone, "an_id_of_another_user_ends_nothing"),
        (Fault::OthersIncludesItself, "the_others_end_and_the_asking_one_stays"),
        (Fault::AnswersTheEndedAgain, "only_open_ones_are_ended_and_answered"),
        (Fault::MakesRoomForTheDead, "no_room_is_made_for_whoever_has_ended"),
        (Fault::RequesterYields, "whoever_makes_room_stays"),
        (Fault::ListsOldestFirst, "the_newest_login_is_listed_first"),
        (Fault::PagesOverlap, "pages_cover_a_list_exactly_once"),
        (Fault::IgnoresTheFilter, "a_list_holds_open_ones_or_past_ones_or_both"),
        (Fault::TrimsOwners, "owners_may_be_called_anything"),
        (Fault::DropsThePatch, "the_patch_comes_back_as_it_went_in"),
        (Fault::DropsTheAddress, "the_client_comes_back_as_it_went_in"),
        (Fault::RoundsToSeconds, "times_far_away_come_back_as_they_went_in"),
        (Fault::TrustsTheFuture, "activity_never_reaches_into_the_future"),
        (Fault::ActivityMovesBack, "activity_only_moves_forward"),
        (Fault::PassesTheLimitInARace, "of_simultaneous_logins_one_is_admitted"),
        (Fault::EndsInTwoSteps, "of_simultaneous_ends_one_has_done_it"),
    ] {
        let broken = broken_by(Some(fault));
        assert!(broken.contains(&promise), "{fault:?} breaks {broken:?}, but not {promise}");
    }
    assert!(broken_by(None).is_empty(), "without a fault nothing is broken");
}
