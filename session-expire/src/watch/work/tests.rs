use super::*;
use crate::{
    session::{
        key::{PublicId, RecordKey},
        record::SessionRecord,
    },
    time::minutes,
    watch::{
        slot::WatchKind,
        table::tests::{NOON, end, login, news, watch},
    },
};
use std::sync::Arc;

type Login = (RecordKey, SessionRecord);

/// Opens a stream that expires after this number of minutes. It is not loaded.
fn open(work: &mut Work, login: &Login, kind: WatchKind, minute: u64) -> WatchRef {
    work.table.open(watch(login, kind, minutes(minute)), NOON).0
}

fn open_guards(work: &mut Work, users: usize) -> Vec<WatchRef> {
    let users = (0..users).map(|number| login(&format!("user {number}")));
    users.map(|login| open(work, &login, WatchKind::Guard, 10)).collect()
}

/// Returns the work for this number of users with one stream each.
fn with_sessions(count: usize) -> Work {
    let mut work = Work::default();
    open_guards(&mut work, count);
    work
}

fn add(work: &mut Work, numbers: impl IntoIterator<Item = SessionNumber>) {
    numbers.into_iter().for_each(|number| work.add(number, true));
}

fn take(work: &mut Work) -> Vec<Task> {
    work.take_batch(NOON)
}

fn numbers(tasks: &[Task]) -> Vec<SessionNumber> {
    tasks.iter().map(|task| task.number).collect()
}

/// Applies the same result to all loads.
fn finish(work: &mut Work, tasks: Vec<Task>, loaded: impl Fn() -> Loaded, now: Timestamp) {
    let results = tasks.into_iter().map(|task| (task, loaded())).collect();
    drop(work.apply(results, now));
}

fn fail(work: &mut Work, tasks: Vec<Task>) {
    finish(work, tasks, || Loaded::Failed, NOON);
}

/// Applies successful loads of open sessions.
fn succeed(work: &mut Work, tasks: Vec<Task>, login: &Login, now: Timestamp) {
    let record = Arc::new(SessionRecord { last_seen: now, ..login.1.clone() });
    finish(work, tasks, || Loaded::Record(Arc::clone(&record)), now);
}

/// Loads all sessions that wait, and returns them in their order. They stay open.
fn drain(work: &mut Work, logins: &[Login]) -> Vec<SessionNumber> {
    let mut loaded = vec![];
    loop {
        let batch = take(work);
        if batch.is_empty() {
            return loaded;
        }
        loaded.extend(numbers(&batch));
        let results = batch.into_iter().map(|task| {
            let record = logins.iter().find(|(key, _)| *key == task.key).map(|login| &login.1);
            (task, Loaded::Record(Arc::new(record.unwrap().clone())))
        });
        let results = results.collect();
        drop(work.apply(results, NOON));
    }
}

#[test]
fn sessions_are_loaded_in_the_order_of_the_reports() {
    let mut work = with_sessions(3);
    add(&mut work, [2, 0, 1]);
    assert_eq!(numbers(&take(&mut work)), [2, 0, 1]);
    assert_eq!(take(&mut work), []);
}

#[test]
fn waiting_session_is_loaded_once() {
    let (mut work, alice) = (Work::default(), login("alice"));
    for is_news in [false, true, false] {
        let watch = watch(&alice, WatchKind::Page, minutes(10));
        drop(work.open(watch, NOON));
        work.add(0, is_news);
    }
    let batch = take(&mut work);
    assert_eq!((numbers(&batch), batch[0].is_news), (vec![0], true));
    work.add(0, false);
    work.add(0, false);
    assert_eq!(take(&mut work), [], "the first load is running");
    succeed(&mut work, batch, &alice, NOON);
    let batch = take(&mut work);
    assert_eq!((numbers(&batch), batch[0].is_news), (vec![0], false));
}

