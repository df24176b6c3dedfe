//! Promises about `find`, and about the log of past logins.

use std::{collections::BTreeSet, sync::Arc};

use super::stage::{answered, ids, ids_of, login, now, sign_in, sign_in_often, somebody};
use crate::{
    facts::Reason,
    registry::{
        EndTarget, Query, Registry,
        key::PublicId,
        login::NewLogin,
        record::{Ended, SessionRecord},
    },
    time::minutes,
};

async fn find(registry: &dyn Registry, query: Query) -> Vec<SessionRecord> {
    answered("find", registry.find(query)).await
}

fn of(user: &Arc<str>) -> Query {
    Query { user: Some(Arc::clone(user)), ..Query::default() }
}

async fn log_out(registry: &dyn Registry, login: &NewLogin) {
    let over = Ended::new(Reason::LoggedOut, login.at.plus(minutes(60)));
    answered("end", registry.end(EndTarget::Key(login.key), over)).await;
}

/// Five sessions of one user, of which the second and the fourth have ended.
async fn five_of_alice(registry: &dyn Registry) -> Vec<NewLogin> {
    let logins = sign_in_often(registry, &somebody("alice"), 5, now()).await;
    for login in [&logins[1], &logins[3]] {
        log_out(registry, login).await;
    }
    logins
}

/// The newest login stands first, in whatever order they came in.
pub async fn the_newest_login_is_listed_first(registry: &dyn Registry) {
    let (alice, at) = (somebody("alice"), now());
    for age in [3, 0, 4, 1, 2] {
        sign_in(registry, &login(&alice, at.plus(minutes(age)))).await;
    }
    let listed = find(registry, of(&alice)).await;
    let ages: Vec<_> = listed.iter().map(|record| record.logged_in_at.since(at)).collect();
    assert_eq!(ages, [4, 3, 2, 1, 0].map(minutes), "not the newest first");
}

/// A list of one user's records holds all of those, and nobody else's.
pub async fn a_list_of_one_user_holds_no_other(registry: &dyn Registry) {
    let alices = five_of_alice(registry).await;
    sign_in_often(registry, &somebody("bob"), 2, now()).await;
    let listed = find(registry, of(&alices[0].user)).await;
    assert_eq!(ids(&listed), ids_of(&alices), "listed for Alice");
    let nobody = find(registry, of(&somebody("nobody"))).await;
    assert_eq!(nobody, [], "listed for a user without a login");
}

/// The open ones, the past ones, or both.
pub async fn a_list_holds_open_ones_or_past_ones_or_both(registry: &dyn Registry) {
    let logins = five_of_alice(registry).await;
    let alice = &logins[0].user;
    let (open, past): (Vec<_>, Vec<_>) = (0..5).partition(|n| n % 2 == 0);
    let pick = |which: Vec<usize>| which.iter().map(|n| logins[*n].id).collect::<BTreeSet<_>>();
    let listed = find(registry, Query::open(Arc::clone(alice))).await;
    assert_eq!(ids(&listed), pick(open), "the open ones");
    let listed = find(registry, Query::past(Arc::clone(alice))).await;
    assert_eq!(ids(&listed), pick(past), "the past ones");
    assert_eq!(ids(&find(registry, of(alice)).await), ids_of(&logins), "both");
}

/// Turns the pages of `query`, each of `limit` records, until an empty one comes.
async fn turn_pages(registry: &dyn Registry, mut query: Query, limit: usize) -> Vec<SessionRecord> {
    query.limit = Some(limit);
    let mut all = vec![];
    loop {
        let page = find(registry, query.clone()).await;
        assert!(page.len() <= limit, "a page of {} where {limit} were asked for", page.len());
        let Some(last) = page.last() else { return all };
        query.after = Some(Query::place(last));
        all.extend(page);
    }
}

