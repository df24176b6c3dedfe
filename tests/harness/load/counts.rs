//! Counts of requests and of violated guarantees.

use std::fmt;

/// Counts the requests of users, and the violated guarantees.
#[derive(Clone, Default)]
pub struct Counts {
    pub(super) reads: u64,
    pub(super) logins: u64,
    pub(super) ends: u64,
    /// Requests without a response.
    pub failures: u64,
    /// Acknowledged logins without a record, or with an ended one.
    pub lost_logins: u64,
    /// Sessions that a registry accepted after an acknowledged end.
    pub revived_ends: u64,
    /// Sessions that ended without a request and without a reported eviction.
    pub(super) unexplained_ends: u64,
    /// Logins that evicted sessions other than the oldest ones beyond the limit.
    pub(super) wrong_evictions: u64,
    /// Evictions in more than one response.
    pub(super) repeated_evictions: u64,
    /// Lists that contradict the records.
    pub(super) wrong_lists: u64,
    /// Lists with more open sessions than the limit.
    pub(super) over_limit: u64,
    /// Listed sessions of unknown logins.
    pub(super) invented: u64,
}

impl Counts {
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.reads += other.reads;
        self.logins += other.logins;
        self.ends += other.ends;
        self.failures += other.failures;
        self.lost_logins += other.lost_logins;
        self.revived_ends += other.revived_ends;
        self.unexplained_ends += other.unexplained_ends;
        self.wrong_evictions += other.wrong_evictions;
        self.repeated_evictions += other.repeated_evictions;
        self.wrong_lists += other.wrong_lists;
        self.over_limit += other.over_limit;
        self.invented += other.invented;
    }

    /// Fails if a limit or a list was not exact, or if a session ended without a request.
    pub fn assert_exact(&self) {
        let Self { unexplained_ends, wrong_evictions, repeated_evictions, .. } = self;
        let Self { wrong_lists, over_limit, invented, .. } = self;
        let ends = [unexplained_ends, wrong_evictions, repeated_evictions];
        assert_eq!(ends, [&0; 3], "unexplained ends, wrong evictions, repeated evictions");
        let lists = [wrong_lists, over_limit, invented];
        assert_eq!(lists, [&0; 3], "wrong lists, over the limit, invented sessions");
    }

    /// Also fails if an acknowledged change was lost.
    pub fn assert_durable(&self) {
        assert_eq!((self.lost_logins, self.revived_ends), (0, 0), "{self}");
        self.assert_exact();
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reads, logins, ends, failures, lost_logins, revived_ends, .. } = self;
        write!(f, "{logins} logins, {ends} ends, {reads} reads, {failures} errors; ")?;
        write!(f, "{lost_logins} logins lost, {revived_ends} ends lost")
    }
}