#[test]
fn changed_session_is_loaded_before_pages_of_its_user() {
    let mut work = Work::default();
    let logins = ["alice", "alice", "alice", "alice", "bob"].map(login);
    let (page, guard) = (WatchKind::Page, WatchKind::Guard);
    let kinds = [page, guard, page, guard, page];
    for (login, kind) in logins.iter().zip(kinds) {
        open(&mut work, login, kind, 10);
    }
    work.add_change(&Change::session(&logins[3].1.session_ref()));
    assert!(work.has_tasks() && work.has_delayed());
    work.add_delayed();
    assert_eq!(drain(&mut work, &logins), [3, 0, 2]);
    let unknown = SessionRecord { id: PublicId::random(), ..logins[0].1.clone() };
    work.add_change(&Change::session(&unknown.session_ref()));
    assert!(drain(&mut work, &logins).is_empty());
    work.add_delayed();
    assert_eq!(drain(&mut work, &logins), [0, 2]);
    work.add_change(&Change::user("alice"));
    assert_eq!(drain(&mut work, &logins), [0, 1, 2, 3]);
    work.add_change(&Change::Any);
    assert_eq!(drain(&mut work, &logins), [0, 1, 2, 3, 4]);
}

/// A user with many pages signs out everywhere, and each session is loaded before the next report.
#[test]
fn ends_of_a_user_load_each_page_twice() {
    let (mut work, mut loads) = (Work::default(), 0);
    let logins: Vec<_> = (0..100).map(|_| login("alice")).collect();
    for login in &logins {
        open(&mut work, login, WatchKind::Page, 10);
    }
    for login in &logins {
        work.add_change(&Change::session(&login.1.session_ref()));
        loads += drain(&mut work, &logins).len();
    }
    work.add_delayed();
    loads += drain(&mut work, &logins).len();
    assert!(loads <= 200, "{loads}");
}

#[test]
fn due_sessions_are_loaded_while_reports_come() {
    let mut work = with_sessions(BATCH);
    let streams = [3, 1, 2].map(|minute| open(&mut work, &login("bob"), WatchKind::Guard, minute));
    work.add_all(true);
    let batch = numbers(&work.take_batch(NOON.plus(minutes(3))));
    let due = [1, 2, 0].map(|index: usize| work.table.session(&streams[index]).unwrap());
    assert_eq!(batch[..3], due, "the earliest deadline first");
    assert_eq!(batch[3..], (0..BATCH - 3).collect::<Vec<_>>());
}

#[test]
fn due_sessions_leave_half_of_a_batch() {
    let mut work = with_sessions(2 * BATCH);
    let page = open(&mut work, &login("bob"), WatchKind::Page, 60);
    let page = work.table.session(&page).unwrap();
    add(&mut work, [page]);
    let batch = numbers(&work.take_batch(NOON.plus(minutes(10))));
    assert_eq!((batch.len(), batch[BATCH / 2]), (BATCH, page));
}

#[test]
fn failed_load_keeps_its_place() {
    let mut work = with_sessions(4);
    add(&mut work, [2, 0]);
    let batch = take(&mut work);
    add(&mut work, [1]);
    fail(&mut work, batch);
    add(&mut work, [3]);
    assert_eq!(take(&mut work), [], "the registry is unavailable");
    work.retry();
    let probe = take(&mut work);
    assert_eq!(probe.len(), 1);
    succeed(&mut work, probe, &login("alice"), NOON);
    assert_eq!(numbers(&take(&mut work)), [2, 0, 1, 3]);
}

#[test]
fn one_failed_session_delays_no_other_one() {
    let (mut work, alice) = (with_sessions(3), login("alice"));
    for _ in 0..3 {
        add(&mut work, [0]);
        work.retry();
        let batch = take(&mut work);
        assert_eq!(numbers(&batch), [0]);
        fail(&mut work, batch);
        assert_eq!(take(&mut work), [], "until the retry");
    }
    add(&mut work, [1, 2]);
    let batch = take(&mut work);
    assert_eq!(numbers(&batch), [1], "the registry may be unavailable");
    succeed(&mut work, batch, &alice, NOON);
    assert_eq!(numbers(&take(&mut work)), [2]);
}

#[test]
fn one_load_probes_in_an_outage() {
    let mut work = with_sessions(200);
    work.add_all(false);
    let batch = take(&mut work);
    fail(&mut work, batch);
    let mut probed = vec![];
    for _ in 0..200 {
        work.retry();
        let batch = take(&mut work);
        assert_eq!((batch.len(), take(&mut work)), (1, vec![]));
        probed.extend(numbers(&batch));
        fail(&mut work, batch);
    }
    probed.sort_unstable();
    probed.dedup();
    assert!(probed.len() > 100, "the probes load different sessions");
}

