//! Random sequences of operations: a registry answers each as the plain one does.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};
use session_expire::{
    ActivityUpdate, Client, Clock, EndTarget, Ended, Limit, Loaded, LoginOutcome, ManualClock,
    MemoryRegistry, NewLogin, Overflow, Policy, PolicyPatch, Query, Reason, Registry, SessionLimit,
    SessionRecord,
    conformance::{Runner, block_on},
    minutes, seconds,
};

use crate::{plain::Plain, real};

/// One step. Sessions are meant by their number, counted from the first login on.
#[derive(Debug, Clone)]
pub enum Step {
    Login { user: usize, room: SessionLimit, idle: u64, replaces: Option<usize> },
    Touch { session: usize, seen_before: i64, patch: u8 },
    Load { session: usize },
    EndKey { session: usize },
    EndId { user: usize, session: usize },
    EndOthers { user: usize, session: usize },
    EndAll { user: usize },
    MakeRoom { session: usize, room: SessionLimit },
    Find { user: Option<usize>, ended: Option<bool>, limit: Option<usize>, after: Option<usize> },
    Turn { seconds: i64 },
}

const OWNERS: [&str; 3] = ["alice", "bob", ""];

fn rooms() -> impl Strategy<Value = SessionLimit> {
    let limit = prop_oneof![Just(Limit::Off), (0_u32..4).prop_map(Limit::At)];
    let overflow =
        prop_oneof![Just(Overflow::Evict), Just(Overflow::LeastRecent), Just(Overflow::Refuse)];
    (limit, overflow).prop_map(|(max_sessions, overflow)| SessionLimit { max_sessions, overflow })
}

pub fn steps() -> impl Strategy<Value = Step> {
    let (user, session) = (0..OWNERS.len(), 0_usize..12);
    let find = (
        proptest::option::of(user.clone()),
        any::<Option<bool>>(),
        proptest::option::of(0_usize..5),
        proptest::option::of(session.clone()),
    );
    prop_oneof![
        5 => (user.clone(), rooms(), 1_u64..20, proptest::option::of(session.clone()))
            .prop_map(|(user, room, idle, replaces)| Step::Login { user, room, idle, replaces }),
        4 => (session.clone(), -400_i64..400, 0_u8..3)
            .prop_map(|(session, seen_before, patch)| Step::Touch { session, seen_before, patch }),
        2 => session.clone().prop_map(|session| Step::Load { session }),
        1 => session.clone().prop_map(|session| Step::EndKey { session }),
        1 => (user.clone(), session.clone())
            .prop_map(|(user, session)| Step::EndId { user, session }),
        1 => (user.clone(), session.clone())
            .prop_map(|(user, session)| Step::EndOthers { user, session }),
        1 => user.prop_map(|user| Step::EndAll { user }),
        2 => (session, rooms()).prop_map(|(session, room)| Step::MakeRoom { session, room }),
        2 => find.prop_map(|(user, ended, limit, after)| Step::Find { user, ended, limit, after }),
        4 => (-300_i64..900).prop_map(|seconds| Step::Turn { seconds }),
    ]
}

/// What a registry has answered; where no order is promised, in the order of the ids.
#[derive(Debug, PartialEq)]
pub enum Said {
    Admitted(Box<SessionRecord>, Vec<SessionRecord>),
    Refused(Vec<SessionRecord>),
    Loaded(Box<Option<Loaded>>),
    Ended(Vec<SessionRecord>),
    Found(Vec<SessionRecord>),
    Nothing,
}

fn in_order(mut records: Vec<SessionRecord>) -> Vec<SessionRecord> {
    records.sort_by_key(|record| record.id);
    records
}

/// A sequence as it goes: the clock, and the logins so far.
#[derive(Default)]
pub struct Story {
    pub clock: ManualClock,
    pub logins: Vec<NewLogin>,
}

/// One step as it is put to each of the registries.
#[derive(Debug, Clone)]
pub enum Question {
    Login(Box<NewLogin>),
    Touch(session_expire::RecordKey, ActivityUpdate),
    Load(session_expire::RecordKey),
    End(EndTarget, Ended),
    MakeRoom(session_expire::RecordKey, SessionLimit, Ended),
    Find(Query),
}

impl Story {
    fn session(&self, number: usize) -> Option<&NewLogin> {
        self.logins.get(number % self.logins.len().max(1))
    }

