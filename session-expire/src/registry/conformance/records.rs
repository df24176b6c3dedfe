//! Promises about records: a committed login round-trips with all its fields.

use std::{net::IpAddr, sync::Arc};

use super::{
    fixtures::{MILLISECOND, activity, data, login, message, now, session, set, user},
    operations::{commit, commit_many, count_open, end, list, load, log_out, outcome, try_load},
};
use crate::{
    policy::{
        PolicyPatch,
        limit::{Limit, Overflow},
    },
    registry::{Registry, end::EndTarget, query::Query},
    session::{
        data::{DataChanges, SessionData},
        ended::Ended,
        key::RecordKey,
        login::NewLogin,
        reason::Reason,
        record::SessionRecord,
        update::SessionUpdate,
    },
    time::{Timestamp, hours, minutes, seconds},
};

/// Commits a login, and asserts that `commit`, `load` and `list` return its record.
pub(super) async fn assert_round_trip(registry: &dyn Registry, login: &NewLogin) {
    let (record, ended) = commit(registry, login).await;
    let expected = SessionRecord { generation: record.generation, ..SessionRecord::new(login) };
    assert_eq!(record, expected, "the returned record");
    assert_eq!(ended, [], "ended by a login without a session limit");
    let loaded = load(registry, login.key).await;
    assert_eq!(*loaded.record, expected, "the loaded record");
    assert_eq!(*loaded.data, login.data, "the loaded data");
    let listed = list(registry, Query::open(Arc::clone(&login.user))).await;
    assert!(listed.contains(&expected), "the listed record differs from the login: {listed:#?}");
}

/// `commit` returns the record that `load` returns afterwards.
pub(super) async fn committed_login_loads_as_returned(registry: &dyn Registry) {
    assert_round_trip(registry, &login(&user("alice"), now())).await;
}

/// An unknown key loads `None` and is not an error.
pub(super) async fn unknown_key_loads_none(registry: &dyn Registry) {
    let loaded = try_load(registry, RecordKey::random(&user("alice"))).await;
    assert_eq!(loaded, None, "loaded for an unknown key");
}

/// [`StoredSession::open`](crate::registry::StoredSession::open) counts the open records of this
/// user only.
pub(super) async fn load_counts_open_sessions_of_the_user(registry: &dyn Registry) {
    let (alice, bob, at) = (user("alice"), user("bob"), now());
    let (first, second) = (login(&alice, at), login(&alice, at.plus(minutes(1))));
    for login in [&first, &second, &login(&bob, at), &login(&bob, at)] {
        commit(registry, login).await;
    }
    let open = count_open(registry, first.key).await;
    assert_eq!(open, Some(2), "two open records of this user and two of another");
    log_out(registry, &second, at.plus(minutes(2))).await;
    assert_eq!(count_open(registry, first.key).await, Some(1), "after one of two has ended");
    assert_eq!(count_open(registry, second.key).await, Some(1), "loaded by the ended key");
}

/// Open records are counted only if the caller asks for it.
pub(super) async fn load_counts_only_on_request(registry: &dyn Registry) {
    let login = login(&user("alice"), now());
    commit(registry, &login).await;
    let open = try_load(registry, login.key).await.and_then(|loaded| loaded.open);
    assert_eq!(open, None, "counted without `count_open`");
}

/// A client round-trips: IPv4 addresses, IPv6 addresses, no address, and any device text.
pub(super) async fn client_round_trips(registry: &dyn Registry) {
    let addresses = ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "::", "255.255.255.255"];
    let addresses = addresses.into_iter().map(|text| text.parse::<IpAddr>().ok());
    let long = "x".repeat(10_000);
    let devices = ["", "Firefox on Linux", "\0", "\"},{\"", "é🦀\n", &long, " "];
    for (ip, device) in addresses.chain([None, None]).zip(devices) {
        let mut login = login(&user("alice"), now());
        (login.client.ip, login.client.device) = (ip, device.into());
        assert_round_trip(registry, &login).await;
    }
}

/// The login policy and the user policy round-trip, and so does `None`.
pub(super) async fn policies_round_trip(registry: &dyn Registry) {
    let full = PolicyPatch::new()
        .idle(minutes(7))
        .absolute(Limit::Off)
        .warn(seconds(30))
        .max_sessions(3)
        .overflow(Overflow::LeastRecent)
        .passive(true)
        .message("Good night, \"everyone\" \u{1f980}\n")
        .login_url("/enter?from=here");
    let unlimited = PolicyPatch::new().idle(Limit::Off).max_sessions(Limit::Off).warn(Limit::Off);
    for patch in [None, Some(PolicyPatch::new()), Some(full), Some(unlimited)] {
        let patch = patch.map(Arc::new);
        let (alice, at) = (user("alice"), now());
        let login_policy = patch.clone();
        assert_round_trip(registry, &NewLogin { login_policy, ..login(&alice, at) }).await;
        assert_round_trip(registry, &NewLogin { user_policy: patch, ..login(&alice, at) }).await;
    }
}