#[test]
fn late_failure_before_a_success_is_no_outage() {
    let (mut work, alice) = (with_sessions(3), login("alice"));
    add(&mut work, [0, 1, 2]);
    let mut batch = take(&mut work);
    let success = vec![batch.remove(2)];
    succeed(&mut work, success, &alice, NOON);
    fail(&mut work, batch);
    add(&mut work, [2]);
    assert_eq!(numbers(&take(&mut work)), [2]);
}

#[test]
fn all_due_streams_end_after_one_failed_batch() {
    let mut work = Work::default();
    let streams = open_guards(&mut work, 1_000);
    let last = open(&mut work, &login("last"), WatchKind::Guard, 60);
    let now = NOON.plus(minutes(10));
    let batch = work.take_batch(now);
    finish(&mut work, batch, || Loaded::Failed, now);
    assert!(streams.iter().all(|stream| end(stream) == Some("unavailable")));
    assert_eq!((end(&last), work.take_batch(now)), (None, vec![]));
}

#[test]
fn due_sessions_are_loaded_in_an_outage() {
    let mut work = with_sessions(2);
    let alice = open(&mut work, &login("alice"), WatchKind::Guard, 10);
    add(&mut work, [0, 1]);
    let batch = take(&mut work);
    fail(&mut work, batch);
    let now = NOON.plus(minutes(10));
    let batch = work.take_batch(now);
    assert_eq!(batch.len(), 1);
    finish(&mut work, batch, || Loaded::Failed, now);
    assert_eq!(end(&alice), Some("unavailable"));
    assert!(work.table.is_empty() && !work.has_tasks());
}

#[test]
fn hanging_loads_do_not_accumulate() {
    let mut work = with_sessions(1_000);
    work.add_all(false);
    let count = std::iter::from_fn(|| Some(take(&mut work)).filter(|batch| !batch.is_empty()));
    assert_eq!(count.map(|batch| batch.len()).sum::<usize>(), MAX_RUNNING);
}

#[test]
fn task_of_a_closed_session_is_dropped() {
    let (mut work, alice, bob) = (Work::default(), login("alice"), login("bob"));
    let stream = open(&mut work, &alice, WatchKind::Guard, 10);
    add(&mut work, [0]);
    work.close(&stream);
    open(&mut work, &bob, WatchKind::Guard, 10);
    assert_eq!(take(&mut work), [], "the number is in use for another session");
}

#[test]
fn load_of_a_closed_session_ends_no_other_one() {
    let (mut work, alice, bob) = (Work::default(), login("alice"), login("bob"));
    let stream = open(&mut work, &alice, WatchKind::Guard, 10);
    add(&mut work, [0]);
    let batch = take(&mut work);
    work.close(&stream);
    let other = open(&mut work, &bob, WatchKind::Guard, 10);
    finish(&mut work, batch, || Loaded::Unknown, NOON);
    assert_eq!((work.table.session(&other), end(&other)), (Some(0), None));
}

#[test]
fn all_sessions_are_added_once() {
    let mut work = with_sessions(3);
    work.add(2, false);
    work.add_all(false);
    work.add_all(true);
    let batch = take(&mut work);
    assert_eq!(numbers(&batch), [2, 0, 1], "a session that waits keeps its place");
    assert!(batch.iter().all(|task| task.is_news));
}

#[test]
fn news_of_a_failed_load_are_not_lost() {
    let (mut work, alice) = (Work::default(), login("alice"));
    let page = open(&mut work, &alice, WatchKind::Page, 10);
    add(&mut work, [0]);
    let batch = take(&mut work);
    fail(&mut work, batch);
    work.retry();
    let batch = take(&mut work);
    succeed(&mut work, batch, &alice, NOON);
    assert!(news(&page).is_some());
}

#[test]
fn stop_leaves_no_task() {
    let mut work = with_sessions(3);
    work.add_all(true);
    work.stop();
    assert!(work.has_stopped && !work.has_tasks() && work.table.is_empty());
}
