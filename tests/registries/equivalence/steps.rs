//! Random steps, and the operations that they become in a [`Scenario`].

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use session_expire::{
    Limit, Overflow, Policy, PolicyPatch, PublicId, Reason,
    clock::{Clock, ManualClock},
    hours, minutes,
    registry::{
        Client, DataChanges, EndSessions, EndTarget, Ended, KeyRotation, LoginTicket, NewLogin,
        Query, RecordKey, SessionData, SessionLimit, SessionRecord, SessionRef, SessionUpdate,
        Stamp, StoredMessage, Takeover,
    },
    seconds,
};

use super::operation::Operation;

/// One step. Numbers refer to logins, keys and sessions in the order in which they were created.
#[derive(Debug, Clone)]
pub enum Step {
    Login {
        user: usize,
        limit: SessionLimit,
        idle: u64,
        replaces: Option<usize>,
        kind: Kind,
    },
    /// Reserves a slot for a login that a later step may commit.
    Reserve {
        user: usize,
        limit: SessionLimit,
        replaces: Option<usize>,
    },
    IssueTicket {
        user: usize,
    },
    /// Signs in with a ticket: as its user, or as another one.
    TakeOver {
        ticket: usize,
        user: Option<usize>,
        session: usize,
        limit: SessionLimit,
        replaces: Option<usize>,
        is_counted: bool,
    },
    FailConfirmation {
        session: usize,
    },
    CommitAgain {
        login: usize,
    },
    Cancel {
        login: usize,
    },
    Load {
        key: usize,
        count: bool,
    },
    Update {
        session: usize,
        change: Change,
    },
    Rotate {
        session: usize,
        key: usize,
        reauthenticates: bool,
        change: Change,
    },
    End {
        target: Target,
        user: usize,
        session: usize,
        closes_adoption: bool,
    },
    EnforceLimit {
        session: usize,
        limit: SessionLimit,
    },
    List {
        user: Option<usize>,
        ended: Option<bool>,
        limit: Option<usize>,
        after: Option<usize>,
    },
    EndEveryone,
    Erase {
        user: usize,
    },
    Export {
        user: usize,
    },
    Turn {
        seconds: i64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Usual,
    Uncounted,
    Adopted,
}

#[derive(Debug, Clone, Copy)]
pub enum Target {
    Session,
    Others,
    All,
}

/// What an update changes.
#[derive(Debug, Clone)]
pub struct Change {
    seen_before: Option<i64>,
    user_policy: u8,
    remembered: bool,
    stamp: u8,
    entry: u8,
    message: u8,
}

pub const USERS: [&str; 3] = ["alice", "bob", ""];

/// Longer than any sequence: with a clock that is set back, an expired reservation would hold
/// again.
const LONG: Duration = hours(100);

fn limits() -> impl Strategy<Value = SessionLimit> {
    let limit = prop_oneof![Just(Limit::Off), (0_u32..4).prop_map(Limit::At)];
    let overflow =
        prop_oneof![Just(Overflow::Evict), Just(Overflow::LeastRecent), Just(Overflow::Refuse)];
    (limit, overflow).prop_map(|(max_sessions, overflow)| SessionLimit::new(max_sessions, overflow))
}

fn changes() -> impl Strategy<Value = Change> {
    let seen = proptest::option::of(-400_i64..400);
    let flags = (0_u8..3, proptest::bool::weighted(0.1), 0_u8..6);
    (seen, flags, 0_u8..12, 0_u8..6).prop_map(
        |(seen_before, (user_policy, remembered, stamp), entry, message)| Change {
            seen_before,
            user_policy,
            remembered,
            stamp,
            entry,
            message,
        },
    )
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![6 => Just(Kind::Usual), 1 => Just(Kind::Uncounted), 1 => Just(Kind::Adopted)]
}

fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![3 => Just(Target::Session), 2 => Just(Target::Others), 1 => Just(Target::All)]
}

