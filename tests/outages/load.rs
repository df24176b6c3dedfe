//! People who sign in, ask and sign out without a pause, and remember what they were told.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use session_expire_tests::{Answer, Browser};

use crate::worlds::{Act, Worlds};

/// Cookies of so many logins are tried again and again; most of them have long ended.
const REMEMBERED: usize = 8;

/// How long a process may go on believing what another one has changed: 50 ms are promised.
const ELSEWHERE: Duration = Duration::from_millis(60);

/// Where to ask, and what was done to the place meanwhile.
#[derive(Default)]
pub struct Scene {
    pub addresses: Vec<String>,
    /// How often everything was forgotten.
    pub forgotten: AtomicU32,
    pub over: AtomicBool,
}

/// What happened to some people.
#[derive(Debug, Default)]
pub struct Tally {
    pub requests: u64,
    pub logins: u64,
    pub refused: u64,
    pub unanswered: u64,
    /// Sessions that were found alive when all was well again.
    pub kept: u64,
    pub longest: Duration,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.logins += other.logins;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.kept += other.kept;
        self.longest = self.longest.max(other.longest);
    }
}

struct NewLogin {
    number: u32,
    browser: Browser,
    ended: bool,
}

/// One user, whose requests come one after the other.
pub struct User {
    name: String,
    worlds: Worlds,
    logins: VecDeque<NewLogin>,
    count: u32,
    forgotten: u32,
    /// When and at which address something of theirs has changed.
    changed: Option<(Instant, usize)>,
    pub tally: Tally,
}

impl User {
    pub fn new(name: String) -> Self {
        let (worlds, logins, tally) = (Worlds::new(), VecDeque::new(), Tally::default());
        Self { name, worlds, logins, count: 0, forgotten: 0, changed: None, tally }
    }

    /// Does one thing: mostly to ask for a page.
    pub fn act(&mut self, scene: &Scene) -> Result<(), String> {
        let place = self.place(scene);
        match fastrand::u32(..12) {
            0 => self.sign_in(scene, place),
            1 if !self.logins.is_empty() => self.sign_out(scene, place),
            _ if self.logins.is_empty() => self.sign_in(scene, place),
            _ => self.ask(fastrand::usize(..self.logins.len()), scene, place).map(drop),
        }
    }

    /// Nothing is under way any more: everything must be answered, at every address, and be true.
    pub fn audit(&mut self, scene: &Scene) -> Result<(), String> {
        self.notice(scene);
        self.worlds.settle();
        for place in 0..scene.addresses.len() {
            for which in 0..self.logins.len() {
                if !self.ask(which, scene, place)? {
                    return Err("a request went unanswered after all was well again".to_owned());
                }
                self.tally.kept += u64::from(!self.logins[which].ended);
            }
        }
        Ok(())
    }

    fn place(&self, scene: &Scene) -> usize {
        match self.changed {
            Some((when, where_)) if when.elapsed() < ELSEWHERE => where_,
            _ => fastrand::usize(..scene.addresses.len()),
        }
    }

    fn sign_in(&mut self, scene: &Scene, place: usize) -> Result<(), String> {
        let browser = Browser::new(scene.addresses[place].clone());
        let user = format!("user={}", self.name);
        let answer = self.timed(scene, || browser.post("/login", &user));
        self.tally.logins += 1;
        self.changed = Some((Instant::now(), place));
        match answer.status {
            303 => {
                self.worlds.done(Act::Login(Some(self.count)));
                self.logins.push_back(NewLogin { number: self.count, browser, ended: false });
                self.logins.drain(..self.logins.len().saturating_sub(REMEMBERED));
                self.count += 1;
            }
            _ => self.unanswered(&answer, Act::Login(None))?,
        }
        Ok(())
    }

    fn sign_out(&mut self, scene: &Scene, place: usize) -> Result<(), String> {
        let login = &self.logins[fastrand::usize(..self.logins.len())];
        let (number, browser) = (login.number, login.browser.stolen().at(&scene.addresses[place]));
        let answer = self.timed(scene, || browser.post("/logout", ""));
        self.changed = Some((Instant::now(), place));
        match answer.status {
            303 => self.worlds.done(Act::Logout(number)),
            _ => self.unanswered(&answer, Act::Logout(number))?,
        }
        Ok(())
    }

    /// Shows the cookie of a login; `false` when there was no answer.
    fn ask(&mut self, which: usize, scene: &Scene, place: usize) -> Result<bool, String> {
        let login = &self.logins[which];
        let (number, browser) = (login.number, login.browser.stolen().at(&scene.addresses[place]));
        let answer = self.timed(scene, || browser.get("/private"));
        match answer.status {
            200 if answer.body != self.name => return Err(format!("{} for another", answer.body)),
            200 => self.worlds.answered(number, true)?,
            303 => {
                self.tally.refused += 1;
                if !std::mem::replace(&mut self.logins[which].ended, true) {
                    self.changed = Some((Instant::now(), place));
                }
                self.worlds.answered(number, false)?;
            }
            _ => return self.missed(&answer).map(|()| false),
        }
        Ok(true)
    }

    fn unanswered(&mut self, answer: &Answer, act: Act) -> Result<(), String> {
        // Whoever is not listening has not heard it either.
        if !(answer.status == 0 && answer.body.contains("Connection refused")) {
            self.worlds.perhaps(act);
        }
        self.missed(answer)
    }

    /// The site may be away or say that it can't know; it must not break. People wait a little then:
    /// the fewer requests without an answer, the more is known.
    fn missed(&mut self, answer: &Answer) -> Result<(), String> {
        self.tally.unanswered += 1;
        thread::sleep(Duration::from_millis(10));
        let may = matches!(answer.status, 0 | 503);
        may.then_some(()).ok_or_else(|| format!("answered with {}", answer.status))
    }

    fn timed<T>(&mut self, scene: &Scene, request: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let answer = request();
        self.tally.longest = self.tally.longest.max(began.elapsed());
        self.tally.requests += 1;
        self.notice(scene);
        answer
    }

    /// Everything may have been forgotten before the last answer, or after it.
    fn notice(&mut self, scene: &Scene) {
        let forgotten = scene.forgotten.load(Ordering::SeqCst);
        if std::mem::replace(&mut self.forgotten, forgotten) != forgotten {
            self.worlds.perhaps(Act::Forget);
        }
    }
}
