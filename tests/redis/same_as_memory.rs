//! The Lua scripts and the memory registry implement the same rules: random operations have the
//! same outcomes.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use fastrand::Rng;
use session_expire::{
    Limit, MemoryRegistry, Overflow, Policy, PolicyPatch, PublicId, Reason, RedisRegistry,
    clock::Timestamp,
    error::RegistryError,
    hours, minutes,
    registry::{
        Client, DataChanges, EndSessions, EndTarget, Ended, KeyRotation, LoginTicket, NewLogin,
        Query, RecordKey, Registry, SessionLimit, SessionRecord, SessionRef, SessionUpdate,
        SigningKey, Stamp, StoredMessage, Takeover, UserExport,
    },
};
use session_expire_tests::{Moves, RedisCluster};
use tokio::runtime::Runtime;

use crate::{
    NOON, raw, rounds,
    servers::{Servers, tests_on_all_servers},
};

const USERS: [&str; 2] = ["alice", "bob"];
const TEXTS: [&str; 7] = [
    "[]",
    "{}",
    "1e400",
    "18446744073709551615",
    r#""a:b\n\u0000\ud800""#,
    r#"[{"é":[]}]"#,
    "\"/\"",
];
const NAMES: [&str; 7] = ["", "1", "a", "é:", "e1:1:", "b\0", "\"\\/"];

/// Two registries with the same sessions.
struct Pair {
    redis: RedisRegistry,
    memory: MemoryRegistry,
    rng: Rng,
    now: Timestamp,
    keys: Vec<RecordKey>,
    sessions: Vec<SessionRef>,
    tickets: Vec<LoginTicket>,
    step: String,
}

fn agree<T: Debug>(
    redis: Result<T, RegistryError>,
    memory: Result<T, RegistryError>,
    what: &str,
) -> String {
    let (redis, memory) = (format!("{:?}", redis.unwrap()), format!("{:?}", memory.unwrap()));
    assert_eq!(redis, memory, "{what}");
    redis
}

macro_rules! both {
    ($pair:expr, $operation:ident($($argument:expr),*)) => {{
        let memory = $pair.memory.$operation($($argument.clone()),*).await;
        let redis = $pair.redis.$operation($($argument.clone()),*).await;
        let what = format!("{} {}", stringify!($operation), $pair.step);
        agree(redis, memory, &what)
    }};
}

impl Pair {
    fn user(&mut self) -> Arc<str> {
        self.rng.choice(USERS).unwrap().into()
    }

    fn at(&mut self) -> Timestamp {
        self.now.minus(Duration::from_millis(self.rng.u64(0..300_000)))
    }

    /// Returns one of the last keys.
    fn key(&mut self) -> RecordKey {
        let last: Vec<_> = self.keys.iter().rev().take(8).copied().collect();
        self.rng.choice(last).unwrap_or_else(|| RecordKey::random("alice"))
    }

    /// Returns one of the last sessions, in some cases with another user.
    fn session(&mut self) -> SessionRef {
        let last: Vec<_> = self.sessions.iter().rev().take(8).cloned().collect();
        let session = self.rng.choice(last);
        let mut session = session.unwrap_or_else(|| SessionRef::new("alice", PublicId::random()));
        if self.rng.u8(0..20) == 0 {
            session.user = self.user();
        }
        session
    }

    fn limit(&mut self) -> SessionLimit {
        let overflow = [Overflow::Evict, Overflow::LeastRecent, Overflow::Refuse];
        let overflow = self.rng.choice(overflow).unwrap();
        SessionLimit::new(self.rng.choice([0, 1, 3, 5]).unwrap(), overflow)
    }

    fn client(&mut self) -> Client {
        let ip = self.rng.choice(["", "192.0.2.1", "2001:db8::1"]).unwrap().parse().ok();
        Client::new(ip, format!("a \"b\"\n/{}", self.rng.u8(0..3)))
    }

    fn policy(&mut self) -> Option<Arc<PolicyPatch>> {
        let patch = PolicyPatch::new().message("a \"b\"\n/ c").idle(Limit::Off);
        self.rng.bool().then(|| Arc::new(patch))
    }

    fn changes(&mut self) -> DataChanges {
        let mut changes = DataChanges::default();
        for _ in 0..self.rng.u8(0..4) {
            let name = self.rng.choice(NAMES).unwrap();
            match self.rng.u8(0..3) {
                0 => changes.removed.push(name.into()),
                _ => changes.set(name, raw(self.rng.choice(TEXTS).unwrap())),
            }
        }
        for _ in 0..self.rng.u8(0..4) {
            let (id, content) = (self.rng.u64(0..30), raw(self.rng.choice(TEXTS).unwrap()));
            match self.rng.bool() {
                true => changes.consumed_messages.push(id),
                false => changes.added_messages.push(StoredMessage::new(id, content)),
            }
        }
        match self.rng.u8(0..10) {
            // Some bytes below or above the limit.
            0 => {
                let text = "é".repeat(32_650 + self.rng.usize(0..120));
                changes.set("large", raw(&format!("\"{text}\"")));
            }
            1 => changes.removed.push("large".into()),
            _ => {}
        }
        changes
    }

