//! Users that sign in, open pages and sign out without a pause, and check each response against
//! their [`Oracle`].

use std::{
    collections::VecDeque,
    mem,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use session_expire_tests::{Browser, TestResponse};

use crate::oracle::{Operation, Oracle};

/// A user keeps the cookies of so many logins and goes on sending them. Most of them have ended.
const KEPT_LOGINS: usize = 8;

/// How long a process with a cache may serve an outdated record: 50 ms, and a margin.
const MAX_STALENESS: Duration = Duration::from_millis(60);

/// The sites under load, and the state of the test.
#[derive(Default)]
pub struct Load {
    pub addresses: Vec<String>,
    /// Counts the restarts of a registry that is not durable.
    pub resets: AtomicU32,
    pub is_over: AtomicBool,
}

/// Counts the responses that users received.
#[derive(Debug, Default)]
pub struct Totals {
    pub requests: u64,
    pub logins: u64,
    pub rejected: u64,
    pub unanswered: u64,
    /// Sessions that were still open after the outage.
    pub kept: u64,
    pub longest: Duration,
}

impl Totals {
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.logins += other.logins;
        self.rejected += other.rejected;
        self.unanswered += other.unanswered;
        self.kept += other.kept;
        self.longest = self.longest.max(other.longest);
    }
}

struct Login {
    number: u32,
    browser: Browser,
    has_ended: bool,
}

/// One user, whose requests are sent one after the other.
pub struct User {
    name: String,
    oracle: Oracle,
    logins: VecDeque<Login>,
    login_count: u32,
    resets: u32,
    /// The time and the address of the last change of a session.
    last_change: Option<(Instant, usize)>,
    pub totals: Totals,
}

impl User {
    pub fn new(name: String) -> Self {
        let (oracle, logins, totals) = (Oracle::new(), VecDeque::new(), Totals::default());
        Self { name, oracle, logins, login_count: 0, resets: 0, last_change: None, totals }
    }

    /// Sends one request, in most cases for a page.
    pub fn send_one(&mut self, load: &Load) -> Result<(), String> {
        let address = self.choose_address(load);
        match fastrand::u32(..12) {
            0 => self.sign_in(load, address),
            1 if !self.logins.is_empty() => self.sign_out(load, address),
            _ if self.logins.is_empty() => self.sign_in(load, address),
            _ => self.open_page(fastrand::usize(..self.logins.len()), load, address).map(drop),
        }
    }

    /// Checks all logins at all addresses when no request is under way. Each needs a correct
    /// response.
    pub fn check_all(&mut self, load: &Load) -> Result<(), String> {
        self.note_resets(load);
        self.oracle.settle();
        for address in 0..load.addresses.len() {
            for index in 0..self.logins.len() {
                let start = Instant::now();
                // A request may time out on a busy machine.
                while !self.open_page(index, load, address)? {
                    if start.elapsed() > Duration::from_secs(20) {
                        return Err("no response after the recovery".to_owned());
                    }
                }
                self.totals.kept += u64::from(!self.logins[index].has_ended);
            }
        }
        Ok(())
    }

    /// Returns the index of the next address. Soon after a change it is that of the change, as the
    /// other process may serve an outdated record.
    fn choose_address(&self, load: &Load) -> usize {
        match self.last_change {
            Some((at, address)) if at.elapsed() < MAX_STALENESS => address,
            _ => fastrand::usize(..load.addresses.len()),
        }
    }

    fn sign_in(&mut self, load: &Load, address: usize) -> Result<(), String> {
        let browser = Browser::new(load.addresses[address].clone());
        let form = format!("user={}", self.name);
        let response = self.send(load, || browser.post("/login", &form));
        self.totals.logins += 1;
        self.last_change = Some((Instant::now(), address));
        if response.status != 303 {
            return self.on_unanswered(&response, Operation::Login(None));
        }
        let number = self.login_count;
        self.oracle.acknowledged(Operation::Login(Some(number)));
        self.logins.push_back(Login { number, browser, has_ended: false });
        self.logins.drain(..self.logins.len().saturating_sub(KEPT_LOGINS));
        self.login_count += 1;
        Ok(())
    }

    fn sign_out(&mut self, load: &Load, address: usize) -> Result<(), String> {
        let (number, browser) =
            self.copy_of(fastrand::usize(..self.logins.len()), &load.addresses[address]);
        let response = self.send(load, || browser.post("/logout", ""));
        self.last_change = Some((Instant::now(), address));
        if response.status != 303 {
            return self.on_unanswered(&response, Operation::Logout(number));
        }
        self.oracle.acknowledged(Operation::Logout(number));
        Ok(())
    }

    /// Sends the cookie of a login. Returns `false` if there was no response.
    fn open_page(&mut self, index: usize, load: &Load, address: usize) -> Result<bool, String> {
        let (number, browser) = self.copy_of(index, &load.addresses[address]);
        let response = self.send(load, || browser.get("/private"));
        match response.status {
            200 if response.body != self.name => {
                return Err(format!("a page of {} for {}", response.body, self.name));
            }
            200 => self.oracle.observe(number, true)?,
            303 => {
                self.totals.rejected += 1;
                if !mem::replace(&mut self.logins[index].has_ended, true) {
                    self.last_change = Some((Instant::now(), address));
                }
                self.oracle.observe(number, false)?;
            }
            _ => return self.wait_after_failure(&response).map(|()| false),
        }
        Ok(true)
    }

    /// Returns the number of a login, and a browser with a copy of its cookie.
    fn copy_of(&self, index: usize, address: &str) -> (u32, Browser) {
        let login = &self.logins[index];
        (login.number, login.browser.copy().at(address))
    }

    fn on_unanswered(
        &mut self,
        response: &TestResponse,
        operation: Operation,
    ) -> Result<(), String> {
        // A site that refused the connection has not received the request.
        if !(response.status == 0 && response.body.contains("Connection refused")) {
            self.oracle.unanswered(operation);
        }
        self.wait_after_failure(response)
    }

    /// Fails if the site responded with anything but 503. The wait keeps the number of unanswered
    /// requests, and thus of possible states, small.
    fn wait_after_failure(&mut self, response: &TestResponse) -> Result<(), String> {
        self.totals.unanswered += 1;
        thread::sleep(Duration::from_millis(10));
        match response.status {
            0 | 503 => Ok(()),
            status => Err(format!("a response with status {status}")),
        }
    }

    fn send<T>(&mut self, load: &Load, request: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let response = request();
        self.totals.longest = self.totals.longest.max(start.elapsed());
        self.totals.requests += 1;
        self.note_resets(load);
        response
    }

    /// A reset may have happened before or after the last response.
    fn note_resets(&mut self, load: &Load) {
        let resets = load.resets.load(Ordering::SeqCst);
        if mem::replace(&mut self.resets, resets) != resets {
            self.oracle.unanswered(Operation::Reset);
        }
    }
}
