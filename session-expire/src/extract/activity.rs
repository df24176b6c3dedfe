//! Activity on an open stream, such as a message on a WebSocket.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::session_handle::SessionHandle;
use crate::{
    config::Config,
    error::RegistryError,
    session::{
        client::Client,
        freshness::is_remembered,
        key::RecordKey,
        update::SessionUpdate,
        verdict::{Verdict, judge_limits},
    },
    watch::watcher::LimitsFn,
};

/// Recorder of activity on a WebSocket or a stream, which works after the response is sent.
/// [`SessionHandle::activity`] returns it. Clones share their state.
#[derive(Clone)]
pub struct Activity(Option<Arc<ActiveSession>>);

struct ActiveSession {
    /// Weak, because a socket must not keep the application's registry open.
    config: Weak<Config>,
    key: RecordKey,
    client: Client,
    limits: LimitsFn,
    write_interval: Duration,
    /// Time of the last activity that was recorded, in milliseconds.
    recorded_at: AtomicI64,
}

impl SessionHandle {
    /// Returns a value that can record activity after the response is sent. Without an active
    /// session, it records nothing.
    ///
    /// Call [`record`](Activity::record) only for messages that the user has caused. Automatic
    /// messages, such as pings, would keep an unattended session active.
    ///
    /// ```
    /// use session_expire::{error::RegistryError, live::Activity};
    ///
    /// async fn receive(message: &str, activity: &Activity) -> Result<(), RegistryError> {
    ///     if message != "ping" {
    ///         activity.record().await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn activity(&self) -> Activity {
        let context = &self.context;
        let is_active = context.acts_for_session() && !context.is_exempt();
        Activity(context.record().filter(|_| is_active).map(|loaded| {
            Arc::new(ActiveSession {
                config: Arc::downgrade(context.config()),
                key: loaded.key,
                client: context.config().client(&self.req),
                limits: context.limits_fn(),
                write_interval: context.write_interval(),
                recorded_at: AtomicI64::new(loaded.record.last_seen.as_millis()),
            })
        }))
    }
}

impl Activity {
    /// Records that the user is active now. It does nothing if the session has ended or has expired
    /// under the policy of the handler, or if the application has shut down.
    ///
    /// # Cost
    ///
    /// Nothing, unless the last recorded activity is older than a sixtieth of the idle timeout (at
    /// most 30 s). Then it loads the session and updates it.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the activity may not be recorded.
    pub async fn record(&self) -> Result<(), RegistryError> {
        let Some(session) = &self.0 else { return Ok(()) };
        let Some(config) = session.config.upgrade() else { return Ok(()) };
        let (now, interval) = (config.now(), session.write_interval);
        let before = session.recorded_at.load(Ordering::Acquire);
        let is_due = now.minus(interval).as_millis() > before || now.as_millis() < before;
        if !is_due || !session.replace_time(before, now.as_millis()) {
            return Ok(());
        }
        // If this call fails or is dropped, the next one can record the activity.
        let mut claim = Claim { session, claimed: now.as_millis(), before };
        session.record(&config).await?;
        claim.before = claim.claimed;
        Ok(())
    }
}

/// Claim of one call to record the activity. Dropping it sets the time of the last activity.
struct Claim<'a> {
    session: &'a ActiveSession,
    claimed: i64,
    /// Time to set: the former time, or `claimed` once the activity is recorded.
    before: i64,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.session.replace_time(self.claimed, self.before);
    }
}

impl ActiveSession {
    /// Replaces the time of the last activity. Returns `false` if it is not `current`.
    fn replace_time(&self, current: i64, new: i64) -> bool {
        let (set, read) = (Ordering::AcqRel, Ordering::Acquire);
        self.recorded_at.compare_exchange(current, new, set, read).is_ok()
    }

    async fn record(&self, config: &Config) -> Result<(), RegistryError> {
        let Some(loaded) = config.registry.load(self.key, false).await? else {
            return Ok(());
        };
        let (record, now) = (loaded.record, config.now());
        let verdict = judge_limits(&record.facts(), (self.limits)(&record), now);
        if !matches!(verdict, Verdict::Active(_)) {
            return Ok(());
        }
        let mut update = SessionUpdate::new(now).active(now);
        update.client = Some(self.client.clone());
        update.remembered = is_remembered(&record, config.policy.idle, now);
        update.longest = config.longer_timeouts(&record);
        config.registry.update(record.session_ref(), update).await.map(drop)
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Activity(…)")
    }
}
