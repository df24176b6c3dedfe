//! Watched sessions, their open watches, and the deadlines of watches.

use std::sync::Arc;

use super::{
    load_queue::LoadState,
    slot::{Slot, WatchKind},
    table::{NewWatch, SessionNumber},
    watch_list::WatchNumber,
};
use crate::{
    policy::limit::{Limit, Limits},
    session::{
        key::{PublicId, RecordKey},
        reason::Reason,
        record::SessionRecord,
        signing_key::SigningKey,
        verdict::{Verdict, judge_limits},
    },
    time::Timestamp,
};

/// Function that returns the timeouts of a stream for the current record of its session. Streams of
/// the same handler share it.
pub(crate) type LimitsFn = Arc<dyn Fn(&SessionRecord) -> Limits + Send + Sync>;

/// Deadline of a watch without timeouts.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

pub(super) struct WatchedSession {
    pub(super) key: RecordKey,
    pub(super) id: PublicId,
    /// Time of the last activity, from the newest loaded record.
    pub(super) last_seen: Timestamp,
    pub(super) load: LoadState,
    /// Oldest and newest watch; `None` without watches.
    pub(super) watches: Option<(WatchNumber, WatchNumber)>,
    /// Number of event streams.
    pub(super) pages: u32,
}

/// Open watch, linked with the other watches of its session.
pub(super) struct OpenWatch {
    pub(super) slot: Arc<Slot>,
    pub(super) limits: LimitsFn,
    /// Last known deadline; [`NEVER`] without timeouts.
    pub(super) deadline: Timestamp,
    /// Set for an event stream.
    pub(super) page: Option<PageKey>,
    pub(super) session: SessionNumber,
    pub(super) older: Option<WatchNumber>,
    pub(super) newer: Option<WatchNumber>,
}

/// First bytes of the signing key with which the token of a page is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct PageKey([u8; 8]);

impl PageKey {
    pub(super) fn new(key: &SigningKey) -> Self {
        let mut first = [0; 8];
        first.iter_mut().zip(key.bytes()).for_each(|(first, byte)| *first = *byte);
        Self(first)
    }
}

impl OpenWatch {
    pub(super) fn new(watch: NewWatch, session: SessionNumber, now: Timestamp) -> Self {
        let NewWatch { record, limits, kind, .. } = watch;
        let page = PageKey::new(record.signing_key());
        Self {
            slot: Arc::default(),
            deadline: deadline(&record, limits(&record), now).unwrap_or(now),
            limits,
            page: (kind == WatchKind::Page).then_some(page),
            session,
            older: None,
            newer: None,
        }
    }

    /// Returns `true` if the watch belongs to a page whose token is void.
    pub(super) fn has_void_token(&self, record: &SessionRecord) -> bool {
        self.page.is_some_and(|key| key != PageKey::new(record.signing_key()))
    }

    /// Returns the next deadline. Returns the reason as an error if the session has expired.
    ///
    /// `is_frozen` is `true` from a step back of the clock to the next activity. The deadline then
    /// stays, because times in the future count as `now` and each load would extend the session.
    pub(super) fn next_deadline(
        &self,
        record: &SessionRecord,
        is_frozen: bool,
        now: Timestamp,
    ) -> Result<Timestamp, Reason> {
        let limits = (self.limits)(record);
        let deadline = deadline(record, limits, now)?;
        match self.deadline.min(deadline) {
            _ if !is_frozen => Ok(deadline),
            known if known > now => Ok(known),
            _ if limits.idle.at().is_some() => Err(Reason::Idle),
            _ => Err(Reason::Absolute),
        }
    }
}

/// Returns the time at which an open session expires without further activity. Returns the reason
/// as an error if it has expired.
pub(super) fn deadline(
    record: &SessionRecord,
    limits: Limits,
    now: Timestamp,
) -> Result<Timestamp, Reason> {
    match judge_limits(&record.facts(), limits, now) {
        Verdict::Active(left) => match left.nearest() {
            Limit::At(left) => Ok(now.plus(left)),
            Limit::Off => Ok(NEVER),
        },
        Verdict::Expired(reason) => Err(reason),
        Verdict::Anonymous => Err(Reason::Unknown),
    }
}
