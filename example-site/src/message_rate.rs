//! Rate limit for the chat messages of a user.
//!
//! A message that exceeds the rate waits. All sockets of a user share one rate.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Rate of messages: a burst, and then one message per interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRate {
    /// Number of messages that a user can send at once.
    pub burst: u32,
    /// Time after which a user can send one more message.
    pub interval: Duration,
}

impl Default for MessageRate {
    /// Returns a rate of 20 messages at once, and then 5 messages per second.
    fn default() -> Self {
        Self { burst: 20, interval: Duration::from_millis(200) }
    }
}

impl MessageRate {
    /// Returns the time at which a message sent `now` is due, and the time at which a full burst is
    /// possible again. `full_at` is the latter time before this message.
    fn schedule(self, full_at: Option<Instant>, now: Instant) -> (Instant, Instant) {
        let full_at = full_at.map_or(now, |full_at| full_at.max(now)) + self.interval;
        let wait = (full_at - now).saturating_sub(self.interval * self.burst);
        (now + wait, full_at)
    }
}

/// Schedule of the messages of all users.
#[derive(Default)]
pub(crate) struct Schedule {
    rate: MessageRate,
    full_at: Mutex<HashMap<&'static str, Instant>>,
}

impl Schedule {
    pub(crate) fn new(rate: MessageRate) -> Self {
        Self { rate, full_at: Mutex::default() }
    }

    /// Counts a message of the user. Returns the time when it is due.
    pub(crate) fn add(&self, user: &'static str, now: Instant) -> Instant {
        let mut users = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let (due, full_at) = self.rate.schedule(users.get(user).copied(), now);
        users.insert(user, full_at);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_beyond_the_burst_are_due_one_per_interval() {
        let rate = MessageRate { burst: 2, interval: Duration::from_secs(1) };
        let (schedule, start) = (Schedule::new(rate), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        for (user, now, due) in [
            ("alice", 0, 0),
            ("alice", 0, 0),
            ("alice", 0, 1_000),
            ("alice", 500, 2_000),
            ("bob", 500, 500),
            ("alice", 2_500, 3_000),
            // A full burst is possible after a pause.
            ("alice", 9_000, 9_000),
            ("alice", 9_000, 9_000),
            ("alice", 9_000, 10_000),
        ] {
            assert_eq!(schedule.add(user, at(now)), at(due), "{user} at {now}");
        }
    }

    #[test]
    fn rate_without_an_interval_delays_no_message() {
        let rate = MessageRate { burst: 0, interval: Duration::ZERO };
        let (schedule, now) = (Schedule::new(rate), Instant::now());
        assert!((0..1_000).all(|_| schedule.add("alice", now) == now));
    }
}
