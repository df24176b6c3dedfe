//! Promises about `list`, and about the history of ended sessions.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    fixtures::{login, now, user},
    operations::{commit, commit_many, ids, ids_of, list, load, log_out},
};
use crate::{
    registry::{Registry, query::Query},
    session::{key::PublicId, login::NewLogin, record::SessionRecord},
    time::minutes,
};

fn all_of(user: &Arc<str>) -> Query {
    Query::all(Arc::clone(user))
}

async fn end_later(registry: &dyn Registry, login: &NewLogin) {
    log_out(registry, login, login.at.plus(minutes(60))).await;
}

/// Commits five logins of one user, of which the second and the fourth have ended.
async fn five_sessions(registry: &dyn Registry) -> Vec<NewLogin> {
    let logins = commit_many(registry, &user("alice"), 5, now()).await;
    for login in [&logins[1], &logins[3]] {
        end_later(registry, login).await;
    }
    logins
}

/// The newest login is listed first, in whatever order the logins came.
pub async fn newest_login_is_listed_first(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    for minute in [3, 0, 4, 1, 2] {
        commit(registry, &login(&alice, at.plus(minutes(minute)))).await;
    }
    let listed = list(registry, all_of(&alice)).await;
    let ages: Vec<_> = listed.iter().map(|record| record.logged_in_at.since(at)).collect();
    assert_eq!(ages, [4, 3, 2, 1, 0].map(minutes), "not the newest first");
}

/// A list of one user's records holds all of them, and no others.
pub async fn list_of_a_user_holds_no_others(registry: &dyn Registry) {
    let alices = five_sessions(registry).await;
    commit_many(registry, &user("bob"), 2, now()).await;
    let listed = list(registry, all_of(&alices[0].user)).await;
    assert_eq!(ids(&listed), ids_of(&alices), "of the user");
    let none = list(registry, all_of(&user("carol"))).await;
    assert_eq!(none, [], "of a user without a login");
}

/// A list holds open records, ended ones, or both.
pub async fn list_holds_open_or_ended_records(registry: &dyn Registry) {
    let logins = five_sessions(registry).await;
    let alice = &logins[0].user;
    let (open, past): (Vec<_>, Vec<_>) = (0..5).partition(|n| n % 2 == 0);
    let pick = |which: Vec<usize>| which.iter().map(|n| logins[*n].id).collect::<BTreeSet<_>>();
    let listed = list(registry, Query::open(Arc::clone(alice))).await;
    assert_eq!(ids(&listed), pick(open), "open");
    let listed = list(registry, Query::history(Arc::clone(alice))).await;
    assert_eq!(ids(&listed), pick(past), "ended");
    assert_eq!(ids(&list(registry, all_of(alice)).await), ids_of(&logins), "both");
}

/// Reads the pages of `query`, each of `limit` records, until an empty one comes.
async fn read_pages(registry: &dyn Registry, mut query: Query, limit: usize) -> Vec<SessionRecord> {
    query.limit = Some(limit);
    let mut all = vec![];
    loop {
        let page = list(registry, query.clone()).await;
        assert!(page.len() <= limit, "a page of {}, of at most {limit}", page.len());
        let Some(last) = page.last() else { return all };
        query.after = Some(Query::cursor(last));
        all.extend(page);
    }
}

fn order(records: &[SessionRecord]) -> Vec<PublicId> {
    records.iter().map(|record| record.id).collect()
}

/// The pages of a list hold each of its records once, in its order, also where logins share one
/// millisecond.
pub async fn pages_hold_each_record_once(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    for n in 0..12 {
        commit(registry, &login(&alice, at.plus(minutes(n / 4)))).await;
    }
    let whole = list(registry, all_of(&alice)).await;
    assert_eq!(whole.len(), 12, "the whole list");
    for limit in [1, 2, 3, 5, 11, 12, 13] {
        let pages = read_pages(registry, all_of(&alice), limit).await;
        assert_eq!(order(&pages), order(&whole), "in pages of {limit}");
    }
}

/// A record that does not match is in no page, and takes no place in one.
pub async fn pages_hold_matching_records_only(registry: &dyn Registry) {
    let logins = five_sessions(registry).await;
    let alice = &logins[0].user;
    for query in [Query::open(Arc::clone(alice)), Query::history(Arc::clone(alice))] {
        let whole = list(registry, query.clone()).await;
        let first = list(registry, Query { limit: Some(2), ..query.clone() }).await;
        assert_eq!(order(&first), order(&whole[..2]), "the first page of {query:?}");
        let pages = read_pages(registry, query.clone(), 1).await;
        assert_eq!(order(&pages), order(&whole), "the pages of {query:?}");
    }
}

/// A page of no records is empty.
pub async fn page_of_none_is_empty(registry: &dyn Registry) {
    let logins = five_sessions(registry).await;
    let query = Query { limit: Some(0), ..all_of(&logins[0].user) };
    assert_eq!(list(registry, query).await, [], "at most 0 records");
}

/// The list of all users is in order, and its pages hold each record once.
pub async fn list_of_all_users_holds_each_record_once(registry: &dyn Registry) {
    let at = now();
    let mut logins = vec![];
    for n in 0..10 {
        logins.push(login(&user("user"), at.plus(minutes(n % 5))));
        commit(registry, &logins[logins.len() - 1]).await;
    }
    let ours = ids_of(&logins);
    let whole = list(registry, Query::default()).await;
    let order: Vec<_> = whole.iter().map(Query::cursor).collect();
    assert!(order.is_sorted_by(|before, after| before > after), "not the newest first");
    assert!(ours.is_subset(&ids(&whole)), "a record is missing in the list of all users");
    let mut pages = read_pages(registry, Query::default(), 3).await;
    pages.retain(|record| ours.contains(&record.id));
    assert_eq!(pages.len(), ours.len(), "the pages hold a record twice, or not at all");
    let past = list(registry, Query::new().ended(true)).await;
    assert!(past.iter().all(|record| !ours.contains(&record.id)), "open ones among ended ones");
}

/// The history keeps the last `limit` ended sessions of a user, and open ones do not count.
///
/// It is not among [`PROMISES`](super::PROMISES), since the limit is given when a registry is made:
/// run it in a test of your own, on a registry with a history limit.
///
/// # Panics
///
/// Panics if the promise is broken.
pub async fn history_keeps_the_last_sessions(registry: &dyn Registry, limit: u32) {
    let logins = commit_many(registry, &user("alice"), limit + 4, now()).await;
    let (open, past) = logins.split_at(1);
    for (n, login) in past.iter().enumerate() {
        end_later(registry, login).await;
        let listed = list(registry, Query::history(Arc::clone(&login.user))).await;
        let first = (n + 1).saturating_sub(limit as usize);
        assert_eq!(ids(&listed), ids_of(&past[first..=n]), "ended sessions after {} ends", n + 1);
    }
    let listed = list(registry, Query::open(Arc::clone(&open[0].user))).await;
    assert_eq!(ids(&listed), ids_of(open), "an open session is missing");
    for login in past {
        let record = load(registry, login.key).await.record;
        assert!(record.ended.is_some(), "a session that left the history is open again");
    }
}
