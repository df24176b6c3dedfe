//! Promises about user ids: every distinct text is a distinct user.

use std::sync::Arc;

use super::{
    fixtures::{limited, login, now, session, user},
    operations::{commit, count_open, end, load, open_ids, outcome},
    records::assert_round_trip,
};
use crate::{
    policy::limit::Overflow,
    registry::{Registry, end::EndTarget},
    session::{ended::Ended, login::NewLogin, reason::Reason, record::SessionRecord},
    time::minutes,
};

/// Any text is a user id. No character has a special meaning, and similar texts are different
/// users.
pub(super) async fn user_names_are_arbitrary_text(registry: &dyn Registry) {
    let salt = user("");
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
        let open = count_open(registry, login.key).await;
        assert_eq!(open, Some(1), "{:?} counts sessions of another user", login.user);
        let listed = open_ids(registry, &login.user).await;
        assert_eq!(listed, [login.id].into(), "{:?} lists records of another user", login.user);
    }
    let ended = Ended::new(Reason::Revoked, now());
    end(registry, EndTarget::All(Arc::clone(&names[0])), &ended).await;
    let record = load(registry, logins[1].key).await.record;
    assert_eq!(record.ended, None, "{:?} ended with {:?}", names[1], names[0]);
}

/// The empty text is a user id.
pub(super) async fn empty_user_name_is_a_user(registry: &dyn Registry) {
    let login = login(&"".into(), now());
    assert_round_trip(registry, &login).await;
    let ended = Ended::new(Reason::LoggedOut, now());
    let ended = end(registry, EndTarget::Session(session(&login)), &ended).await;
    assert_eq!(ended.len(), 1, "the session of the user \"\" did not end");
}

/// Two users with the same [partition key](crate::registry::RecordKey::partition_key) are different
/// users.
pub(super) async fn users_with_one_partition_key_stay_separate(registry: &dyn Registry) {
    let [alice, bob] = USERS_WITH_ONE_PARTITION_KEY.map(Arc::from);
    for user in [&alice, &bob] {
        outcome("erase", registry.erase(Arc::clone(user))).await;
    }
    let (alices, bobs) = (login(&alice, now()), login(&bob, now()));
    assert_eq!(alices.key.partition_key(), bobs.key.partition_key(), "the partition keys differ");
    assert_round_trip(registry, &bobs).await;
    assert_round_trip(registry, &alices).await;
    let later = alices.at.plus(minutes(1));
    let replaces = Some((bobs.id, Reason::LoggedOut));
    let new = limited(NewLogin { replaces, ..login(&alice, later) }, 2, Overflow::Refuse);
    assert_eq!(commit(registry, &new).await.1, [], "a login ended the other user's session");
    let ended = Ended::new(Reason::Revoked, later);
    let one = limited(new.clone(), 1, Overflow::Evict).limit;
    let enforced = registry.enforce_limit(session(&new), one, ended.clone());
    outcome("enforce_limit", enforced).await;
    end(registry, EndTarget::All(alice), &ended).await;
    let loaded = load(registry, bobs.key).await;
    assert_eq!(*loaded.record, SessionRecord::new(&bobs), "the other user's record");
    assert_eq!(loaded.open, Some(1), "the other user's open sessions");
    assert_eq!(open_ids(registry, &bob).await, [bobs.id].into(), "the other user's list");
}

/// Two users with the same partition key, found among 45 million names.
pub(super) const USERS_WITH_ONE_PARTITION_KEY: [&str; 2] = ["user 18849435", "user 21413909"];