pub fn steps() -> impl Strategy<Value = Step> {
    let (user, number) = (0..USERS.len(), 0_usize..12);
    let some = proptest::option::of(number.clone());
    let list = (
        proptest::option::of(user.clone()),
        any::<Option<bool>>(),
        proptest::option::of(0_usize..5),
        some.clone(),
    );
    prop_oneof![
        10 => (user.clone(), limits(), 1_u64..20, some.clone(), kinds()).prop_map(
            |(user, limit, idle, replaces, kind)| Step::Login { user, limit, idle, replaces, kind }),
        4 => (user.clone(), limits(), some.clone())
            .prop_map(|(user, limit, replaces)| Step::Reserve { user, limit, replaces }),
        4 => user.clone().prop_map(|user| Step::IssueTicket { user }),
        6 => take_over(),
        8 => (0_usize..2).prop_map(|session| Step::FailConfirmation { session }),
        4 => number.clone().prop_map(|login| Step::CommitAgain { login }),
        2 => number.clone().prop_map(|login| Step::Cancel { login }),
        4 => (number.clone(), any::<bool>()).prop_map(|(key, count)| Step::Load { key, count }),
        8 => (number.clone(), changes())
            .prop_map(|(session, change)| Step::Update { session, change }),
        6 => (number.clone(), number.clone(), any::<bool>(), changes()).prop_map(
            |(session, key, reauthenticates, change)| {
                Step::Rotate { session, key, reauthenticates, change }
            }),
        5 => (targets(), user.clone(), number.clone(), proptest::bool::weighted(0.2)).prop_map(
            |(target, user, session, closes_adoption)| {
                Step::End { target, user, session, closes_adoption }
            }),
        4 => (number, limits())
            .prop_map(|(session, limit)| Step::EnforceLimit { session, limit }),
        4 => list.prop_map(|(user, ended, limit, after)| Step::List { user, ended, limit, after }),
        1 => prop_oneof![
            1 => Just(Step::EndEveryone),
            2 => user.clone().prop_map(|user| Step::Erase { user }),
            3 => user.prop_map(|user| Step::Export { user }),
        ],
        8 => (-300_i64..900).prop_map(|seconds| Step::Turn { seconds }),
    ]
}

fn take_over() -> impl Strategy<Value = Step> {
    let number = 0_usize..12;
    let user = proptest::option::weighted(0.2, 0..USERS.len());
    let replaces = proptest::option::weighted(0.2, number.clone());
    let is_counted = proptest::bool::weighted(0.8);
    (number.clone(), user, number, limits(), replaces, is_counted).prop_map(
        |(ticket, user, session, limit, replaces, is_counted)| Step::TakeOver {
            ticket,
            user,
            session,
            limit,
            replaces,
            is_counted,
        },
    )
}

/// A sequence in progress: the clock, and all logins, keys and sessions so far.
#[derive(Default)]
pub struct Scenario {
    clock: ManualClock,
    logins: Vec<NewLogin>,
    pub keys: Vec<RecordKey>,
    sessions: Vec<SessionRef>,
    tickets: Vec<LoginTicket>,
    /// Number of ends of all sessions.
    generation: u64,
}

fn pick<T: Clone>(all: &[T], number: usize) -> Option<T> {
    all.get(number % all.len().max(1)).cloned()
}

impl Scenario {
    /// Returns the operation of `step`; `None` if the step only moves the clock, or refers to
    /// something that was not created yet.
    pub fn operation(&mut self, step: &Step) -> Option<Operation> {
        let at = self.clock.now();
        let ended = Ended::new(Reason::Revoked, at).by("here");
        let ended = ended.with_cause("incident");
        let session = |number: &usize| pick(&self.sessions, *number);
        Some(match step {
            Step::Login { user, limit, idle, replaces, kind } => {
                let mut login = self.login(*user, *limit, *replaces);
                login.idle = Limit::At(minutes(*idle));
                login.uncounted = *kind == Kind::Uncounted;
                login.adopted_until = (*kind == Kind::Adopted).then(|| login.at.plus(LONG));
                self.add(&login);
                Operation::Commit(Box::new(login))
            }
            Step::Reserve { user, limit, replaces } => {
                let mut login = self.login(*user, *limit, *replaces);
                login.reserved_in = Some(self.generation);
                self.add(&login);
                Operation::Reserve(login.reservation(login.at.plus(LONG)))
            }
            Step::IssueTicket { user } => {
                let ticket = LoginTicket::new(USERS[*user], at, at.plus(LONG));
                self.tickets.push(ticket.clone());
                Operation::IssueTicket(ticket)
            }
            Step::TakeOver { ticket, user, session: number, limit, replaces, is_counted } => {
                let (ticket, taken) = (pick(&self.tickets, *ticket)?, session(number)?);
                let own = USERS.iter().position(|user| **user == *ticket.user);
                let mut login = self.login(user.or(own)?, *limit, *replaces);
                login.takeover = Some(Takeover::new(ticket.key(), taken.id, ended));
                login.uncounted = !is_counted;
                self.add(&login);
                Operation::Commit(Box::new(login))
            }
            Step::FailConfirmation { session: number } => {
                Operation::FailConfirmation(session(number)?, ended)
            }
            Step::CommitAgain { login } => {
                let mut login = pick(&self.logins, *login)?;
                self.clock.advance(Duration::from_millis(1));
                login.at = self.clock.now();
                Operation::Commit(Box::new(login))
            }
            Step::Cancel { login } => Operation::Cancel(pick(&self.logins, *login)?.key(), ended),
            Step::Load { key, count } => Operation::Load(pick(&self.keys, *key)?, *count),
            Step::Update { session: number, change } => {
                Operation::Update(session(number)?, self.update(change))
            }
            Step::Rotate { session: number, key, reauthenticates, change } => {
                let from = pick(&self.keys, *key)?;
                let mut rotation = KeyRotation::new(session(number)?, from, self.update(change));
                rotation.reauthenticated_as = reauthenticates.then(PublicId::random);
                self.add_rotation(&rotation);
                Operation::Rotate(rotation)
            }
            Step::End { target, user, session: number, closes_adoption } => {
                let target = match target {
                    // In some cases with another user.
                    Target::Session => {
                        let SessionRef { user: own, id, .. } = session(number)?;
                        let user = if *user == 0 { own } else { USERS[*user].into() };
                        EndTarget::Session(SessionRef::new(user, id))
                    }
                    Target::Others => EndTarget::Others(session(number)?),
                    Target::All => EndTarget::All(USERS[*user].into()),
                };
                let mut end = EndSessions::new(target, ended);
                end.close_adoption_until = closes_adoption.then(|| at.plus(LONG));
                Operation::End(end)
            }
            Step::EnforceLimit { session: number, limit } => {
                Operation::EnforceLimit(session(number)?, *limit, ended)
            }
            Step::List { user, ended, limit, after } => {
                let after = after.and_then(|number| pick(&self.logins, number));
                let mut query = Query::new().ended(*ended).limit(*limit);
                query.user = user.map(|user| USERS[user].into());
                query.after = after.map(|login| (login.at, login.id));
                Operation::List(query)
            }
            Step::EndEveryone => {
                self.generation += 1;
                Operation::EndEveryone(ended)
            }
            Step::Erase { user } => Operation::Erase(USERS[*user].into()),
            Step::Export { user } => Operation::Export(USERS[*user].into()),
            Step::Turn { seconds: by } => {
                match u64::try_from(*by) {
                    Ok(by) => self.clock.advance(seconds(by)),
                    Err(_) => self.clock.step_back(seconds(by.unsigned_abs())),
                }
                return None;
            }
        })
    }

