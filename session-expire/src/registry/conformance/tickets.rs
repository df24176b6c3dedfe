//! Promises about tickets, and about logins that use a ticket to take over a session.

use std::sync::Arc;

use super::{
    fixtures::{MILLISECOND, OVERFLOWS, limited, login, now, session, user},
    operations::{
        assert_ended, commit, commit_many, commit_refused, end, ids, load_end, log_out, login_ids,
        open_ids, outcome, try_load,
    },
    user_names::USERS_WITH_ONE_PARTITION_KEY,
};
use crate::{
    policy::limit::Overflow,
    registry::{Registry, end::EndTarget},
    session::{
        ended::Ended,
        key::{PublicId, RecordKey},
        login::ticket::{LoginTicket, Takeover},
        login::{LoginOutcome, NewLogin},
        reason::Reason,
    },
    time::{Timestamp, minutes},
};

/// Issues a ticket for five minutes, and returns its key.
pub(super) async fn issue(registry: &dyn Registry, user: &Arc<str>, at: Timestamp) -> RecordKey {
    let ticket = LoginTicket::new(Arc::clone(user), at, at.plus(minutes(5)));
    outcome("issue_ticket", registry.issue_ticket(ticket.clone())).await;
    ticket.key
}

pub(super) fn taken_over(at: Timestamp) -> Ended {
    Ended::new(Reason::Revoked, at).with_cause("continued_elsewhere").by("the new device")
}

/// Returns a login that ends the session `taken` with the ticket.
pub(super) fn taking_over(login: NewLogin, ticket: RecordKey, taken: PublicId) -> NewLogin {
    let takeover = Some(Takeover::new(ticket, taken, taken_over(login.at)));
    NewLogin { takeover, ..login }
}

/// Commits `count` logins, and issues a ticket. Returns the logins, the ticket, and a login that
/// the limit refuses.
async fn full(registry: &dyn Registry, count: u32) -> (Vec<NewLogin>, RecordKey, NewLogin) {
    let logins = commit_many(registry, &user("alice"), count, now()).await;
    let at = logins[0].at.plus(minutes(u64::from(count)));
    let new = limited(login(&logins[0].user, at), count, Overflow::Refuse);
    (logins, issue(registry, &new.user, at).await, new)
}

/// Asserts that the ticket of the login is invalid, and that the login changes nothing.
async fn assert_invalid(registry: &dyn Registry, login: &NewLogin, name: &str) {
    let before = open_ids(registry, &login.user).await;
    let outcome = outcome("commit", registry.commit(login.clone())).await;
    assert!(matches!(outcome, LoginOutcome::TicketInvalid), "{name}: {outcome:?}");
    assert_eq!(try_load(registry, login.key).await, None, "{name}: the record");
    assert_eq!(open_ids(registry, &login.user).await, before, "{name}: the open sessions");
}

/// A login with a ticket ends the session that it takes over, takes its slot, and evicts no
/// session.
pub(super) async fn takeover_takes_the_slot_of_the_session(registry: &dyn Registry) {
    for overflow in OVERFLOWS {
        let (logins, ticket, new) = full(registry, 3).await;
        let new = taking_over(limited(new, 3, overflow), ticket, logins[1].id);
        let (_, ended) = commit(registry, &new).await;
        assert_ended(registry, &ended, &logins[1..2], &taken_over(new.at)).await;
        let open = login_ids([&logins[0], &logins[2], &new]);
        assert_eq!(open_ids(registry, &new.user).await, open, "left open, {overflow:?}");
    }
}

/// The commit of a login spends its ticket.
pub(super) async fn ticket_is_valid_once(registry: &dyn Registry) {
    let (logins, ticket, new) = full(registry, 2).await;
    commit(registry, &taking_over(new.clone(), ticket, logins[0].id)).await;
    let again = limited(login(&new.user, new.at), 2, Overflow::Refuse);
    let again = taking_over(again, ticket, logins[1].id);
    assert_invalid(registry, &again, "spent").await;
}