    fn update(&mut self, now: Timestamp) -> SessionUpdate {
        let mut update = SessionUpdate::new(now);
        update.active_at = self.rng.bool().then(|| self.at());
        update.client = self.rng.bool().then(|| self.client());
        update.user_policy = (self.rng.u8(0..4) == 0).then(|| self.policy());
        let key = (self.rng.u8(0..8) == 0).then(SigningKey::random);
        update = update.with_signing_key(key);
        update.remembered = self.rng.u8(0..10) == 0;
        update.stamp = Stamp::from_number(self.rng.u64(0..3));
        update.data = self.changes();
        update
    }

    fn login(&mut self) -> NewLogin {
        let idle = self.rng.choice([Limit::Off, Limit::At(minutes(10))]).unwrap();
        let absolute = self.rng.choice([Limit::Off, Limit::At(minutes(30))]).unwrap();
        let mut login =
            NewLogin::new(self.user(), self.now, &Policy::new().idle(idle).absolute(absolute));
        login.limit = self.limit();
        login.client = self.client();
        login.login_policy = self.policy();
        login.uncounted = self.rng.u8(0..6) == 0;
        login.actor = (self.rng.u8(0..6) == 0).then(|| "admin".into());
        if self.rng.u8(0..6) == 0 {
            login.adopted_until = Some(self.now.plus(hours(48)));
            login.logged_in_at = self.rng.bool().then(|| self.at());
        }
        if self.rng.u8(0..3) == 0 {
            login.replaces = Some((self.session().id, Reason::LoggedOut));
        }
        login.stamp = Stamp::from_number(self.rng.choice([0, 1 << 63, u64::MAX]).unwrap());
        if let Some(ticket) = self.rng.choice(self.tickets.clone()).filter(|_| self.rng.bool()) {
            let how = Ended::new(Reason::Revoked, self.at()).by("a \"b\"\n/");
            login.takeover = Some(Takeover::new(ticket.key(), self.session().id, how));
            if self.rng.u8(0..4) > 0 && *login.user != *ticket.user {
                login.user = ticket.user.clone();
                login = login.clone().with_key(RecordKey::random(&login.user));
            }
        }
        let _ = login.data.apply(&self.changes());
        login
    }

    async fn sign_in(&mut self) {
        let mut login = self.login();
        self.keys.push(login.key());
        self.sessions.push(SessionRef::new(login.user.clone(), login.id));
        if self.rng.u8(0..3) == 0 {
            let until = self.now.plus(Duration::from_millis(self.rng.u64(0..600_000)));
            both!(self, reserve(login.reservation(until)));
        }
        if self.rng.u8(0..8) == 0 {
            self.now = self.now.plus(Duration::from_millis(self.rng.u64(0..600_000)));
            login.at = self.now;
        }
        match self.rng.u8(0..8) {
            0 => drop(both!(self, cancel(login.key(), Ended::new(Reason::LoggedOut, self.now)))),
            1 => {} // The reservation is never committed.
            2 => {
                both!(self, commit(login));
                both!(self, commit(login));
            }
            _ => drop(both!(self, commit(login))),
        }
    }

    async fn rotate(&mut self, now: Timestamp) {
        let (session, key) = (self.session(), self.key());
        let mut rotation = KeyRotation::new(session.clone(), key, self.update(now));
        rotation.reauthenticated_as = self.rng.bool().then(PublicId::random);
        if both!(self, rotate(rotation)) == "Rotated" {
            let id = rotation.reauthenticated_as.unwrap_or(session.id);
            self.keys.push(rotation.new_key());
            self.sessions.push(SessionRef::new(session.user, id));
        }
    }

    async fn issue_ticket(&mut self) {
        let until = self.now.plus(Duration::from_millis(self.rng.u64(0..3_000_000)));
        let ticket = LoginTicket::new(self.user(), self.now, until);
        self.tickets.truncate(3);
        self.tickets.insert(0, ticket.clone());
        both!(self, issue_ticket(ticket));
    }

    async fn fail_confirmation(&mut self) {
        let session = self.sessions.last().cloned();
        let session = session.unwrap_or_else(|| SessionRef::new("alice", PublicId::random()));
        for _ in 0..self.rng.u8(1..5) {
            let ended = Ended::new(Reason::Revoked, self.now).with_cause("é \"b\"\n");
            both!(self, count_confirmation_attempt(session, ended));
        }
    }

    async fn end(&mut self) {
        let session = self.session();
        let target = match self.rng.u8(0..8) {
            0 => EndTarget::All(session.user),
            1 => EndTarget::Others(session),
            _ => EndTarget::Session(session),
        };
        let cause = self.rng.choice(["password_changed", "é \"b\""]).unwrap();
        let mut end =
            EndSessions::new(target, Ended::new(Reason::Revoked, self.now).with_cause(cause));
        end.close_adoption_until =
            (self.rng.u8(0..4) == 0).then(|| self.now.plus(minutes(self.rng.u64(0..60))));
        let memory = self.memory.end(end.clone()).await;
        let redis = self.redis.end(end).await;
        agree(by_id(redis), by_id(memory), &format!("end {}", self.step));
    }