    fn login(&self, user: usize, limit: SessionLimit, replaces: Option<usize>) -> NewLogin {
        // A millisecond apart, as the order of logins with the same time is not defined.
        self.clock.advance(Duration::from_millis(1));
        let policy = Policy::new().idle(minutes(10)).absolute(minutes(40));
        let mut login = NewLogin::new(USERS[user], self.clock.now(), &policy);
        login.client = Client::new(None, format!("device {}", self.logins.len()));
        login.limit = limit;
        login.replaces = replaces
            .and_then(|number| pick(&self.sessions, number))
            .map(|session| (session.id, Reason::LoggedOut));
        login.stamp = Stamp::from_number(self.logins.len().try_into().unwrap());
        login.data.apply(&set("login", "1")).unwrap();
        login
    }

    fn add(&mut self, login: &NewLogin) {
        self.logins.push(login.clone());
        self.keys.push(login.key());
        self.sessions.push(SessionRecord::new(login).session_ref());
    }

    fn add_rotation(&mut self, rotation: &KeyRotation) {
        self.keys.push(rotation.new_key());
        let user = Arc::clone(&rotation.session.user);
        self.sessions.extend(rotation.reauthenticated_as.map(|id| SessionRef::new(user, id)));
    }

    fn update(&self, change: &Change) -> SessionUpdate {
        let now = self.clock.now();
        let mut update = SessionUpdate::new(now);
        update.active_at = change.seen_before.map(|before| match u64::try_from(before) {
            Ok(before) => now.minus(seconds(before)),
            Err(_) => now.plus(seconds(before.unsigned_abs())),
        });
        update.client = Some(Client::new(None, format!("device {}", change.entry)));
        update.user_policy = match change.user_policy {
            0 => None,
            1 => Some(None),
            _ => Some(Some(Arc::new(PolicyPatch::new().idle(minutes(3))))),
        };
        update.remembered = change.remembered;
        update.stamp = Stamp::from_number(change.stamp.into());
        update.data = data_changes(change);
        update
    }
}

fn set(name: &str, text: &str) -> DataChanges {
    let mut changes = DataChanges::default();
    changes.set(name, serde_json::from_str(text).unwrap());
    changes
}

fn data_changes(change: &Change) -> DataChanges {
    let mut changes = match change.entry {
        0 => set("large", &format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES))),
        entry @ 1..6 => set(&format!("entry {entry}"), &change.message.to_string()),
        _ => DataChanges::default(),
    };
    if change.entry == 6 {
        changes.removed = vec!["login".into(), "entry 1".into()];
    }
    let content = || serde_json::from_str("\"hello\"").unwrap();
    match change.message {
        id @ (0 | 1) => changes.added_messages = vec![StoredMessage::new(id.into(), content())],
        2 => changes.consumed_messages = vec![0],
        _ => {}
    }
    changes
}
