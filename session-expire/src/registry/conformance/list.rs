//! Promises about `list`: order, filters, pages and the history.

use std::{collections::BTreeSet, sync::Arc};

use ipnet::IpNet;

use super::{
    fixtures::{login, now, session, user},
    operations::{commit, commit_many, end, ids, list, load, log_out, login_ids},
};
use crate::{
    registry::{Registry, end::EndTarget, query::Query},
    session::{
        ended::Ended, key::PublicId, login::NewLogin, reason::Reason, record::SessionRecord,
    },
    time::minutes,
};

fn all_records(user: &Arc<str>) -> Query {
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

/// The newest login is listed first, in every order of arrival.
pub(super) async fn newest_login_is_listed_first(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    for minute in [3, 0, 4, 1, 2] {
        commit(registry, &login(&alice, at.plus(minutes(minute)))).await;
    }
    let listed = list(registry, all_records(&alice)).await;
    let ages: Vec<_> = listed.iter().map(|record| record.logged_in_at.since(at)).collect();
    assert_eq!(ages, [4, 3, 2, 1, 0].map(minutes), "newest login first");
}

/// A list of one user contains all records of that user, and no others.
pub(super) async fn list_of_a_user_contains_no_others(registry: &dyn Registry) {
    let alices = five_sessions(registry).await;
    commit_many(registry, &user("bob"), 2, now()).await;
    let listed = list(registry, all_records(&alices[0].user)).await;
    assert_eq!(ids(&listed), login_ids(&alices), "of the user");
    let none = list(registry, all_records(&user("carol"))).await;
    assert_eq!(none, [], "of a user without a login");
}

/// A list contains open records, ended ones, or both.
pub(super) async fn list_contains_open_or_ended_records(registry: &dyn Registry) {
    let logins = five_sessions(registry).await;
    let alice = &logins[0].user;
    let (open, past): (Vec<_>, Vec<_>) = (0..5).partition(|n| n % 2 == 0);
    let pick = |which: Vec<usize>| which.iter().map(|n| logins[*n].id).collect::<BTreeSet<_>>();
    let listed = list(registry, Query::open(Arc::clone(alice))).await;
    assert_eq!(ids(&listed), pick(open), "open");
    let listed = list(registry, Query::history(Arc::clone(alice))).await;
    assert_eq!(ids(&listed), pick(past), "ended");
    assert_eq!(ids(&list(registry, all_records(alice)).await), login_ids(&logins), "both");
}

/// Reads the pages of `query` with `limit` records each, until a page is empty.
async fn read_pages(registry: &dyn Registry, mut query: Query, limit: usize) -> Vec<SessionRecord> {
    query.limit = Some(limit);
    let mut all = vec![];
    loop {
        let page = list(registry, query.clone()).await;
        assert!(page.len() <= limit, "{} records in a page of at most {limit}", page.len());
        let Some(last) = page.last() else { return all };
        query.after = Some(Query::cursor(last));
        all.extend(page);
    }
}

fn order(records: &[SessionRecord]) -> Vec<PublicId> {
    records.iter().map(|record| record.id).collect()
}

/// The pages of a list contain each record exactly once and in order, even if login times are
/// equal.
pub(super) async fn pages_contain_each_record_once(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    for n in 0..12 {
        commit(registry, &login(&alice, at.plus(minutes(n / 4)))).await;
    }
    let whole = list(registry, all_records(&alice)).await;
    assert_eq!(whole.len(), 12, "the whole list");
    for limit in [1, 2, 3, 5, 11, 12, 13] {
        let pages = read_pages(registry, all_records(&alice), limit).await;
        assert_eq!(order(&pages), order(&whole), "in pages of {limit}");
    }
}

/// Records that do not match are in no page, and do not count toward its length.
pub(super) async fn pages_contain_matching_records_only(registry: &dyn Registry) {
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

/// A page with a limit of 0 is empty.
pub(super) async fn page_of_zero_records_is_empty(registry: &dyn Registry) {
    let logins = five_sessions(registry).await;
    let query = Query { limit: Some(0), ..all_records(&logins[0].user) };
    assert_eq!(list(registry, query).await, [], "a page of 0 records");
}

/// The list of all users is sorted, and its pages contain each record exactly once.
pub(super) async fn list_of_all_users_contains_each_record_once(registry: &dyn Registry) {
    let at = now();
    let mut logins = vec![];
    for n in 0..10 {
        logins.push(login(&user("user"), at.plus(minutes(n % 5))));
        commit(registry, &logins[logins.len() - 1]).await;
    }
    let ours = login_ids(&logins);
    let whole = list(registry, Query::default()).await;
    let order: Vec<_> = whole.iter().map(Query::cursor).collect();
    assert!(order.is_sorted_by(|before, after| before > after), "not sorted, newest login first");
    assert!(ours.is_subset(&ids(&whole)), "record missing in the list of all users");
    let mut pages = read_pages(registry, Query::default(), 3).await;
    pages.retain(|record| ours.contains(&record.id));
    assert_eq!(pages.len(), ours.len(), "record twice or missing in the pages");
    let past = list(registry, Query::new().ended(true)).await;
    assert!(past.iter().all(|record| !ours.contains(&record.id)), "open record listed as ended");
}

/// The history keeps the last `limit` ended sessions of a user; open sessions do not count.
///
/// It is not in [`PROMISES`](super::PROMISES), because it needs a registry with the history limit
/// `limit`. Call it in a test of its own.
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
        assert_eq!(
            ids(&listed),
            login_ids(&past[first..=n]),
            "ended sessions after {} ends",
            n + 1
        );
    }
    let listed = list(registry, Query::open(Arc::clone(&open[0].user))).await;
    assert_eq!(ids(&listed), login_ids(open), "the open session");
    for login in past {
        let record = load(registry, login.key).await.record;
        assert!(record.ended.is_some(), "session open again after it left the history");
    }
}

