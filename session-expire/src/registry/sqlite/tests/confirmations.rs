//! Tests of tickets, stamps and failed confirmations.

use super::*;
use crate::session::{login::stamp::Stamp, login::ticket::Takeover};

/// Issues a ticket that is valid for five minutes.
fn issue_ticket(registry: &SqliteRegistry, user: &str, at: Timestamp) -> LoginTicket {
    let ticket = LoginTicket::new(user, at, at.plus(minutes(5)));
    wait(registry.issue_ticket(ticket.clone())).unwrap();
    ticket
}

fn fail(registry: &SqliteRegistry, session: SessionRef) -> Option<SessionRecord> {
    let ended = Ended::new(Reason::Revoked, NOON);
    wait(registry.count_confirmation_attempt(session, ended)).unwrap()
}

/// If a crash loses `remembered`, the session wrongly becomes fresh.
#[test]
fn update_that_remembers_the_session_is_durable() {
    let activity = SessionUpdate::new(NOON).active(NOON);
    let stamp = Some(Stamp::new("hash"));
    assert!(!is_activity(&SessionUpdate { remembered: true, ..activity.clone() }));
    assert!(!is_activity(&SessionUpdate { stamp, ..activity }));
}

#[test]
fn expired_tickets_are_deleted() {
    let folder = Folder::new();
    let registry = folder.open();
    for after in [0, 2] {
        issue_ticket(&registry, "alice", NOON.plus(minutes(after)));
    }
    let count = |after| {
        log_in(&registry, "bob", NOON.plus(minutes(after)));
        folder.number("SELECT count(*) FROM tickets")
    };
    assert_eq!([4, 5, 7].map(count), [2, 1, 0]);
}

#[test]
fn file_contains_hashes_of_tickets_only() {
    let folder = Folder::new();
    let ticket = issue_ticket(&folder.open(), "a person", NOON);
    assert!(contains(&folder, hashed(ticket.key).expose()));
    assert!(!contains(&folder, ticket.key.secret()) && !contains(&folder, "a person"));
}

#[test]
fn tickets_and_failures_survive_a_restart() {
    let folder = Folder::new();
    let registry = folder.open();
    let login = log_in(&registry, "alice", NOON);
    let remembered = SessionUpdate { remembered: true, ..SessionUpdate::new(NOON) };
    update(&registry, &login, remembered);
    fail(&registry, session(&login));
    let ticket = issue_ticket(&registry, "alice", NOON);
    drop(registry);
    let registry = folder.open();
    let record = record(&registry, login.key).unwrap();
    assert_eq!((record.remembered, record.confirmation_attempts), (true, 1));
    let ended = Ended::new(Reason::Revoked, NOON);
    let takeover = Some(Takeover::new(ticket.key, login.id, ended));
    commit(&registry, &NewLogin { takeover, ..alice(NOON) });
    assert_eq!(reason(&registry, login.key), Some(Reason::Revoked));
    assert_eq!(folder.number("SELECT count(*) FROM tickets"), 0);
}

/// The first use of `fresh` in a running application must not sign users out.
#[test]
fn session_of_version_1_counts_as_authenticated_at_its_login() {
    let folder = Folder::new();
    create_version_1(&folder, &["alice"]);
    let registry = folder.open();
    let [record] = list(&registry, Query::new()).try_into().unwrap();
    assert_eq!((record.logged_in_at, record.authenticated_at), (NOON, NOON));
    assert_eq!((record.remembered, record.confirmation_attempts), (false, 0));
    assert_eq!((record.stamp, &record.last_client), (None, &None));
    let counted = fail(&registry, record.session_ref()).unwrap();
    assert_eq!((counted.confirmation_attempts, counted.ended), (1, None));
}

/// A guessed password must be counted even if the disk is slow.
#[test]
fn failed_confirmation_that_timed_out_counts() {
    let folder = Folder::new();
    let registry = folder.open().timeout(hours(1));
    let login = log_in(&registry, "alice", NOON);
    let sender = stop_writer(&registry);
    registry.shared.set(|options| options.timeout = seconds(0));
    let ended = Ended::new(Reason::Revoked, NOON);
    wait(registry.count_confirmation_attempt(session(&login), ended)).unwrap_err();
    registry.shared.set(|options| options.timeout = hours(1));
    drop(sender);
    log_in(&registry, "bob", NOON);
    let record = record(&registry, login.key).unwrap();
    assert_eq!(record.confirmation_attempts, 1);
}
