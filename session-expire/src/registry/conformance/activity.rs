//! Promises about `touch`: activity, and what the user has of their own.

use std::sync::Arc;

use super::stage::{
    activity, answered, load, login, now, open_ids, sign_in, sign_in_often, somebody,
};
use crate::{
    facts::Reason,
    policy::PolicyPatch,
    registry::{
        EndTarget, Registry,
        key::RecordKey,
        record::{ActivityUpdate, Ended},
    },
    time::{hours, minutes},
};

async fn touch(registry: &dyn Registry, key: RecordKey, change: ActivityUpdate) {
    answered("touch", registry.touch(key, change)).await;
}

/// `last_seen` goes to the latest activity, in whatever order activities arrive.
pub async fn activity_only_moves_forward(registry: &dyn Registry) {
    let at = now();
    let login = login(&somebody("alice"), at);
    sign_in(registry, &login).await;
    let (sooner, later) = (at.plus(minutes(2)), at.plus(minutes(5)));
    touch(registry, login.key, activity(later)).await;
    assert_eq!(load(registry, login.key).await.record.last_seen, later, "activity was not noted");
    touch(registry, login.key, ActivityUpdate { seen: sooner, ..activity(later) }).await;
    let record = load(registry, login.key).await.record;
    assert_eq!(record.last_seen, later, "an earlier activity that arrived late moved it back");
    assert_eq!(record.logged_in_at, at, "activity moved the time of the login");
}

/// Activity that claims to come from the future counts as now.
pub async fn activity_never_reaches_into_the_future(registry: &dyn Registry) {
    let at = now();
    let login = login(&somebody("alice"), at);
    sign_in(registry, &login).await;
    let then = at.plus(minutes(1));
    touch(registry, login.key, ActivityUpdate { seen: at.plus(hours(1)), ..activity(then) }).await;
    let last_seen = load(registry, login.key).await.record.last_seen;
    assert_eq!(last_seen, then, "activity was noted later than now");
}

/// Times that a clock gone wrong has left in the future are pulled back to now.
pub async fn a_time_in_the_future_is_pulled_back(registry: &dyn Registry) {
    let at = now();
    let login = login(&somebody("alice"), at.plus(hours(5)));
    sign_in(registry, &login).await;
    touch(registry, login.key, activity(at)).await;
    let record = load(registry, login.key).await.record;
    assert_eq!(record.last_seen, at, "`last_seen` still lies in the future");
    assert_eq!(record.logged_in_at, at, "`logged_in_at` still lies in the future");
}

/// An ended record doesn't change any more, and doesn't come back to life.
pub async fn an_ended_record_stays_as_it_ended(registry: &dyn Registry) {
    let (alice, at) = (somebody("alice"), now());
    let login = login(&alice, at);
    sign_in(registry, &login).await;
    let over = Ended::new(Reason::LoggedOut, at.plus(minutes(1)));
    answered("end", registry.end(EndTarget::Key(login.key), over)).await;
    let before = load(registry, login.key).await;
    let patch = Some(Some(Arc::new(PolicyPatch::new().idle(minutes(1)))));
    touch(registry, login.key, ActivityUpdate { patch, ..activity(at.plus(minutes(2))) }).await;
    assert_eq!(load(registry, login.key).await, before, "activity changed an ended record");
    assert_eq!(open_ids(registry, &alice).await, [].into(), "activity revived an ended record");
}

/// Activity under a key that was never there is nothing: no error, and no record.
pub async fn activity_of_an_unknown_key_is_nothing(registry: &dyn Registry) {
    let key = RecordKey::random(&somebody("nobody"));
    touch(registry, key, activity(now())).await;
    assert_eq!(answered("load", registry.load(key)).await, None, "activity made up a record");
}

/// Activity of one session is not activity of another.
pub async fn activity_is_noted_for_one_session_only(registry: &dyn Registry) {
    let at = now();
    let logins = sign_in_often(registry, &somebody("alice"), 3, at).await;
    touch(registry, logins[1].key, activity(at.plus(minutes(9)))).await;
    for other in [&logins[0], &logins[2]] {
        let last_seen = load(registry, other.key).await.record.last_seen;
        assert_eq!(last_seen, other.at, "activity was noted for another session as well");
    }
}

/// A change sets the patch, clears it, or leaves it alone.
pub async fn a_change_sets_and_clears_the_patch(registry: &dyn Registry) {
    let at = now();
    let login = login(&somebody("alice"), at);
    sign_in(registry, &login).await;
    let patch = Some(Arc::new(PolicyPatch::new().idle(minutes(3)).message("early")));
    for (change, expected) in
        [(Some(patch.clone()), patch.clone()), (None, patch), (Some(None), None), (None, None)]
    {
        let told = format!("after the change {change:?}");
        touch(registry, login.key, ActivityUpdate { patch: change, ..activity(at) }).await;
        assert_eq!(load(registry, login.key).await.record.patch, expected, "{told}");
    }
}