    async fn list(&mut self) {
        let user = self.rng.bool().then(|| self.user());
        let ended = self.rng.choice([None, Some(true), Some(false)]).unwrap();
        let mut query = Query::new().ended(ended).limit(self.rng.bool().then_some(2));
        query.user = user;
        both!(self, list(query));
    }

    async fn step(&mut self, sets_clock_back: bool) {
        let set_back = Duration::from_secs(u64::from(sets_clock_back) * self.rng.u64(0..2) * 1_000);
        let past = self.now.minus(set_back);
        match self.rng.u8(0..40) {
            0..8 => self.sign_in().await,
            8..16 => {
                let (session, update) = (self.session(), self.update(past));
                both!(self, update(session, update));
            }
            16..20 => self.rotate(past).await,
            20..24 => self.end().await,
            24..28 => {
                let (session, limit) = (self.session(), self.limit());
                both!(self, enforce_limit(session, limit, Ended::new(Reason::Evicted, self.now)));
            }
            28..30 => self.list().await,
            30..35 => self.issue_ticket().await,
            35..38 => self.fail_confirmation().await,
            _ => self.rare_step().await,
        }
    }

    async fn rare_step(&mut self) {
        let user = self.user();
        match self.rng.u8(0..8) {
            0 => drop(both!(self, end_everyone(Ended::new(Reason::Revoked, self.now)))),
            1 => drop(both!(self, erase(user))),
            _ => {
                let redis = self.redis.export(user.clone()).await.unwrap();
                let memory = self.memory.export(user).await.unwrap();
                assert_eq!(sorted(redis), sorted(memory), "export {}", self.step);
            }
        }
    }

    async fn compare_last_records(&mut self) {
        for key in self.keys.iter().rev().take(8) {
            for count_open in [false, true] {
                let redis = self.redis.load(*key, count_open).await.unwrap();
                let memory = self.memory.load(*key, count_open).await.unwrap();
                assert_eq!(redis, memory, "load {}", self.step);
            }
        }
    }
}

/// The order of the records that an operation has ended is not defined.
fn by_id(
    ended: Result<Vec<SessionRecord>, RegistryError>,
) -> Result<Vec<SessionRecord>, RegistryError> {
    let mut ended = ended?;
    ended.sort_by_key(|record| record.id);
    Ok(ended)
}

/// The order of the data of a user is not defined.
fn sorted(export: UserExport) -> (Vec<String>, BTreeMap<PublicId, String>) {
    let records = export.records.iter().map(|record| format!("{record:?}")).collect();
    let data = export.data.iter();
    let text = |data| serde_json::to_string(data).unwrap();
    (records, data.map(|(session, data)| (session.id, text(data))).collect())
}

async fn random_operations_match_the_memory_registry(servers: &Servers) {
    for seed in 0..u64::from(rounds::times(4)) {
        compare(servers.registry_for(seed).await, seed).await;
    }
}

/// Applies random operations to the registry and to a memory registry.
async fn compare(redis: RedisRegistry, seed: u64) {
    // The order of logins with the same time is not defined. A clock that is set back causes such
    // logins.
    let sets_clock_back = seed.is_multiple_of(2);
    let limit = if sets_clock_back { Limit::Off } else { Limit::At(3) };
    let redis = redis.history_limit(limit);
    let memory = MemoryRegistry::new().history_limit(limit);
    let (rng, step) = (Rng::with_seed(seed), String::new());
    let (keys, sessions, tickets) = (vec![], vec![], vec![]);
    let mut pair = Pair { redis, memory, rng, now: NOON, keys, sessions, tickets, step };
    for step in 0..250 {
        pair.step = format!("in step {step} of seed {seed}");
        // In milliseconds: equal times should be rare, because their order is not defined.
        pair.now = pair.now.plus(Duration::from_millis(pair.rng.u64(1..300_000)));
        pair.step(sets_clock_back).await;
        pair.compare_last_records().await;
    }
}

tests_on_all_servers! {
    random_operations_match_the_memory_registry
}

#[test]
#[ignore = "run by `tests/run --all`"]
fn moving_slots_do_not_change_outcomes() {
    let (cluster, runtime) = (RedisCluster::start(), Runtime::new().unwrap());
    let registries: Vec<_> = (0..u64::from(rounds::times(4)))
        .map(|seed| (seed, runtime.block_on(cluster.registry())))
        .collect();
    let moves = cluster.while_slots_move(&USERS, || {
        for (seed, registry) in registries {
            let registry = registry.prefix(&format!("{seed}-")).timeout(Duration::from_secs(30));
            runtime.block_on(compare(registry, seed));
        }
    });
    println!("{moves:?}");
    assert_ne!(moves, Moves::default(), "the test was too short");
}
