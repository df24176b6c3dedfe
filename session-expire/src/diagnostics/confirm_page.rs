//! Detection of a confirmation page that never makes a session fresh.
//!
//! Such a page redirects the user back, and the policy refuses the session again. The user cannot
//! leave this loop, so the mistake is logged.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    session::key::PublicId,
    time::{Timestamp, minutes, seconds},
};

/// Largest number of recorded refusals; the oldest is deleted first.
const MAX_REFUSALS: usize = 64;

/// Longest time from the success of the confirmation page to the second refusal.
const LOOP_TIME: std::time::Duration = seconds(10);

/// How long a refusal counts. A user who has not confirmed by then has probably left.
const REFUSAL_TIME: std::time::Duration = minutes(10);

/// Refusals of sessions that were not fresh.
#[derive(Debug, Default)]
pub(super) struct ConfirmPage {
    has_refusals: AtomicBool,
    refusals: Mutex<VecDeque<Refusal>>,
}

/// Refusal of a session that was not fresh.
#[derive(Debug)]
struct Refusal {
    session: PublicId,
    path: Box<str>,
    at: Timestamp,
    /// When the confirmation page last responded without an error to this session.
    succeeded_at: Option<Timestamp>,
}

impl ConfirmPage {
    /// Returns `true` if there are refusals, so that a success of the confirmation page must be
    /// recorded.
    pub(super) fn is_awaited(&self) -> bool {
        self.has_refusals.load(Ordering::Relaxed)
    }

    /// Records a refusal. Returns `true` if the session was already refused at the same path, and
    /// the confirmation page has succeeded in between, at most ten seconds ago.
    pub(super) fn record_refusal(&self, session: PublicId, path: &str, now: Timestamp) -> bool {
        let mut refusals = self.recent(now);
        let known = |refusal: &Refusal| refusal.session == session && *refusal.path == *path;
        let position = refusals.iter().position(known);
        let before = position.and_then(|position| refusals.remove(position));
        if before.is_none() && refusals.len() >= MAX_REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back(Refusal { session, path: path.into(), at: now, succeeded_at: None });
        self.has_refusals.store(true, Ordering::Relaxed);
        let succeeded_at = before.and_then(|before| before.succeeded_at);
        succeeded_at.is_some_and(|at| now.since(at) <= LOOP_TIME)
    }

    /// Records that the confirmation page has responded without an error. If it has confirmed the
    /// session, its refusals are deleted.
    pub(super) fn record_success(&self, session: PublicId, is_confirmed: bool, now: Timestamp) {
        let mut refusals = self.recent(now);
        if is_confirmed {
            refusals.retain(|refusal| refusal.session != session);
        }
        let own = refusals.iter_mut().filter(|refusal| refusal.session == session);
        own.for_each(|refusal| refusal.succeeded_at = Some(now));
        self.has_refusals.store(!refusals.is_empty(), Ordering::Relaxed);
    }

    /// Deletes the refusals that no longer count, and returns the others.
    fn recent(&self, now: Timestamp) -> MutexGuard<'_, VecDeque<Refusal>> {
        let mut refusals = self.lock();
        refusals.retain(|refusal| now.since(refusal.at) < REFUSAL_TIME);
        refusals
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Refusal>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    #[test]
    fn second_refusal_after_a_success_is_a_loop() {
        let (alice, bob) = (PublicId::random(), PublicId::random());
        let after = |time| NOON.plus(seconds(time));
        for (session, path, succeeded, refused_at, is_loop) in [
            (alice, "/settings", Some(false), 10, true),
            (alice, "/settings", Some(false), 11, false),
            (alice, "/settings", Some(true), 1, false),
            (alice, "/settings", None, 1, false),
            (alice, "/devices", Some(false), 1, false),
            (bob, "/settings", Some(false), 1, false),
        ] {
            let page = ConfirmPage::default();
            assert!(!page.is_awaited());
            assert!(!page.record_refusal(alice, "/settings", NOON));
            assert!(page.is_awaited());
            if let Some(is_confirmed) = succeeded {
                page.record_success(alice, is_confirmed, NOON);
                assert_eq!(page.is_awaited(), !is_confirmed);
            }
            let again = page.record_refusal(session, path, after(refused_at));
            assert_eq!(again, is_loop, "{path} {succeeded:?} {refused_at}");
        }
    }

    #[test]
    fn refusal_counts_for_ten_minutes() {
        let (alice, bob) = (PublicId::random(), PublicId::random());
        for (after, is_awaited) in [(minutes(10) - seconds(1), true), (minutes(10), false)] {
            let page = ConfirmPage::default();
            page.record_refusal(alice, "/settings", NOON);
            page.record_success(bob, true, NOON.plus(after));
            assert_eq!(page.is_awaited(), is_awaited, "{after:?}");
        }
    }

    #[test]
    fn number_of_refusals_is_limited() {
        let page = ConfirmPage::default();
        for _ in 0..2 * MAX_REFUSALS {
            page.record_refusal(PublicId::random(), "/settings", NOON);
        }
        assert_eq!(page.lock().len(), MAX_REFUSALS);
    }
}
