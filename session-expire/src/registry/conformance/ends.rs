//! Promises about `end`: exactly the right ones, once, for good.

use std::sync::Arc;

use super::stage::{
    answered, assert_ended, end_of, ids_of, load, now, open_ids, sign_in_often, somebody,
};
use crate::{
    facts::Reason,
    registry::{
        EndTarget, Registry,
        key::{PublicId, RecordKey},
        login::NewLogin,
        record::{Ended, SessionRecord},
    },
    time::{Timestamp, minutes},
};

async fn end(registry: &dyn Registry, target: EndTarget, ended: &Ended) -> Vec<SessionRecord> {
    answered("end", registry.end(target, ended.clone())).await
}

/// Alice with three sessions, Bob with two, and a time after all of them.
async fn two_people(registry: &dyn Registry) -> (Vec<NewLogin>, Vec<NewLogin>, Timestamp) {
    let at = now();
    let alices = sign_in_often(registry, &somebody("alice"), 3, at).await;
    let bobs = sign_in_often(registry, &somebody("bob"), 2, at).await;
    (alices, bobs, at.plus(minutes(5)))
}

/// An end as full as can be, to see that nothing of it is lost.
fn thrown_out(at: Timestamp) -> Ended {
    Ended { at, reason: Reason::Revoked, by: Some("Opera on Amiga".into()) }
}

/// By its key one record ends, and no other.
pub async fn a_key_ends_one_record(registry: &dyn Registry) {
    let (alices, bobs, later) = two_people(registry).await;
    let over = thrown_out(later);
    let ended = end(registry, EndTarget::Key(alices[1].key), &over).await;
    assert_ended(registry, &ended, &alices[1..2], &over).await;
    let rest = ids_of(&[alices[0].clone(), alices[2].clone()]);
    assert_eq!(open_ids(registry, &alices[0].user).await, rest, "of the same user");
    assert_eq!(open_ids(registry, &bobs[0].user).await, ids_of(&bobs), "of another user");
}

/// By its public id one record ends, and no other.
pub async fn an_id_ends_one_record(registry: &dyn Registry) {
    let (alices, _, later) = two_people(registry).await;
    let over = thrown_out(later);
    let target = EndTarget::Id(Arc::clone(&alices[0].user), alices[0].id);
    assert_ended(registry, &end(registry, target, &over).await, &alices[..1], &over).await;
    assert_eq!(open_ids(registry, &alices[0].user).await, ids_of(&alices[1..]), "of the same user");
}

/// Whoever knows the public id of someone else's session can't end it in their own name.
pub async fn an_id_of_another_user_ends_nothing(registry: &dyn Registry) {
    let (alices, bobs, later) = two_people(registry).await;
    let target = EndTarget::Id(Arc::clone(&bobs[0].user), alices[0].id);
    assert_eq!(end(registry, target, &thrown_out(later)).await, [], "Bob ended Alice's session");
    assert_eq!(end_of(registry, alices[0].key).await, None, "Bob ended Alice's session unsaid");
}

/// "Sign out everywhere else" leaves the one that asks, and touches no other user.
pub async fn the_others_end_and_the_asking_one_stays(registry: &dyn Registry) {
    let (alices, bobs, later) = two_people(registry).await;
    let over = thrown_out(later);
    let target = EndTarget::Others(Arc::clone(&alices[0].user), alices[0].id);
    assert_ended(registry, &end(registry, target, &over).await, &alices[1..], &over).await;
    assert_eq!(open_ids(registry, &alices[0].user).await, ids_of(&alices[..1]), "of the same user");
    assert_eq!(open_ids(registry, &bobs[0].user).await, ids_of(&bobs), "of another user");
}

/// "Sign out everywhere" ends all of one user's, and touches no other user.
pub async fn all_end_and_only_this_users(registry: &dyn Registry) {
    let (alices, bobs, later) = two_people(registry).await;
    let over = thrown_out(later);
    let target = EndTarget::All(Arc::clone(&alices[0].user));
    assert_ended(registry, &end(registry, target, &over).await, &alices, &over).await;
    assert_eq!(open_ids(registry, &bobs[0].user).await, ids_of(&bobs), "of another user");
    assert_eq!(load(registry, alices[0].key).await.open, 0, "the ended ones still count as open");
}

/// What has ended is not ended again, and not answered again.
pub async fn only_open_ones_are_ended_and_answered(registry: &dyn Registry) {
    let (alices, _, later) = two_people(registry).await;
    end(registry, EndTarget::Key(alices[1].key), &Ended::new(Reason::LoggedOut, later)).await;
    let over = thrown_out(later.plus(minutes(1)));
    let ended = end(registry, EndTarget::All(Arc::clone(&alices[0].user)), &over).await;
    let open = [alices[0].clone(), alices[2].clone()];
    assert_ended(registry, &ended, &open, &over).await;
}

/// The first reason stays, with its time, by whatever target the second end comes.
pub async fn the_first_reason_stays(registry: &dyn Registry) {
    let (alices, _, later) = two_people(registry).await;
    let (alice, key) = (Arc::clone(&alices[0].user), alices[0].key);
    let first = thrown_out(later);
    end(registry, EndTarget::Key(key), &first).await;
    let second = Ended::new(Reason::LoggedOut, later.plus(minutes(1)));
    let others = EndTarget::Others(Arc::clone(&alice), PublicId::random());
    for target in [EndTarget::Key(key), EndTarget::Id(Arc::clone(&alice), alices[0].id), others] {
        let again = end(registry, target, &second).await;
        assert!(again.iter().all(|record| record.id != alices[0].id), "it was ended twice");
        assert_eq!(end_of(registry, key).await.as_ref(), Some(&first), "the first end was lost");
    }
}

/// Each reason comes back as itself, with and without a device.
pub async fn every_reason_comes_back(registry: &dyn Registry) {
    use Reason::{Absolute, Evicted, Idle, LoggedOut, Revoked, Unknown};
    let at = now();
    let reasons = [Absolute, Evicted, Idle, LoggedOut, Revoked, Unknown];
    let devices = [None, Some("Firefox on Linux"), Some(""), Some("é\0\"🦀"), None, None];
    let logins = sign_in_often(registry, &somebody("alice"), 6, at).await;
    for ((reason, device), login) in reasons.into_iter().zip(devices).zip(&logins) {
        let over = Ended { at: login.at, reason, by: device.map(Arc::from) };
        let ended = end(registry, EndTarget::Key(login.key), &over).await;
        assert_ended(registry, &ended, std::slice::from_ref(login), &over).await;
    }
}

/// What is not there can't be ended, and that is no error.
pub async fn ending_what_is_not_there_is_nothing(registry: &dyn Registry) {
    let (nobody, over) = (somebody("nobody"), thrown_out(now()));
    for target in [
        EndTarget::Key(RecordKey::random(&nobody)),
        EndTarget::Id(Arc::clone(&nobody), PublicId::random()),
        EndTarget::Others(Arc::clone(&nobody), PublicId::random()),
        EndTarget::All(Arc::clone(&nobody)),
    ] {
        let told = format!("{target:?}");
        assert_eq!(end(registry, target, &over).await, [], "{told}");
    }
}