/// The timeouts of a session round-trip, and so does `Limit::Off`.
pub(super) async fn limits_round_trip(registry: &dyn Registry) {
    let (short, long) = (Limit::At(MILLISECOND), Limit::At(minutes(52_560_000)));
    for (idle, absolute) in
        [(Limit::Off, Limit::Off), (short, long), (long, Limit::Off), (Limit::Off, short)]
    {
        assert_round_trip(registry, &NewLogin { idle, absolute, ..login(&user("alice"), now()) })
            .await;
    }
}

/// The longest timeouts of a session round-trip, and an update replaces them.
pub(super) async fn longest_timeouts_round_trip(registry: &dyn Registry) {
    let (short, long) = (Limit::At(minutes(90)), Limit::At(hours(48)));
    for (idle, absolute) in [(short, long), (Limit::Off, long), (long, Limit::Off)] {
        let login = NewLogin {
            longest_idle: idle,
            longest_absolute: absolute,
            ..login(&user("alice"), now())
        };
        assert_round_trip(registry, &login).await;
        let longest = Some((absolute, idle));
        let update = SessionUpdate { longest, ..SessionUpdate::new(login.at) };
        outcome("update", registry.update(session(&login), update)).await;
        let record = load(registry, login.key).await.record;
        let loaded = (record.longest_idle, record.longest_absolute);
        assert_eq!(Some(loaded), longest, "after an update");
    }
}

/// Times from the year 1 to the year 9999, for example from a wrong clock, round-trip exactly.
pub(super) async fn distant_times_round_trip(registry: &dyn Registry) {
    for millis in [-62_135_596_799_999, -1, 0, 1, 253_402_300_799_999] {
        let at = Timestamp::from_millis(millis);
        assert_round_trip(registry, &login(&user("alice"), at)).await;
    }
}

/// Operations succeed at the earliest and the latest possible time, and so do later operations.
pub(super) async fn extreme_times_do_not_break_operations(registry: &dyn Registry) {
    for millis in [i64::MIN, i64::MAX] {
        let (alice, at) = (user("alice"), Timestamp::from_millis(millis));
        let extreme = login(&alice, at);
        let reservation = extreme.reservation(at.plus(seconds(30)));
        outcome("reserve", registry.reserve(reservation)).await;
        commit(registry, &extreme).await;
        outcome("update", registry.update(session(&extreme), activity(at))).await;
        let ended = Ended::new(Reason::Revoked, at);
        let enforced = registry.enforce_limit(session(&extreme), extreme.limit, ended.clone());
        outcome("enforce_limit", enforced).await;
        end(registry, EndTarget::Session(session(&extreme)), &ended).await;
        assert_round_trip(registry, &login(&alice, now())).await;
        assert_round_trip(registry, &login(&user("bob"), now())).await;
    }
}

/// The data of a login round-trips: any entry name, the exact JSON text, and messages.
pub(super) async fn login_data_round_trips(registry: &dyn Registry) {
    let text = "\"é🦀\\u0000\\n\"";
    let entries = [
        ("", "null"),
        ("a", "1.0"),
        ("a.b", "12345678901234567890123"),
        ("é\0🦀", text),
        ("{}", "{\"b\": 1, \"a\":[ ]}"),
        ("x", "\"\""),
    ];
    let mut login = NewLogin { data: data(entries), ..login(&user("alice"), now()) };
    let messages = vec![message(u64::MAX), message(0)];
    let changes = DataChanges { added_messages: messages, ..DataChanges::default() };
    assert_eq!(login.data.apply(&changes), Ok(()));
    assert_round_trip(registry, &login).await;
}

/// Session data of exactly [`SessionData::MAX_BYTES`] is stored.
pub(super) async fn data_of_maximum_size_round_trips(registry: &dyn Registry) {
    let text = format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES - 3));
    let mut login = login(&user("alice"), now());
    assert_eq!(login.data.apply(&set([("a", &*text)])), Ok(()));
    assert_eq!(login.data.bytes(), SessionData::MAX_BYTES);
    assert_round_trip(registry, &login).await;
}

/// The actor, the flag of an uncounted session, and the end of adoption round-trip.
pub(super) async fn actor_and_adoption_round_trip(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let actor = Some("root\n".into());
    assert_round_trip(registry, &NewLogin { actor, uncounted: true, ..login(&alice, at) }).await;
    let adopted_until = Some(at.plus(hours(24 * 30)));
    assert_round_trip(registry, &NewLogin { adopted_until, ..login(&alice, at) }).await;
}

/// A login that is not fresh round-trips.
pub(super) async fn remembered_login_round_trips(registry: &dyn Registry) {
    let remembered = NewLogin { remembered: true, ..login(&user("alice"), now()) };
    assert_round_trip(registry, &remembered).await;
}

/// Every session of a user has its own data.
pub(super) async fn each_session_has_its_own_data(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let with_data = NewLogin { data: data([("a", "1")]), ..login(&alice, at) };
    commit(registry, &with_data).await;
    for other in commit_many(registry, &alice, 2, at.plus(minutes(1))).await {
        assert_eq!(*load(registry, other.key).await.data, SessionData::default(), "another one");
    }
    assert_eq!(*load(registry, with_data.key).await.data, with_data.data, "its own data");
}