/// A filtered list contains the records with the given reason, cause, login time and network.
pub(super) async fn filtered_list_contains_matching_records(registry: &dyn Registry) {
    let (alice, actor, at) = (user("alice"), user("root"), now());
    let mut logins = vec![];
    for n in 0..4_u8 {
        let mut login = login(&alice, at.plus(minutes(u64::from(n))));
        login.client.ip = Some([192, 0, 2, n].into());
        login.actor = (n % 2 == 0).then(|| Arc::clone(&actor));
        commit(registry, &login).await;
        logins.push(login);
    }
    let later = at.plus(minutes(10));
    let revoked = Ended::new(Reason::Revoked, later).with_cause("incident");
    for (login, ended) in [(0, &revoked), (1, &Ended::new(Reason::Idle, later))] {
        end(registry, EndTarget::Session(session(&logins[login])), ended).await;
    }
    let all = || Query::all(Arc::clone(&alice));
    for (query, expected) in [
        (all().reason(Reason::Revoked), vec![0]),
        (all().reason(Reason::Absolute), vec![]),
        (all().cause("incident"), vec![0]),
        (all().actor(Arc::clone(&actor)), vec![0, 2]),
        (all().actor(Arc::clone(&alice)), vec![]),
        (Query::new().ended(false).actor(Arc::clone(&actor)), vec![2]),
        (all().from(logins[2].at), vec![2, 3]),
        (all().before(logins[2].at), vec![0, 1]),
        (all().from(logins[1].at).before(logins[3].at).ended(false), vec![2]),
        (all().network("192.0.2.2/31".parse::<IpNet>().ok()), vec![2, 3]),
        (all().network("192.0.2.0/24".parse::<IpNet>().ok()).limit(1), vec![3]),
    ] {
        let expected = expected.iter().map(|n: &usize| logins[*n].id).collect();
        assert_eq!(ids(&list(registry, query.clone()).await), expected, "{query:?}");
    }
}