/// The pages of a list hold together what the whole list holds, in its order, each record once; also
/// where logins share one millisecond.
pub async fn pages_cover_a_list_exactly_once(registry: &dyn Registry) {
    let (alice, at) = (somebody("alice"), now());
    for n in 0..12 {
        sign_in(registry, &login(&alice, at.plus(minutes(n / 4)))).await;
    }
    let whole = find(registry, of(&alice)).await;
    assert_eq!(whole.len(), 12, "the whole list");
    for limit in [1, 2, 3, 5, 11, 12, 13] {
        let pages = turn_pages(registry, of(&alice), limit).await;
        assert_eq!(places(&pages), places(&whole), "in pages of {limit}");
    }
}

/// Pages keep to the filter: an ended one neither stands in them nor takes up a place.
pub async fn pages_keep_to_the_filter(registry: &dyn Registry) {
    let logins = five_of_alice(registry).await;
    for query in
        [Query::open(Arc::clone(&logins[0].user)), Query::past(Arc::clone(&logins[0].user))]
    {
        let whole = find(registry, query.clone()).await;
        let first = find(registry, Query { limit: Some(2), ..query.clone() }).await;
        assert_eq!(places(&first), places(&whole[..2]), "the first page of {query:?}");
        let pages = turn_pages(registry, query.clone(), 1).await;
        assert_eq!(places(&pages), places(&whole), "the pages of {query:?}");
    }
}

fn places(records: &[SessionRecord]) -> Vec<PublicId> {
    records.iter().map(|record| record.id).collect()
}

/// A page for nothing holds nothing.
pub async fn a_page_of_none_is_empty(registry: &dyn Registry) {
    let logins = five_of_alice(registry).await;
    let query = Query { limit: Some(0), ..of(&logins[0].user) };
    assert_eq!(find(registry, query).await, [], "at most 0 were asked for");
}

/// The list of all users holds everyone, newest first, and its pages cover it exactly once.
pub async fn all_users_are_listed_together(registry: &dyn Registry) {
    let at = now();
    let mut logins = vec![];
    for n in 0..10 {
        logins.push(login(&somebody("user"), at.plus(minutes(n % 5))));
        sign_in(registry, &logins[logins.len() - 1]).await;
    }
    let ours = ids_of(&logins);
    let whole = find(registry, Query::default()).await;
    let order: Vec<_> = whole.iter().map(Query::place).collect();
    assert!(order.is_sorted_by(|before, after| before > after), "not the newest first");
    assert!(ours.is_subset(&ids(&whole)), "someone is missing in the list of all");
    let mut pages = turn_pages(registry, Query::default(), 3).await;
    pages.retain(|record| ours.contains(&record.id));
    assert_eq!(pages.len(), ours.len(), "the pages of all users hold a record twice or not at all");
    let past = find(registry, Query { ended: Some(true), ..Query::default() }).await;
    assert!(past.iter().all(|record| !ours.contains(&record.id)), "open ones among the past ones");
}

/// The log keeps the last `limit` ended logins of a user, and open ones don't count.
///
/// Not among [`PROMISES`](super::PROMISES), since the limit is given when a registry is made: hold a
/// registry with a log limit to it in a test of your own.
///
/// # Panics
///
/// If the promise is broken.
pub async fn the_log_keeps_the_last_logins(registry: &dyn Registry, limit: u32) {
    let logins = sign_in_often(registry, &somebody("alice"), limit + 4, now()).await;
    let (open, past) = logins.split_at(1);
    for (n, login) in past.iter().enumerate() {
        log_out(registry, login).await;
        let listed = find(registry, Query::past(Arc::clone(&login.user))).await;
        let first = (n + 1).saturating_sub(limit as usize);
        assert_eq!(ids(&listed), ids_of(&past[first..=n]), "past logins after {} ends", n + 1);
    }
    let listed = find(registry, Query::open(Arc::clone(&open[0].user))).await;
    assert_eq!(ids(&listed), ids_of(open), "an open login fell out of the log");
    for login in past {
        let loaded = super::stage::load(registry, login.key).await.record;
        assert!(loaded.ended.is_some(), "a login that left the log came back to life");
    }
}
