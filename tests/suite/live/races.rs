//! Streams that open and close while sessions end.

use std::thread;

use fastrand::Rng;
use session_expire_tests::{Browser, Site, Watched};

use super::site;

const THREADS: u64 = 8;
const STEPS: usize = 150;

/// An open session with its streams.
struct Session {
    browser: Browser,
    streams: Vec<Watched>,
}

/// Streams of ended sessions, with the expected reason.
type Ended = Vec<(Watched, &'static str)>;

/// Opens, closes and ends sessions and streams at random.
fn run(site: &Site, user: &str, rng: &mut Rng) {
    let mut sessions: Vec<Session> = vec![];
    let mut ended: Ended = vec![];
    for _ in 0..STEPS {
        if sessions.is_empty() || rng.u8(..8) == 0 {
            sessions.push(Session { browser: site.signed_in(user), streams: vec![] });
        }
        let index = rng.usize(..sessions.len());
        match rng.u8(..10) {
            0 => end(sessions.swap_remove(index), &mut ended),
            1 => renew(&mut sessions[index], &mut ended),
            2 | 3 => drop(sessions[index].streams.pop()),
            _ => {
                let session = &mut sessions[index];
                session.streams.push(session.browser.watch("/watch"));
            }
        }
        let mut open = sessions.iter_mut().flat_map(|session| &mut session.streams);
        assert!(open.all(Watched::is_open), "a stream of an open session has ended");
    }
    for (stream, reason) in ended {
        assert_eq!(stream.reason(), reason);
    }
    let mut open = sessions.iter_mut().flat_map(|session| &mut session.streams);
    assert!(open.all(Watched::is_open), "a stream of an open session has ended");
}

fn end(session: Session, ended: &mut Ended) {
    session.browser.post("/sign-out", "");
    ended.extend(session.streams.into_iter().map(|stream| (stream, "logged_out")));
}

fn renew(session: &mut Session, ended: &mut Ended) {
    session.browser.post("/renew", "");
    ended.extend(session.streams.drain(..).map(|stream| (stream, "renewed")));
}

#[test]
fn each_stream_ends_with_its_session() {
    let site = site();
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let site = &site;
            // Two threads share each user, so reports concern sessions of other threads.
            let user = format!("user {}", seed / 2);
            scope.spawn(move || run(site, &user, &mut Rng::with_seed(seed)));
        }
    });
}
