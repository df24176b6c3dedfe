//! Promises about records: what goes in comes out.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use super::stage::{answered, limited, load, login, now, open_ids, sign_in, somebody};
use crate::{
    facts::Reason,
    limit::{Limit, Limits, Overflow},
    policy::PolicyPatch,
    registry::{
        EndTarget, Query, Registry,
        key::{RecordKey, partition_key},
        login::NewLogin,
        record::Ended,
        record::SessionRecord,
    },
    time::{Timestamp, minutes, seconds},
};

/// Signs in and asserts that answer, record and list are what the login says.
async fn assert_round_trip(registry: &dyn Registry, login: &NewLogin) {
    let expected = SessionRecord::new(login);
    let (record, ended) = sign_in(registry, login).await;
    assert_eq!(record, expected, "the answered record is not what was handed in");
    assert_eq!(ended, [], "a login without a limit ended somebody");
    let loaded = load(registry, login.key).await.record;
    assert_eq!(*loaded, expected, "the loaded record is not what was handed in");
    let listed = answered("find", registry.find(Query::open(Arc::clone(&login.user)))).await;
    assert!(
        listed.contains(&expected),
        "the record is not listed as it was handed in: {listed:#?}"
    );
}

/// `login` answers the record that `load` then finds.
pub async fn a_login_is_loaded_as_it_was_answered(registry: &dyn Registry) {
    assert_round_trip(registry, &login(&somebody("alice"), now())).await;
}

/// A key that was never there is `None`, not an error.
pub async fn an_unknown_key_is_none(registry: &dyn Registry) {
    let key = RecordKey::random(&somebody("nobody"));
    let loaded = answered("load", registry.load(key)).await;
    assert_eq!(loaded, None, "a key was found that was never handed out");
}

/// [`Loaded::open`](crate::Loaded) counts this user's open records, and nothing else.
pub async fn a_load_counts_the_open_ones_of_this_user_only(registry: &dyn Registry) {
    let (alice, bob, at) = (somebody("alice"), somebody("bob"), now());
    let (first, second) = (login(&alice, at), login(&alice, at.plus(minutes(1))));
    for login in [&first, &second, &login(&bob, at), &login(&bob, at)] {
        sign_in(registry, login).await;
    }
    let open = load(registry, first.key).await.open;
    assert_eq!(open, 2, "of two open records of this user and two of another");
    let over = Ended::new(Reason::LoggedOut, at.plus(minutes(2)));
    answered("end", registry.end(EndTarget::Key(second.key), over)).await;
    assert_eq!(load(registry, first.key).await.open, 1, "after one of two has ended");
    assert_eq!(load(registry, second.key).await.open, 1, "loaded by the key of the ended one");
}

/// Users may be called anything: nothing in a name is an end, a pattern, a path or another user.
pub async fn owners_may_be_called_anything(registry: &dyn Registry) {
    let salt = somebody("");
    let long = format!("{salt}{}", "x".repeat(10_000));
    let longer = format!("{long}y");
    let endings = [
        "",
        " ",
        "  ",
        "\t",
        "{",
        "}",
        "{}",
        "{a}",
        "a}{b",
        "\n",
        "\r\n",
        "\0",
        "\0a",
        "'",
        "\"",
        "\\",
        "%",
        "_",
        "*",
        "?",
        "[a-z]",
        ":",
        "::",
        "/",
        "..",
        ";--",
        "é",
        "e\u{301}",
        "🦀",
        "🦀🦀",
        "\u{202e}abc",
        "A",
        "a",
    ];
    let names = endings.iter().map(|ending| format!("{salt}{ending}"));
    let names: Vec<Arc<str>> = names.chain([long, longer]).map(Arc::from).collect();
    let logins: Vec<_> = names.iter().map(|name| login(name, now())).collect();
    for login in &logins {
        assert_round_trip(registry, login).await;
    }
    for login in &logins {
        let open = load(registry, login.key).await.open;
        assert_eq!(open, 1, "{:?} is taken for another user", login.user);
        let listed = open_ids(registry, &login.user).await;
        assert_eq!(listed, [login.id].into(), "{:?} lists others' records", login.user);
    }
    let over = Ended::new(Reason::Revoked, now());
    answered("end", registry.end(EndTarget::All(Arc::clone(&names[0])), over)).await;
    let loaded = load(registry, logins[1].key).await.record;
    assert_eq!(loaded.ended, None, "{:?} ended with {:?}", names[1], names[0]);
}

/// The user without a name is one like any other.
pub async fn an_owner_may_be_called_nothing(registry: &dyn Registry) {
    let login = login(&"".into(), now());
    assert_round_trip(registry, &login).await;
    let over = Ended::new(Reason::LoggedOut, now());
    let ended = answered("end", registry.end(EndTarget::Id("".into(), login.id), over)).await;
    assert_eq!(ended.len(), 1, "the login of the user called \"\" could not be ended by its id");
}

