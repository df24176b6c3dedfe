//! Lists of all users, which are merged from the lists of all tags.

use session_expire::{
    Limit, Policy, Reason, RedisRegistry,
    clock::Timestamp,
    minutes,
    registry::{EndSessions, EndTarget, Ended, NewLogin, Query, Registry, SessionRecord},
};
use session_expire_tests::{RedisServer, read_pages};

use crate::{NOON, committed, session};

/// Commits logins of 300 users at 60 times, and ends every third session.
async fn fill(registry: &RedisRegistry) -> Vec<SessionRecord> {
    let mut records = vec![];
    for n in 0..300 {
        let at = NOON.plus(minutes(n * 7 % 60));
        let mut login = NewLogin::new(format!("user {n}"), at, &Policy::new());
        login.client.ip = Some([10, 0, 0, (n % 200) as u8].into());
        let (record, _) = committed(registry.commit(login.clone()).await.unwrap());
        if n % 3 != 0 {
            records.push(record);
            continue;
        }
        let reason = if n % 2 == 0 { Reason::Revoked } else { Reason::LoggedOut };
        let ended = Ended::new(reason, NOON.plus(minutes(60)));
        let end = EndSessions::new(EndTarget::Session(session(&login)), ended);
        records.extend(registry.end(end).await.unwrap());
    }
    records
}

fn in_network(network: &str) -> Query {
    let mut query = Query::new();
    query.network = Some(network.parse().unwrap());
    query
}

#[tokio::test]
async fn pages_of_all_users_contain_each_matching_record_once() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let records = fill(&registry).await;
    let at = |minute| NOON.plus(minutes(minute));
    for query in [
        Query::new(),
        Query::new().ended(false),
        Query::new().ended(true),
        Query::new().reason(Reason::Revoked),
        Query::new().from(at(10)).before(at(40)),
        Query::new().ended(false).from(at(59)),
        in_network("10.0.0.0/28"),
    ] {
        let matching = records.iter().filter(|record| query.matches(record)).cloned().collect();
        let expected = query.paginate(matching);
        assert!(!expected.is_empty(), "{query:?}");
        assert_eq!(registry.list(query.clone()).await.unwrap(), expected, "{query:?}");
        for limit in [7, 250] {
            let pages = read_pages(&registry, &query, limit).await;
            assert_eq!(pages, expected, "{query:?} in pages of {limit}");
        }
    }
}

#[tokio::test]
async fn list_of_one_crowded_tag_is_complete() {
    let server = RedisServer::start();
    let registry = server.registry().await.history_limit(Limit::Off);
    let mut expected = vec![];
    for n in 0..1_100 {
        // Twenty logins at a time.
        let at = NOON.plus(minutes(n / 20));
        let mut login = NewLogin::new("alice", at, &Policy::new());
        login.limit.max_sessions = Limit::At(10_000);
        expected.push(committed(registry.commit(login).await.unwrap()).0);
    }
    let expected = Query::new().paginate(expected);
    for query in [Query::new(), Query::all("alice")] {
        assert_eq!(registry.list(query.clone()).await.unwrap(), expected, "{query:?}");
        let pages = read_pages(&registry, &query, 30).await;
        assert_eq!(pages, expected, "{query:?}");
    }
}

#[tokio::test]
async fn session_that_no_policy_accepts_is_not_listed_as_open() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let (unused, _) =
        committed(registry.commit(NewLogin::new("alice", NOON, &Policy::new())).await.unwrap());
    // A login of a user with another tag.
    let later: Timestamp = unused.leaves_at();
    registry.commit(NewLogin::new("bob", later, &Policy::new())).await.unwrap();
    for query in [Query::open("alice"), Query::new().ended(false)] {
        let listed = registry.list(query).await.unwrap();
        assert!(listed.iter().all(|record| record.id != unused.id));
    }
    let all = registry.list(Query::all("alice")).await.unwrap();
    assert_eq!(all[0].ended, Some(unused.final_end()));
}