/// A ticket that was not issued is invalid.
pub(super) async fn unknown_ticket_is_invalid(registry: &dyn Registry) {
    let (logins, _, new) = full(registry, 1).await;
    let unknown = taking_over(new.clone(), RecordKey::random(&new.user), logins[0].id);
    assert_invalid(registry, &unknown, "unknown").await;
}

/// A ticket is valid for its user only, even among users with the same partition key. The end of
/// all sessions of another user does not void it.
pub(super) async fn ticket_of_another_user_is_invalid(registry: &dyn Registry) {
    let (logins, _, new) = full(registry, 1).await;
    let ticket = issue(registry, &user("bob"), new.at).await;
    assert_invalid(registry, &taking_over(new, ticket, logins[0].id), "of another user").await;
    let [alice, bob] = USERS_WITH_ONE_PARTITION_KEY.map(Arc::from);
    let [alices, bobs] = [login(&alice, now()), login(&bob, now())];
    let ticket = issue(registry, &bob, bobs.at).await;
    let alices = taking_over(alices, ticket, PublicId::random());
    assert_invalid(registry, &alices, "of the same partition").await;
    end(registry, EndTarget::All(alice), &Ended::new(Reason::Revoked, bobs.at)).await;
    commit(registry, &taking_over(bobs, ticket, PublicId::random())).await;
}

/// A ticket is invalid from its expiry on.
pub(super) async fn expired_ticket_is_invalid(registry: &dyn Registry) {
    let (logins, ticket, new) = full(registry, 1).await;
    let second = issue(registry, &new.user, new.at).await;
    let until = new.at.plus(minutes(5));
    let last = NewLogin { at: until.minus(MILLISECOND), ..new };
    commit(registry, &taking_over(last.clone(), ticket, logins[0].id)).await;
    let late = limited(login(&last.user, until), 1, Overflow::Refuse);
    assert_invalid(registry, &taking_over(late, second, last.id), "expired").await;
}

/// If the limit refuses a login despite its ticket, no session ends and the ticket is not spent.
pub(super) async fn refused_takeover_changes_nothing(registry: &dyn Registry) {
    let (logins, ticket, new) = full(registry, 3).await;
    let refused = limited(taking_over(new.clone(), ticket, logins[1].id), 2, Overflow::Refuse);
    let active = commit_refused(registry, &refused).await;
    assert_eq!(ids(&active), login_ids([&logins[0], &logins[2]]), "the active sessions");
    assert_eq!(load_end(registry, logins[1].key).await, None, "the session to take over");
    commit(registry, &taking_over(new, ticket, logins[1].id)).await;
}

/// A login that is committed again returns its record, although its ticket is spent.
pub(super) async fn repeated_takeover_returns_its_record(registry: &dyn Registry) {
    let (logins, ticket, new) = full(registry, 1).await;
    let new = taking_over(new, ticket, logins[0].id);
    let (record, _) = commit(registry, &new).await;
    assert_eq!(commit(registry, &new).await, (record, vec![]), "the second outcome");
}

/// If the session of a takeover has ended, the login needs a free slot and the ticket. The end of a
/// session voids no ticket.
pub(super) async fn takeover_of_an_ended_session_needs_a_slot(registry: &dyn Registry) {
    let (logins, ticket, new) = full(registry, 2).await;
    log_out(registry, &logins[0], new.at).await;
    let one = limited(new.clone(), 1, Overflow::Refuse);
    let active = commit_refused(registry, &taking_over(one, ticket, logins[0].id)).await;
    assert_eq!(ids(&active), login_ids(&logins[1..]), "the active sessions");
    let (_, ended) = commit(registry, &taking_over(new.clone(), ticket, logins[0].id)).await;
    assert_eq!(ended, [], "ended by the login");
    assert_eq!(open_ids(registry, &new.user).await, login_ids([&logins[1], &new]), "left open");
}

/// A takeover does not end a session of another user.
pub(super) async fn takeover_ends_no_session_of_another_user(registry: &dyn Registry) {
    let (_, ticket, new) = full(registry, 2).await;
    let bobs = commit_many(registry, &user("bob"), 1, new.at).await;
    let new = taking_over(limited(new, 3, Overflow::Refuse), ticket, bobs[0].id);
    assert_eq!(commit(registry, &new).await.1, [], "ended by the login");
    assert_eq!(load_end(registry, bobs[0].key).await, None, "the other user's session");
}

