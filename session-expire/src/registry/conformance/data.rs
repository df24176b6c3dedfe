//! Promises about session data: changes merge per entry, and too large data stores nothing.

use super::{
    fixtures::{
        activity, data, data_update, json, login, message, now, session, set, too_large, user,
    },
    operations::{commit, load, log_out, outcome, update},
};
use crate::{
    registry::Registry,
    session::{
        data::{DataChanges, SessionData},
        login::NewLogin,
        update::UpdateOutcome,
    },
    time::minutes,
};

/// Commits a login with the entries `a` and `b`.
async fn with_entries(registry: &dyn Registry) -> NewLogin {
    let entries = data([("a", "1"), ("b", "2")]);
    let login = NewLogin { data: entries, ..login(&user("alice"), now()) };
    commit(registry, &login).await;
    login
}

async fn assert_data(registry: &dyn Registry, login: &NewLogin, expected: &SessionData) {
    let loaded = load(registry, login.key).await.data;
    let entries = |data: &SessionData| {
        data.entries().map(|(name, json)| format!("{name} = {json}")).collect::<Vec<_>>()
    };
    assert_eq!(entries(&loaded), entries(expected), "the entries");
    assert_eq!(loaded.messages(), expected.messages(), "the messages");
}

/// Two updates of different entries are both stored.
pub(super) async fn updates_of_different_entries_merge(registry: &dyn Registry) {
    let login = with_entries(registry).await;
    update(registry, &login, data_update(login.at, set([("a", "3")]))).await;
    update(registry, &login, data_update(login.at, set([("c", "[4]")]))).await;
    assert_data(registry, &login, &data([("a", "3"), ("b", "2"), ("c", "[4]")])).await;
}

/// A removed entry is deleted, and the others stay. The removal of an unknown entry has no effect.
pub(super) async fn removed_entries_are_deleted(registry: &dyn Registry) {
    let login = with_entries(registry).await;
    let removed = DataChanges { removed: vec!["a".into(), "z".into()], ..DataChanges::default() };
    update(registry, &login, data_update(login.at, removed)).await;
    assert_data(registry, &login, &data([("b", "2")])).await;
    let rest = DataChanges { removed: vec!["b".into()], ..DataChanges::default() };
    update(registry, &login, data_update(login.at, rest)).await;
    assert_data(registry, &login, &SessionData::default()).await;
}

/// Messages are added and consumed one by one, by their ids.
pub(super) async fn consumed_message_is_removed_and_the_others_stay(registry: &dyn Registry) {
    let login = with_entries(registry).await;
    for id in [7, 3, 5] {
        let added = DataChanges { added_messages: vec![message(id)], ..DataChanges::default() };
        update(registry, &login, data_update(login.at, added)).await;
    }
    let consumed = DataChanges { consumed_messages: vec![3, 99], ..DataChanges::default() };
    for _ in 0..2 {
        update(registry, &login, data_update(login.at, consumed.clone())).await;
    }
    let mut expected = login.data.clone();
    let added_messages = vec![message(7), message(5)];
    let rest = DataChanges { added_messages, ..DataChanges::default() };
    assert_eq!(expected.apply(&rest), Ok(()));
    assert_data(registry, &login, &expected).await;
}

/// If there are too many messages, the newest stay.
pub(super) async fn surplus_messages_remove_the_oldest(registry: &dyn Registry) {
    let login = login(&user("alice"), now());
    commit(registry, &login).await;
    let ids = 0..20;
    for id in ids.clone() {
        let added = DataChanges { added_messages: vec![message(id)], ..DataChanges::default() };
        update(registry, &login, data_update(login.at, added)).await;
    }
    let loaded = load(registry, login.key).await.data;
    let newest: Vec<_> = ids.skip(20 - SessionData::MAX_MESSAGES).map(message).collect();
    assert_eq!(loaded.messages(), newest, "the messages");
}

/// An update whose data would exceed the limit stores nothing, not even its activity.
pub(super) async fn too_large_data_stores_nothing(registry: &dyn Registry) {
    let login = with_entries(registry).await;
    let mut change = activity(login.at.plus(minutes(1)));
    change.data = too_large();
    change.data.set("a", json("9"));
    let before = load(registry, login.key).await;
    let updated = outcome("update", registry.update(session(&login), change)).await;
    assert_eq!(updated, UpdateOutcome::TooLarge, "the outcome");
    assert_eq!(load(registry, login.key).await, before, "the session has changed");
}

/// The maximum size applies to the merged data.
pub(super) async fn merged_data_does_not_exceed_the_limit(registry: &dyn Registry) {
    let login = login(&user("alice"), now());
    commit(registry, &login).await;
    let half = format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES / 2));
    update(registry, &login, data_update(login.at, set([("a", &*half)]))).await;
    let second = data_update(login.at, set([("b", &*half)]));
    let updated = outcome("update", registry.update(session(&login), second.clone())).await;
    assert_eq!(updated, UpdateOutcome::TooLarge, "the outcome");
    let mut swap = second;
    swap.data.removed.push("a".into());
    update(registry, &login, swap).await;
    assert_data(registry, &login, &data([("b", &*half)])).await;
}

/// An update without changes of the data does not change the data.
pub(super) async fn activity_does_not_change_the_data(registry: &dyn Registry) {
    let login = with_entries(registry).await;
    update(registry, &login, activity(login.at.plus(minutes(1)))).await;
    assert_data(registry, &login, &login.data).await;
}

/// The data of an ended session is deleted, and its record stays.
pub(super) async fn ended_session_has_no_data(registry: &dyn Registry) {
    let login = with_entries(registry).await;
    let added = DataChanges { added_messages: vec![message(1)], ..DataChanges::default() };
    update(registry, &login, data_update(login.at, added)).await;
    log_out(registry, &login, login.at.plus(minutes(1))).await;
    assert_data(registry, &login, &SessionData::default()).await;
}
