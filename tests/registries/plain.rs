//! The registry of the trait's documentation, as somebody would write their own.

use std::{
    future::ready,
    sync::{Arc, Mutex},
};

use session_expire::{
    ActivityUpdate, EndTarget, Ended, Loaded, LoginOutcome, NewLogin, OpenSession, Query, Reason,
    RecordKey, Registry, RegistryFuture, SessionLimit, SessionRecord,
};

type Records = Vec<(RecordKey, SessionRecord)>;

#[derive(Default)]
pub struct Plain(Mutex<Records>);

impl Plain {
    /// A registry with the same records, for a test that tries several futures of one past.
    pub fn copy(&self) -> Self {
        Self(Mutex::new(self.0.lock().unwrap().clone()))
    }

    fn with<'a, T: Send + 'a>(&self, act: impl FnOnce(&mut Records) -> T) -> RegistryFuture<'a, T> {
        let done = act(&mut self.0.lock().unwrap());
        Box::pin(ready(Ok(done)))
    }
}

fn end(
    records: &mut Records,
    which: impl Fn(&RecordKey, &SessionRecord) -> bool,
    ended: &Ended,
) -> Vec<SessionRecord> {
    let chosen = records.iter_mut().filter(|(key, record)| which(key, record));
    chosen.filter_map(|(_, record)| record.end(ended.clone()).then(|| record.clone())).collect()
}

fn make_room(
    records: &mut Records,
    user: &str,
    but: &RecordKey,
    room: SessionLimit,
    ended: &Ended,
) -> Vec<SessionRecord> {
    let others = records.iter().filter(|(key, record)| key != but && *record.user == *user);
    let seats =
        others.filter_map(|(key, record)| OpenSession::of(*key, record, ended.at)).collect();
    let yielding = room.yielding(seats).into_iter();
    yielding.flat_map(|seat| end(records, |key, _| *key == seat.key, &seat.end(ended))).collect()
}

impl Registry for Plain {
    fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        let (replaced, reason) = login.replaces.unzip();
        self.with(|records| {
            let own = records.iter().filter(|(_, record)| record.user == login.user);
            let others = own.filter(|(key, _)| Some(*key) != replaced);
            let seats: Vec<_> = others
                .filter_map(|(key, record)| OpenSession::of(*key, record, login.at))
                .collect();
            if login.room.refuses(&seats) {
                let holds = |key: &RecordKey| {
                    seats.iter().any(|seat| seat.key == *key && seat.ran_out.is_none())
                };
                let holders = records.iter().filter(|(key, _)| holds(key));
                let mut holders: Vec<_> = holders.map(|(_, record)| record.clone()).collect();
                holders.sort_by_key(|record| record.logged_in_at);
                return LoginOutcome::Refused { holders };
            }
            let over = Ended::new(reason.unwrap_or(Reason::LoggedOut), login.at);
            let is_replaced = |key: &RecordKey, record: &SessionRecord| {
                Some(*key) == replaced && record.user == login.user
            };
            let mut ended = end(records, is_replaced, &over);
            let yielding = login.evicts();
            ended.extend(make_room(records, &login.user, &login.key, login.room, &yielding));
            let record = SessionRecord::new(&login);
            records.push((login.key, record.clone()));
            LoginOutcome::Committed { record, ended }
        })
    }

    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        self.with(|records| {
            let (_, record) = records.iter().find(|(known, _)| *known == key)?;
            let own = records.iter().filter(|(_, other)| other.user == record.user);
            let open = own.filter(|(_, other)| other.ended.is_none()).count();
            Some(Loaded {
                record: Arc::new(record.clone()),
                open: open.try_into().unwrap_or(u32::MAX),
            })
        })
    }

    fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()> {
        self.with(|records| {
            let known = records.iter_mut().filter(|(known, _)| *known == key);
            known.for_each(|(_, record)| record.touch(&change));
        })
    }

    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.with(|records| end(records, |key, record| target.covers(key, record), &ended))
    }

    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.with(|records| match records.iter().find(|(known, _)| *known == key) {
            Some((_, record)) if record.ended.is_none() => {
                let user = record.user.clone();
                make_room(records, &user, &key, room, &ended)
            }
            _ => vec![],
        })
    }

    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.with(|records| {
            let covered =
                records.iter().map(|(_, record)| record).filter(|record| query.covers(record));
            query.page(covered.cloned().collect())
        })
    }
}