    /// The question of `step`; `None` where it asks nothing, or for a session before the first login.
    pub fn question(&mut self, step: &Step) -> Option<Question> {
        let at = self.clock.now();
        let over = Ended { at, reason: Reason::Revoked, by: Some("here".into()) };
        let key = |session: &usize| self.session(*session).map(|login| login.key);
        let id = |session: &usize| self.session(*session).map(|login| login.id);
        Some(match step {
            Step::Login { user, room, idle, replaces } => {
                let policy = Policy::new().idle(minutes(*idle)).absolute(minutes(40));
                let number = self.logins.len();
                // A millisecond apart: among equals every registry may choose.
                self.clock.advance(std::time::Duration::from_millis(1));
                let replaces = replaces.and_then(|session| key(&session));
                let client =
                    Client { device: format!("device {number}").into(), ..Client::default() };
                let login = NewLogin {
                    client,
                    room: *room,
                    replaces: replaces.map(|key| (key, Reason::LoggedOut)),
                    ..NewLogin::new(OWNERS[*user], self.clock.now(), &policy)
                };
                self.logins.push(login.clone());
                Question::Login(Box::new(login))
            }
            Step::Touch { session, seen_before, patch } => {
                let seen = match u64::try_from(*seen_before) {
                    Ok(before) => at.minus(seconds(before)),
                    Err(_) => at.plus(seconds(seen_before.unsigned_abs())),
                };
                let patch = match patch {
                    0 => None,
                    1 => Some(None),
                    _ => Some(Some(Arc::new(PolicyPatch::new().idle(minutes(3))))),
                };
                Question::Touch(key(session)?, ActivityUpdate { seen, now: at, patch })
            }
            Step::Load { session } => Question::Load(key(session)?),
            Step::EndKey { session } => Question::End(EndTarget::Key(key(session)?), over),
            Step::EndId { user, session } => {
                Question::End(EndTarget::Id(OWNERS[*user].into(), id(session)?), over)
            }
            Step::EndOthers { user, session } => {
                Question::End(EndTarget::Others(OWNERS[*user].into(), id(session)?), over)
            }
            Step::EndAll { user } => Question::End(EndTarget::All(OWNERS[*user].into()), over),
            Step::MakeRoom { session, room } => Question::MakeRoom(key(session)?, *room, over),
            Step::Find { user, ended, limit, after } => Question::Find(Query {
                user: user.map(|user| OWNERS[user].into()),
                ended: *ended,
                limit: *limit,
                after: after
                    .and_then(|session| self.session(session))
                    .map(|login| (login.at, login.id)),
            }),
            Step::Turn { seconds: by } => {
                match u64::try_from(*by) {
                    Ok(by) => self.clock.advance(seconds(by)),
                    Err(_) => self.clock.step_back(seconds(by.unsigned_abs())),
                }
                return None;
            }
        })
    }
}

pub async fn ask(registry: &dyn Registry, question: &Question) -> Said {
    match question {
        Question::Login(login) => match registry.login(NewLogin::clone(login)).await.unwrap() {
            LoginOutcome::Committed { record, ended } => {
                Said::Admitted(Box::new(record), in_order(ended))
            }
            LoginOutcome::Refused { holders } => Said::Refused(holders),
        },
        Question::Touch(key, change) => {
            registry.touch(*key, change.clone()).await.unwrap();
            Said::Nothing
        }
        Question::Load(key) => Said::Loaded(Box::new(registry.load(*key).await.unwrap())),
        Question::End(target, ended) => {
            Said::Ended(in_order(registry.end(target.clone(), ended.clone()).await.unwrap()))
        }
        Question::MakeRoom(key, room, ended) => {
            Said::Ended(in_order(registry.make_room(*key, *room, ended.clone()).await.unwrap()))
        }
        Question::Find(query) => Said::Found(registry.find(query.clone()).await.unwrap()),
    }
}

/// Tells `steps` to both, and compares each answer, and in the end every record. `registry` is new,
/// keeps the whole log, and has no other users.
fn compare(registry: &dyn Registry, run: Runner, steps: &[Step]) {
    run(Box::pin(async {
        let plain = Plain::default();
        let mut story = Story::default();
        for (number, step) in steps.iter().enumerate() {
            let Some(question) = story.question(step) else { continue };
            let (expected, said) = (ask(&plain, &question).await, ask(registry, &question).await);
            assert_eq!(said, expected, "step {number}, {step:?}");
        }
        for login in &story.logins {
            let question = Question::Load(login.key);
            let (expected, said) = (ask(&plain, &question).await, ask(registry, &question).await);
            assert_eq!(said, expected, "in the end, the login at {:?}", login.at);
        }
    }));
}

/// One test for each registry.
macro_rules! sequences {
    ($($name:ident: $count:expr, $runner:expr, $fresh:expr;)*) => { $(
            proptest! {
                #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases($count) })]
                #[test]
                fn $name(steps in vec(steps(), 1..60)) {
                    let mut opened = None;
                    let run: Runner = $runner;
                    run(Box::pin(async { opened = Some($fresh.await) }));
                    compare(&opened.unwrap(), run, &steps);
                }
            }
    )* };
}

sequences! {
    memory: 1_000, block_on, async { MemoryRegistry::new().log_limit(Limit::Off) };
    sqlite: 100, block_on, async { real::sqlite() };
    redis_that_caches: 200, real::tokio, async { real::emptied_caching(&real::REDIS_OF_CACHES).await };
    redis: 200, real::tokio, async { real::emptied(&real::REDIS_OF_SEQUENCES).await };
}
