//! Generations of an index.
//!
//! The generation is the number of calls of
//! [`Registry::end_everyone`](crate::registry::Registry::end_everyone). A call changes only this
//! number. Each shard ends its records of earlier generations before its next use.

use std::{
    collections::VecDeque,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::session::ended::Ended;

/// Number of remembered ends. A record of an even earlier generation has the oldest of them.
const MAX_ENDS: usize = 16;

/// Current generation, and the ends of the latest generations.
#[derive(Debug, Default)]
pub(crate) struct Generations {
    current: AtomicU64,
    /// Ends of the latest generations, oldest first.
    ends: RwLock<VecDeque<Ended>>,
}

impl Generations {
    pub(crate) fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    /// Starts the next generation, and returns the previous one. All open records of earlier
    /// generations end with `ended`.
    pub(crate) fn start_next(&self, ended: Ended) -> u64 {
        let mut ends = self.ends.write().unwrap_or_else(PoisonError::into_inner);
        ends.push_back(ended);
        while ends.len() > MAX_ENDS {
            ends.pop_front();
        }
        self.current.fetch_add(1, Ordering::Release)
    }

    /// Returns the current generation, and the end of the records of `generation`. The end is
    /// `None` for the current generation.
    pub(crate) fn end_after(&self, generation: u64) -> (u64, Option<Ended>) {
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        let later = usize::try_from(current.saturating_sub(generation)).unwrap_or(usize::MAX);
        let position = ends.len().saturating_sub(later);
        (current, ends.get(position).cloned().filter(|_| later > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{session::reason::Reason, time::Timestamp};

    #[test]
    fn record_has_the_first_end_after_its_generation() {
        let generations = Generations::default();
        let ended = |n: u64| Ended::new(Reason::Revoked, Timestamp::from_millis(n as i64));
        assert_eq!(generations.end_after(0), (0, None));
        (1..=20).for_each(|n| assert_eq!(generations.start_next(ended(n)), n - 1));
        for (generation, expected) in
            [(20, None), (19, Some(20)), (5, Some(6)), (4, Some(5)), (3, Some(5)), (0, Some(5))]
        {
            let end = generations.end_after(generation);
            assert_eq!(end, (20, expected.map(ended)), "{generation}");
        }
    }
}