/// A user has at most 16 tickets; a further ticket voids the one that expires first.
pub(super) async fn surplus_ticket_voids_the_first_to_expire(registry: &dyn Registry) {
    let (logins, first, new) = full(registry, 1).await;
    let mut tickets = vec![];
    for n in 0..16 {
        tickets.push(issue(registry, &new.user, new.at.plus(minutes(1 + n % 3))).await);
        issue(registry, &user("bob"), new.at).await;
    }
    let at = new.at.plus(minutes(4));
    let new = || limited(login(&logins[0].user, at), 20, Overflow::Refuse);
    assert_invalid(registry, &taking_over(new(), first, logins[0].id), "the first").await;
    for ticket in tickets {
        commit(registry, &taking_over(new(), ticket, logins[0].id)).await;
    }
}

/// The end of all sessions of a user voids the user's tickets.
pub(super) async fn end_of_all_voids_tickets(registry: &dyn Registry) {
    let (logins, ticket, new) = full(registry, 1).await;
    let bobs = issue(registry, &user("bob"), new.at).await;
    let ended = Ended::new(Reason::Revoked, new.at);
    end(registry, EndTarget::All(Arc::clone(&new.user)), &ended).await;
    assert_ne!(bobs, ticket);
    assert_invalid(registry, &taking_over(new, ticket, logins[0].id), "after the end").await;
}

/// The end of all sessions except one voids the user's tickets, unless that session is not open.
pub(super) async fn end_of_the_others_voids_tickets(registry: &dyn Registry) {
    let (logins, ticket, new) = full(registry, 2).await;
    let bobs = login(&user("bob"), new.at);
    let bobs_ticket = issue(registry, &bobs.user, bobs.at).await;
    let ended = Ended::new(Reason::Revoked, new.at);
    let others = || EndTarget::Others(session(&logins[0]));
    end(registry, others(), &ended).await;
    assert_invalid(registry, &taking_over(new.clone(), ticket, logins[0].id), "after it").await;
    commit(registry, &taking_over(bobs, bobs_ticket, PublicId::random())).await;
    let ticket = issue(registry, &new.user, new.at).await;
    log_out(registry, &logins[0], new.at).await;
    end(registry, others(), &ended).await;
    commit(registry, &taking_over(new, ticket, logins[0].id)).await;
}

/// `end_everyone` voids all tickets. A later ticket is valid.
pub(super) async fn end_everyone_voids_tickets(registry: &dyn Registry) {
    let (logins, ticket, new) = full(registry, 1).await;
    let signed_out = user("bob");
    let of_bob = issue(registry, &signed_out, new.at).await;
    let ended = Ended::new(Reason::Revoked, new.at);
    outcome("end_everyone", registry.end_everyone(ended)).await;
    assert_invalid(registry, &taking_over(new.clone(), ticket, logins[0].id), "of Alice").await;
    let later = issue(registry, &signed_out, new.at).await;
    let bob = login(&signed_out, new.at);
    assert_invalid(registry, &taking_over(bob.clone(), of_bob, PublicId::random()), "of Bob").await;
    commit(registry, &taking_over(bob, later, PublicId::random())).await;
    let carol = login(&user("carol"), new.at);
    let first = issue(registry, &carol.user, new.at).await;
    commit(registry, &taking_over(carol, first, PublicId::random())).await;
}

/// `erase` deletes the tickets of the user.
pub(super) async fn erase_deletes_tickets(registry: &dyn Registry) {
    let (logins, ticket, new) = full(registry, 1).await;
    outcome("erase", registry.erase(Arc::clone(&new.user))).await;
    assert_invalid(registry, &taking_over(new, ticket, logins[0].id), "after the erasure").await;
    assert_eq!(try_load(registry, logins[0].key).await, None, "{:?}", session(&logins[0]));
}