/// Two users whose keys begin with the same letters are two users; see
/// [`RecordKey::tag`](crate::RecordKey::tag).
pub async fn users_who_share_a_tag_are_kept_apart(registry: &dyn Registry) {
    let (alice, bob) = two_who_share_a_tag();
    let (alices, bobs) = (login(&alice, now()), login(&bob, now()));
    assert_eq!(alices.key.tag(), bobs.key.tag(), "they share no tag");
    assert_round_trip(registry, &bobs).await;
    assert_round_trip(registry, &alices).await;
    let later = alices.at.plus(minutes(1));
    let replaces = Some((bobs.key, Reason::LoggedOut));
    let new = limited(NewLogin { replaces, ..login(&alice, later) }, 2, Overflow::Refuse);
    assert_eq!(sign_in(registry, &new).await.1, [], "Alice's login ended Bob's session");
    let over = Ended::new(Reason::Revoked, later);
    let one = limited(new.clone(), 1, Overflow::Evict).room;
    answered("make_room", registry.make_room(new.key, one, over.clone())).await;
    answered("end", registry.end(EndTarget::All(alice), over)).await;
    let loaded = load(registry, bobs.key).await;
    assert_eq!(
        (loaded.record, loaded.open),
        (Arc::new(SessionRecord::new(&bobs)), 1),
        "of the other user"
    );
    assert_eq!(open_ids(registry, &bob).await, [bobs.id].into(), "of the other user");
}

/// By the birthday paradox some five thousand names suffice.
fn two_who_share_a_tag() -> (Arc<str>, Arc<str>) {
    let (salt, mut known) = (somebody("user"), HashMap::new());
    (0_u32..)
        .find_map(|n| {
            let name: Arc<str> = format!("{salt}-{n}").into();
            known.insert(partition_key(&name), Arc::clone(&name)).map(|other| (other, name))
        })
        .unwrap_or_else(|| unreachable!("there are more names than tags"))
}

/// Addresses of both kinds, none, and any text for the device.
pub async fn the_client_comes_back_as_it_went_in(registry: &dyn Registry) {
    let addresses = ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "::", "255.255.255.255"];
    let addresses = addresses.into_iter().map(|text| text.parse::<IpAddr>().ok());
    let long = "x".repeat(10_000);
    let devices = ["", "Firefox on Linux", "\0", "\"},{\"", "é🦀\n", &long, " "];
    for (ip, device) in addresses.chain([None, None]).zip(devices) {
        let mut login = login(&somebody("alice"), now());
        (login.client.ip, login.client.device) = (ip, device.into());
        assert_round_trip(registry, &login).await;
    }
}

/// What the user has of their own comes back word for word, and so does having nothing.
pub async fn the_patch_comes_back_as_it_went_in(registry: &dyn Registry) {
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
        let choice = patch.clone();
        assert_round_trip(registry, &NewLogin { choice, ..login(&somebody("alice"), now()) }).await;
        assert_round_trip(registry, &NewLogin { patch, ..login(&somebody("alice"), now()) }).await;
    }
}

/// The limits under which a session counts as alive, also when there are none.
pub async fn the_limits_come_back_as_they_went_in(registry: &dyn Registry) {
    let (short, long) =
        (Limit::At(std::time::Duration::from_millis(1)), Limit::At(minutes(52_560_000)));
    for (idle, absolute) in
        [(Limit::Off, Limit::Off), (short, long), (long, Limit::Off), (Limit::Off, short)]
    {
        let limits = Limits { idle, absolute };
        assert_round_trip(registry, &NewLogin { limits, ..login(&somebody("alice"), now()) }).await;
    }
}

/// Of a clock gone wrong the times come back to the millisecond, from the year 1 to the year 9999.
pub async fn times_far_away_come_back_as_they_went_in(registry: &dyn Registry) {
    for millis in [-62_135_596_799_999, -1, 0, 1, 253_402_300_799_999] {
        let at = Timestamp::from_millis(millis);
        assert_round_trip(registry, &login(&somebody("alice"), at)).await;
    }
}

/// No time, however wrong, breaks an operation or what comes after it.
pub async fn no_time_breaks_the_registry(registry: &dyn Registry) {
    for millis in [i64::MIN, i64::MAX] {
        let (alice, at) = (somebody("alice"), Timestamp::from_millis(millis));
        let mad = login(&alice, at);
        sign_in(registry, &mad).await;
        answered("touch", registry.touch(mad.key, super::stage::activity(at))).await;
        let over = Ended::new(Reason::Revoked, at);
        answered("make_room", registry.make_room(mad.key, mad.room, over.clone())).await;
        answered("end", registry.end(EndTarget::Key(mad.key), over)).await;
        assert_round_trip(registry, &login(&alice, now())).await;
        assert_round_trip(registry, &login(&somebody("bob"), now())).await;
    }
}
