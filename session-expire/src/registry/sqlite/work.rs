//! One operation on its way through the writer: decided, written, carried out, answered.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{error::Failure, rows, state::State};
use crate::{
    facts::Reason,
    limit::Limit,
    policy::PolicyPatch,
    registry::{
        EndTarget, LoginOutcome,
        forget::REMEMBER_ENDED,
        key::RecordKey,
        login::NewLogin,
        record::{ActivityUpdate, Ended, SessionRecord},
        room::SessionLimit,
        shard::{Decision, Plan, Shard, Shards},
    },
    time::Timestamp,
    words::to_text,
};

/// Where an answer is awaited. Whoever asked may have gone; the work is done all the same.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// What is asked of the writer; keys are hashed.
pub(super) enum Job {
    Login(Box<NewLogin>, Reply<LoginOutcome>),
    End(EndTarget, Ended, Reply<Vec<SessionRecord>>),
    MakeRoom(RecordKey, SessionLimit, Ended, Reply<Vec<SessionRecord>>),
    Touch(RecordKey, ActivityUpdate, Reply<()>),
}

/// A job, decided.
pub(super) struct Work {
    tag: String,
    plan: Plan,
    change: Option<(RecordKey, ActivityUpdate)>,
    /// Open records that nobody used for so long that memory forgets them, whosever they are.
    unused: Vec<(RecordKey, Ended)>,
    /// The time, if there is a login to tell it.
    login_at: Option<Timestamp>,
    asker: Asker,
}

enum Asker {
    Login(SessionRecord, Reply<LoginOutcome>),
    End(Reply<Vec<SessionRecord>>),
    Touch(Reply<()>),
}

impl Job {
    /// The shard that it is about. Jobs of different shards have nothing to do with each other.
    pub(super) fn place(&self) -> usize {
        match self {
            Self::Login(login, _) => Shards::place(login.key.tag()),
            Self::End(target, ..) => Shards::place(&target.tag()),
            Self::MakeRoom(key, ..) | Self::Touch(key, ..) => Shards::place(key.tag()),
        }
    }

    /// Decides, and changes nothing but to [hold](Shard::hold) the shard. What needs no writing is
    /// answered at once.
    pub(super) fn decide(self, state: &State) -> Option<Work> {
        match self {
            Self::Login(login, reply) => decide_login(*login, reply, state),
            Self::End(target, ended, reply) => {
                let mut shard = state.shards.of_tag(&target.tag());
                let plan = shard.decide_end(&target, &ended);
                Work::new(target.tag(), plan, Asker::End(reply)).holding(&mut shard)
            }
            Self::MakeRoom(key, room, ended, reply) => {
                let mut shard = state.shards.of_tag(key.tag());
                let plan = shard.decide_room(key, room, &ended);
                Work::new(key.tag().to_owned(), plan, Asker::End(reply)).holding(&mut shard)
            }
            Self::Touch(key, change, reply) if state.touch(&key, &change) => {
                Asker::Touch(reply).tell(vec![]);
                None
            }
            Self::Touch(key, change, reply) => {
                let mut shard = state.shards.of_tag(key.tag());
                let tag = key.tag().to_owned();
                let work = Work::new(tag, Plan::default(), Asker::Touch(reply));
                Work { change: Some((key, change)), ..work }.holding(&mut shard)
            }
        }
    }
}

fn decide_login(mut login: NewLogin, reply: Reply<LoginOutcome>, state: &State) -> Option<Work> {
    let mut shard = state.shards.of_tag(login.key.tag());
    let plan = match shard.decide_login(&mut login) {
        Decision::Admit(plan) => *plan,
        Decision::Refuse { holders } => {
            let _ = reply.send(Ok(LoginOutcome::Refused { holders }));
            return None;
        }
    };
    let unused = if shard.must_sweep(login.at) { unused(&shard, login.at) } else { vec![] };
    let asker = Asker::Login(SessionRecord::new(&login), reply);
    let work = Work::new(login.key.tag().to_owned(), plan, asker);
    Work { unused, login_at: Some(login.at), ..work }.holding(&mut shard)
}

/// What the sweep would forget ends first, or the file would call it open for ever.
fn unused(shard: &Shard, now: Timestamp) -> Vec<(RecordKey, Ended)> {
    let end = |record: &SessionRecord| Ended::new(record.ran_out(now).unwrap_or(Reason::Idle), now);
    shard.unused(now).map(|(key, record)| (key, end(record))).collect()
}

