//! Simultaneous takeovers in two processes.

use std::{
    io::{Write, stdin},
    thread,
    time::Duration,
};

use session_expire::{
    Overflow, Policy, Reason, SqliteRegistry,
    registry::{Ended, LoginOutcome, LoginTicket, NewLogin, Query, RecordKey, Registry, Takeover},
};

use crate::child::{Folder, NOON, child, file, lines, log_in, send, wait};

const ROUNDS: usize = 20;

/// Returns the keys of the two tickets of a user.
fn tickets(user: &str) -> [RecordKey; 2] {
    [1, 2].map(|n| RecordKey::with_secret(user, &format!("{n:0>22}")).unwrap())
}

/// Takes over the session of each user that the parent sends, in many threads, and reports the
/// number of committed logins. The first line is the number of this process. An empty line after
/// each user starts the threads.
#[test]
#[ignore = "run by `takeovers_in_two_processes_leave_one_session`"]
fn taking_over() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap().timeout(Duration::from_secs(60));
    let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    let mut lines = stdin().lines().map(Result::unwrap);
    let process: usize = lines.next().unwrap().parse().unwrap();
    for round in 0_usize.. {
        let Some(user) = lines.next() else { return };
        let open = wait(registry.list(Query::open(user.as_str()))).unwrap();
        // In even rounds, both processes use the same ticket; in odd rounds, each uses its own.
        let ticket = tickets(&user)[if round.is_multiple_of(2) { 0 } else { process }];
        let commit = || {
            let mut login = NewLogin::new(user.as_str(), NOON, &policy);
            let ended = Ended::new(Reason::Revoked, NOON);
            login.takeover = Some(Takeover::new(ticket, open[0].id, ended));
            let outcome = wait(registry.commit(login)).unwrap();
            usize::from(matches!(outcome, LoginOutcome::Committed { .. }))
        };
        send("ready");
        lines.next();
        let committed: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..12).map(|_| scope.spawn(commit)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        send(&committed.to_string());
    }
}

#[test]
fn takeovers_in_two_processes_leave_one_session() {
    let folder = Folder::new();
    let registry = folder.open();
    let mut children =
        [(); 2].map(|()| child("takeovers::taking_over", &folder.file(), &[]).spawn().unwrap());
    let mut inputs = children.each_mut().map(|child| child.stdin.take().unwrap());
    let mut outputs = children.each_mut().map(lines);
    for (number, input) in inputs.iter_mut().enumerate() {
        writeln!(input, "{number}").unwrap();
    }
    for round in 0..ROUNDS {
        let user = format!("user {round}");
        log_in(&registry, &user).unwrap();
        for key in tickets(&user) {
            let until = NOON.plus(Duration::from_secs(300));
            let ticket = LoginTicket::new(user.as_str(), NOON, until).with_key(key);
            wait(registry.issue_ticket(ticket)).unwrap();
        }
        inputs.iter_mut().for_each(|input| writeln!(input, "{user}").unwrap());
        let mut next = || outputs.each_mut().map(|lines| lines.next().unwrap());
        assert_eq!(next(), ["ready", "ready"]);
        inputs.iter_mut().for_each(|input| writeln!(input).unwrap());
        let committed = next().map(|count| count.parse::<usize>().unwrap());
        assert_eq!(committed.iter().sum::<usize>(), 1, "{user}");
        assert_eq!(wait(registry.list(Query::open(user.as_str()))).unwrap().len(), 1, "{user}");
        assert_eq!(wait(registry.list(Query::all(user.as_str()))).unwrap().len(), 2, "{user}");
    }
    drop(inputs);
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}
