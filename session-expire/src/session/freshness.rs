//! Freshness of a session.
//!
//! A kept session ("keep me signed in") outlives the application's idle timeout. After a longer
//! absence, the cookie proves only that it is the same browser. The session is then *remembered*
//! until the user re-authenticates. The middleware records this with the activity of the request.

use std::time::Duration;

use super::record::SessionRecord;
use crate::{policy::limit::Limit, time::Timestamp};

/// Returns `true` if the session is remembered: the record says so, or the user comes back at `now`
/// after `app_idle`, the idle timeout of the application's policy.
///
/// Only a session whose login policy has a longer idle timeout can be remembered. If another
/// session is active after `app_idle`, a page with a laxer policy has accepted it, and it stays
/// fresh.
pub(crate) fn is_remembered(
    record: &SessionRecord,
    app_idle: Limit<Duration>,
    now: Timestamp,
) -> bool {
    record.remembered || is_back_late(record, app_idle, now)
}

/// Returns the time for which the session stays fresh under the policy option `fresh`; `None` if it
/// is not fresh. At exactly the limit, a session is no longer fresh.
///
/// An impersonated session is never fresh, because the impersonated user has not authenticated. A
/// remembered session is not fresh either.
pub(crate) fn fresh_for(
    record: &SessionRecord,
    fresh: Duration,
    app_idle: Limit<Duration>,
    now: Timestamp,
) -> Option<Duration> {
    let end = record.authenticated_at.min(now).plus(fresh);
    let is_fresh = now < end && record.actor.is_none() && !is_remembered(record, app_idle, now);
    is_fresh.then(|| end.since(now))
}

fn is_back_late(record: &SessionRecord, app_idle: Limit<Duration>, now: Timestamp) -> bool {
    let Limit::At(app_idle) = app_idle else { return false };
    let login_idle = record.login_policy.as_ref().and_then(|policy| policy.idle);
    let is_kept = login_idle.is_some_and(|idle| idle.at().is_none_or(|idle| idle > app_idle));
    is_kept && now.since(record.last_seen.max(record.authenticated_at)) >= app_idle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{Policy, PolicyPatch},
        session::login::NewLogin,
        time::{days, minutes, seconds},
    };

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn record(login_policy: Option<PolicyPatch>) -> SessionRecord {
        let mut login = NewLogin::new("alice", NOON, &Policy::new());
        login.login_policy = login_policy.map(Into::into);
        SessionRecord::new(&login)
    }

    #[test]
    fn kept_session_is_remembered_after_the_applications_idle_timeout() {
        let (ten, kept) = (Limit::At(minutes(10)), Some(PolicyPatch::new().idle(days(30))));
        let endless = Some(PolicyPatch::new().idle(Limit::Off));
        let absolute = Some(PolicyPatch::new().absolute(days(30)));
        let same = Some(PolicyPatch::new().idle(minutes(10)));
        let short = Some(PolicyPatch::new().idle(minutes(1)));
        let early = minutes(10) - Duration::from_millis(1);
        for (login_policy, app_idle, after, remembered) in [
            (&kept, ten, early, false),
            (&kept, ten, minutes(10), true),
            (&kept, ten, days(29), true),
            (&kept, Limit::Off, days(29), false),
            (&kept, Limit::At(days(30)), days(30), false),
            (&endless, ten, minutes(10), true),
            (&absolute, ten, minutes(10), false),
            (&same, ten, minutes(10), false),
            (&short, ten, minutes(10), false),
            (&None, ten, minutes(10), false),
        ] {
            let record = record(login_policy.clone());
            let is_remembered = is_remembered(&record, app_idle, NOON.plus(after));
            assert_eq!(is_remembered, remembered, "{login_policy:?} {app_idle} {after:?}");
        }
    }

    #[test]
    fn remembered_session_stays_so_until_authentication() {
        let ten = Limit::At(minutes(10));
        let mut record = record(Some(PolicyPatch::new().idle(days(30))));
        (record.remembered, record.last_seen) = (true, NOON.plus(days(1)));
        let now = NOON.plus(days(1)).plus(seconds(1));
        assert!(is_remembered(&record, ten, now));
        record.reauthenticate(record.id, now);
        assert!(!is_remembered(&record, ten, now));
        assert!(!is_remembered(&record, ten, NOON));
        assert!(is_remembered(&record, ten, now.plus(minutes(10))));
    }

    #[test]
    fn session_is_fresh_until_exactly_its_limit() {
        let idle = Limit::At(minutes(10));
        let fresh = |record: &SessionRecord, now| fresh_for(record, minutes(5), idle, now);
        let mut active = record(None);
        active.last_seen = NOON.plus(minutes(9));
        let ms = Duration::from_millis(1);
        let end = NOON.plus(minutes(5));
        assert_eq!(fresh(&active, NOON), Some(minutes(5)));
        assert_eq!(fresh(&active, end.minus(ms)), Some(ms));
        assert_eq!(fresh(&active, end), None);
        // A time after `now` counts as `now`.
        assert_eq!(fresh(&active, NOON.minus(days(1))), Some(minutes(5)));
        let impersonated = SessionRecord { actor: Some("root".into()), ..active.clone() };
        assert_eq!(fresh(&impersonated, NOON), None);
        let remembered = SessionRecord { remembered: true, ..active };
        assert_eq!(fresh(&remembered, NOON), None);
    }
}
