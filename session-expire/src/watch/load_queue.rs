//! Queue of sessions to load, in the order of the reports.
//!
//! A session waits at most once. Its ticket is its position in the queue. If its load fails, the
//! session keeps the ticket.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    ops::Bound,
};

use super::table::SessionNumber;
use crate::session::key::RecordKey;

/// Position in the queue. A ticket is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(NonZeroU64);

/// Waiting and running load of a session.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LoadState {
    /// Ticket of the waiting load.
    pub(super) waiting: Option<Ticket>,
    /// Ticket of the running load. Until that load ends, the waiting load is not in the queue.
    pub(super) running: Option<Ticket>,
    /// `true` if the event streams get an event after the waiting load.
    pub(super) is_news: bool,
}

/// Load of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Task {
    pub(super) number: SessionNumber,
    pub(super) key: RecordKey,
    /// `true` if the event streams of the session get an event.
    pub(super) is_news: bool,
    /// `true` if the load only checks whether the registry is available again.
    pub(super) is_probe: bool,
    pub(super) ticket: Ticket,
    /// Number of batches with a successful load at the start of this one.
    pub(super) successes: u64,
}

#[derive(Default)]
pub(super) struct LoadQueue {
    waiting: BTreeMap<Ticket, SessionNumber>,
    /// Sessions whose loads have failed, until the next retry.
    failed: BTreeMap<Ticket, SessionNumber>,
    /// Sessions that are added to the queue after a pause.
    delayed: BTreeSet<SessionNumber>,
    /// Number of the last ticket.
    last: u64,
    /// Ticket of the last failed session that was loaded as a probe.
    probed: Option<Ticket>,
}

impl LoadQueue {
    pub(super) fn next_ticket(&mut self) -> Ticket {
        self.last += 1;
        Ticket(NonZeroU64::new(self.last).unwrap_or(NonZeroU64::MAX))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.delayed.is_empty()
    }

    pub(super) fn has_delayed(&self) -> bool {
        !self.delayed.is_empty()
    }

    /// Adds a session, unless it waits already. A session with a running load is added when that
    /// load ends.
    pub(super) fn add(&mut self, number: SessionNumber, load: &mut LoadState, is_news: bool) {
        self.delayed.remove(&number);
        load.is_news |= is_news;
        if load.waiting.is_some() {
            return;
        }
        let ticket = self.next_ticket();
        load.waiting = Some(ticket);
        if load.running.is_none() {
            self.waiting.insert(ticket, number);
        }
    }

    /// Adds a session after a pause.
    pub(super) fn delay(&mut self, number: SessionNumber) {
        self.delayed.insert(number);
    }

    /// Returns the sessions whose pause is over.
    pub(super) fn take_delayed(&mut self) -> BTreeSet<SessionNumber> {
        std::mem::take(&mut self.delayed)
    }

    /// Removes a session.
    pub(super) fn remove(&mut self, number: SessionNumber, load: &LoadState) {
        self.delayed.remove(&number);
        if let Some(ticket) = load.waiting {
            self.waiting.remove(&ticket);
            self.failed.remove(&ticket);
        }
    }

    /// Returns the first session.
    pub(super) fn first(&self) -> Option<SessionNumber> {
        self.waiting.values().next().copied()
    }

    /// Starts a load. Returns its ticket, and `true` if the event streams get an event.
    pub(super) fn start(&mut self, number: SessionNumber, load: &mut LoadState) -> (Ticket, bool) {
        self.remove(number, load);
        let ticket = load.waiting.take().unwrap_or_else(|| self.next_ticket());
        load.running = Some(ticket);
        (ticket, std::mem::take(&mut load.is_news))
    }

    /// Ends the running load, and adds the one that waits for it.
    pub(super) fn finish(&mut self, number: SessionNumber, load: &mut LoadState) {
        load.running = None;
        if let Some(ticket) = load.waiting {
            self.waiting.insert(ticket, number);
        }
    }

    /// Postpones a load that has failed until the next retry. It keeps its ticket.
    pub(super) fn postpone(&mut self, number: SessionNumber, load: &mut LoadState, ticket: Ticket) {
        load.running = None;
        load.waiting = Some(ticket);
        self.failed.insert(ticket, number);
    }

    /// Adds a session at its former position.
    pub(super) fn restart(&mut self, number: SessionNumber, load: &mut LoadState, ticket: Ticket) {
        load.running = None;
        load.waiting = Some(ticket);
        self.waiting.insert(ticket, number);
    }

    /// Adds the sessions whose loads have failed, at their former positions.
    pub(super) fn retry(&mut self) {
        self.waiting.append(&mut self.failed);
    }

    /// Returns a session whose load checks whether the registry is available again: the first in
    /// the queue, or else the next whose load has failed.
    pub(super) fn probe(&mut self) -> Option<SessionNumber> {
        if let Some(number) = self.first() {
            return Some(number);
        }
        let after = self.probed.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.failed.range((after, Bound::Unbounded)).next();
        let (ticket, number) = next.or_else(|| self.failed.first_key_value())?;
        self.probed = Some(*ticket);
        Some(*number)
    }
}