impl Work {
    fn new(tag: String, plan: Plan, asker: Asker) -> Self {
        Self { tag, plan, change: None, unused: vec![], login_at: None, asker }
    }

    /// Itself, if the file needs to hear of it; `shard` waits until it has.
    fn holding(self, shard: &mut Shard) -> Option<Self> {
        if self.plan.opens.is_none() && self.plan.ends.is_empty() && self.change.is_none() {
            self.asker.tell(vec![]);
            return None;
        }
        shard.hold(true);
        Some(self)
    }

    /// Writes what is going to change, within the transaction that is open.
    pub(super) fn write(&self, db: &Connection, state: &State) -> Result<(), Failure> {
        let failure = |error| state.failure(error);
        let mut users = vec![];
        for (key, ended) in self.plan.ends.iter().chain(&self.unused) {
            let Some(record) = state.shards.of_tag(key.tag()).record(key).cloned() else {
                continue;
            };
            rows::end(db, key, record.last_seen, ended).map_err(failure)?;
            users.push(record.user);
        }
        if let Some((key, record)) = &self.plan.opens {
            let patches = [text(record.choice.as_deref())?, text(record.patch.as_deref())?];
            rows::insert(db, key, record, &patches).map_err(failure)?;
            users.push(Arc::clone(&record.user));
        }
        self.write_change(db, state)?;
        trim(db, users, state.log_limit()).map_err(failure)?;
        match self.login_at {
            Some(now) => rows::forget(db, now.minus(REMEMBER_ENDED)).map_err(failure),
            None => Ok(()),
        }
    }

    fn write_change(&self, db: &Connection, state: &State) -> Result<(), Failure> {
        let Some((key, change)) = &self.change else { return Ok(()) };
        let record = state.shards.of_tag(key.tag()).record(key).cloned();
        let Some(mut record) = record else { return Ok(()) };
        record.touch(change);
        let patch = text(record.patch.as_deref())?;
        rows::update(db, key, &record, patch.as_deref()).map_err(|error| state.failure(error))
    }

    /// Does in memory what is on the disk by now, and tells who asked.
    pub(super) fn finish(self, state: &State) {
        let mut shard = state.shards.of_tag(&self.tag);
        shard.hold(false);
        let ended = shard.carry_out(self.plan);
        let unused = shard.carry_out(Plan { opens: None, ends: self.unused });
        if let Some((key, change)) = &self.change
            && let Some(record) = shard.record_mut(key)
        {
            record.touch(change);
        }
        // Memory lists open records only: the log is in the file.
        ended.iter().chain(&unused).for_each(|record| shard.trim(&record.user, Limit::At(0)));
        if let Some(now) = self.login_at.filter(|now| shard.must_sweep(*now)) {
            shard.sweep(now);
        }
        drop(shard);
        self.asker.tell(ended);
    }

    pub(super) fn fail(self, failure: Failure, state: &State) {
        state.shards.of_tag(&self.tag).hold(false);
        self.asker.refuse(failure);
    }
}

impl Asker {
    fn tell(self, ended: Vec<SessionRecord>) {
        // An error means that nobody waits any more.
        match self {
            Self::Login(record, reply) => {
                let _ = reply.send(Ok(LoginOutcome::Committed { record, ended }));
            }
            Self::End(reply) => {
                let _ = reply.send(Ok(ended));
            }
            Self::Touch(reply) => {
                let _ = reply.send(Ok(()));
            }
        }
    }

    fn refuse(self, failure: Failure) {
        match self {
            Self::Login(_, reply) => {
                let _ = reply.send(Err(failure));
            }
            Self::End(reply) => {
                let _ = reply.send(Err(failure));
            }
            Self::Touch(reply) => {
                let _ = reply.send(Err(failure));
            }
        }
    }
}

fn text(patch: Option<&PolicyPatch>) -> Result<Option<String>, Failure> {
    patch.map(to_text).transpose().map_err(|error| Failure::Policy(Arc::new(error)))
}

fn trim(db: &Connection, mut users: Vec<Arc<str>>, limit: Option<u32>) -> rusqlite::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    users.sort();
    users.dedup();
    users.iter().try_for_each(|user| rows::trim(db, user, limit))
}
