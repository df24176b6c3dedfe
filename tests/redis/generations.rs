//! Ends of all sessions, repeated and followed by other operations.

use crate::{
    NOON, committed, is_open, login, revoked,
    servers::{Servers, tests_on_all_servers},
    sign_in,
};
use session_expire::{
    Limit, Overflow, Policy, Reason,
    clock::Timestamp,
    hours,
    registry::{Ended, NewLogin, Query, Registry},
};

tests_on_all_servers! {
    end_of_a_session_stays_the_same_after_many_calls
    session_loads_as_ended_after_many_calls
    history_has_a_maximum_age_despite_frequent_calls
    repeated_call_after_another_one_ends_no_later_login
    erasure_deletes_a_voided_reservation
}

/// Returns a time some days after noon.
fn after_days(days: u32) -> Timestamp {
    NOON.plus(hours(24) * days)
}

fn revoked_after(days: u32) -> Ended {
    Ended::new(Reason::Revoked, after_days(days))
}

/// The server remembers only the last 16 calls.
async fn end_of_a_session_stays_the_same_after_many_calls(servers: &Servers) {
    let registry = servers.registry().await;
    sign_in(&registry).await;
    registry.end_everyone(revoked().with_cause("breach").by("an administrator")).await.unwrap();
    // The next operation on the user moves the session to the history.
    let [listed] = registry.list(Query::history("alice")).await.unwrap().try_into().unwrap();
    for days in 1..20 {
        registry.end_everyone(revoked_after(days)).await.unwrap();
    }
    assert_eq!(registry.list(Query::history("alice")).await.unwrap(), [listed]);
}

/// The later calls find no open session with the tag.
async fn session_loads_as_ended_after_many_calls(servers: &Servers) {
    let registry = servers.registry().await;
    let login = sign_in(&registry).await;
    for days in 0..20 {
        registry.end_everyone(revoked_after(days)).await.unwrap();
    }
    let ended = registry.load(login.key(), false).await.unwrap().unwrap().record.ended.clone();
    assert_eq!(ended.unwrap().reason, Reason::Revoked);
}

async fn history_has_a_maximum_age_despite_frequent_calls(servers: &Servers) {
    let registry = servers.registry().await.history_limit(Limit::Off);
    let first = sign_in(&registry).await;
    for days in (0..91).step_by(3) {
        registry.end_everyone(revoked_after(days)).await.unwrap();
        let login = NewLogin::new("alice", after_days(days), &Policy::new());
        committed(registry.commit(login).await.unwrap());
    }
    let history = registry.list(Query::history("alice")).await.unwrap();
    assert!(!history.is_empty() && history.iter().all(|record| record.id != first.id));
}

async fn repeated_call_after_another_one_ends_no_later_login(servers: &Servers) {
    let registry = servers.registry().await;
    sign_in(&registry).await;
    registry.end_everyone(revoked()).await.unwrap();
    let tag = servers.hash_key();
    let first: String = servers.command(&tag, &["HGET", &format!("{tag}:ends"), "1"]);
    let call = first.lines().find_map(|line| line.strip_prefix("call=")).unwrap();
    registry.end_everyone(revoked()).await.unwrap();
    let later = sign_in(&registry).await;
    assert_eq!(repeat_call(servers, &tag, call), ["1"]);
    assert!(is_open(&registry, later.key()).await);
}

/// Runs the script of `end_everyone` for one tag, as a process does whose response was lost.
fn repeat_call(servers: &Servers, tag: &str, call: &str) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../session-expire/src/registry/redis/lua");
    let script = ["common", "open", "ended", "retention", "end_everyone"]
        .map(|file| std::fs::read_to_string(format!("{folder}/{file}.lua")).unwrap())
        .concat();
    let keys = ["", ":open", ":ended", ":due", ":ends", ":former"].map(|end| format!("{tag}{end}"));
    let at = NOON.as_millis();
    let args =
        format!(r#"{{"at":"{at}","history_age":"7776000000","reason":"revoked","call":"{call}"}}"#);
    let mut command = vec!["EVAL", &script, "6"];
    command.extend(keys.iter().map(String::as_str));
    command.extend([&*args, "retry"]);
    servers.command(tag, &command)
}

async fn erasure_deletes_a_voided_reservation(servers: &Servers) {
    let registry = servers.registry().await;
    let policy = Policy::new().max_sessions(2).overflow(Overflow::Refuse);
    for is_listed in [false, true] {
        sign_in(&registry).await;
        let reserved = login("alice", &policy);
        registry.reserve(reserved.reservation(NOON.plus(hours(1)))).await.unwrap();
        registry.end_everyone(revoked()).await.unwrap();
        if is_listed {
            registry.list(Query::open("alice")).await.unwrap();
        }
        registry.erase("alice".into()).await.unwrap();
        let tag = servers.hash_key();
        let values: Vec<String> = servers.command(&tag, &["HVALS", &tag]);
        assert!(!values.iter().any(|value| value.contains("hash=")), "{values:?}");
    }
}
