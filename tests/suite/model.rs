//! Random stories of a whole site, told to a small model of the rules as well: every answer is the
//! same.

use proptest::{collection::vec, prelude::*};
use session_expire::{Limit, Overflow, Policy, SqliteRegistry, hours, minutes, seconds};
use session_expire_tests::{Answer, Browser, Site};

const IDLE: u64 = 600;
const ABSOLUTE: u64 = 7_200;
const USERS: [&str; 2] = ["alice", "bob"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Page {
    Private,
    Looser,
    Stricter,
    Poll,
    Public,
}

impl Page {
    fn path(self) -> &'static str {
        match self {
            Self::Private => "/private",
            Self::Looser => "/looser",
            Self::Stricter => "/stricter",
            Self::Poll => "/poll",
            Self::Public => "/public",
        }
    }

    fn idle(self) -> u64 {
        match self {
            Self::Looser => 3_600,
            Self::Stricter => 60,
            _ => IDLE,
        }
    }
}

#[derive(Debug, Clone)]
enum Deed {
    SignIn { browser: usize, user: usize },
    Open { browser: usize, page: Page, by_script: bool },
    SignOut { browser: usize },
    AskStatus { browser: usize },
    KeepAlive { browser: usize, idle_for: u64 },
    Wait(u64),
}

fn deeds() -> impl Strategy<Value = Deed> {
    let page = prop_oneof![
        Just(Page::Private),
        Just(Page::Looser),
        Just(Page::Stricter),
        Just(Page::Poll),
        Just(Page::Public)
    ];
    // Never less than the slack of `last_seen`, so that the model needs none.
    let waits = prop_oneof![Just(31), Just(60), Just(299), Just(600), Just(2_000), Just(3_600)];
    let (browser, user) = (0..4_usize, 0..USERS.len());
    prop_oneof![
        4 => (browser.clone(), user).prop_map(|(browser, user)| Deed::SignIn { browser, user }),
        6 => (browser.clone(), page, any::<bool>())
            .prop_map(|(browser, page, by_script)| Deed::Open { browser, page, by_script }),
        1 => browser.clone().prop_map(|browser| Deed::SignOut { browser }),
        2 => browser.clone().prop_map(|browser| Deed::AskStatus { browser }),
        2 => (browser, 0..700_u64)
            .prop_map(|(browser, idle_for)| Deed::KeepAlive { browser, idle_for }),
        5 => waits.prop_map(Deed::Wait),
    ]
}

/// What the model knows of one login.
#[derive(Debug)]
struct NewLogin {
    user: usize,
    at: u64,
    seen: u64,
    ended: Option<&'static str>,
}

impl NewLogin {
    /// Why it is over by `now`, if it is.
    fn over(&self, idle: u64, now: u64) -> Option<&'static str> {
        let (idle_end, session_end) = (self.seen + idle, self.at + ABSOLUTE);
        match self.ended {
            Some(reason) => Some(reason),
            None if now < idle_end.min(session_end) => None,
            None if idle_end < session_end => Some("idle"),
            None => Some("absolute"),
        }
    }
}

/// The rules, and nothing else.
struct Model {
    now: u64,
    places: usize,
    overflow: Overflow,
    logins: Vec<NewLogin>,
    /// Which login each browser has, living or dead.
    browsers: [Option<usize>; 4],
}

impl Model {
    fn open_others(&self, user: usize, but: Option<usize>) -> Vec<usize> {
        let open = |n: &usize| self.logins[*n].user == user && self.logins[*n].ended.is_none();
        (0..self.logins.len()).filter(open).filter(|n| Some(*n) != but).collect()
    }

    /// Ends as many of `others` as are too many beside one more.
    fn make_room(&mut self, mut others: Vec<usize>) {
        if self.places == 0 {
            return;
        }
        let surplus = (others.len() + 1).saturating_sub(self.places);
        others.sort_by_key(|n| {
            let login = &self.logins[*n];
            let age = if self.overflow == Overflow::LeastRecent { login.seen } else { login.at };
            (login.over(IDLE, self.now).is_none(), age)
        });
        for n in others.into_iter().take(surplus) {
            let why = self.logins[n].over(IDLE, self.now).unwrap_or("evicted");
            self.logins[n].ended = Some(why);
        }
    }

    /// Whether a login finds no place; `None` where the model doesn't say.
    fn sign_in(&mut self, browser: usize, user: usize) -> Option<bool> {
        let before = self.browsers[browser];
        let others = self.open_others(user, before);
        if self.overflow == Overflow::Refuse {
            let alive = others.iter().filter(|n| self.logins[**n].over(IDLE, self.now).is_none());
            if self.places > 0 && alive.count() >= self.places {
                return before.is_none().then_some(true);
            }
        }
        if let Some(before) = before {
            let why = self.logins[before].over(IDLE, self.now).unwrap_or("logged_out");
            self.logins[before].ended.get_or_insert(why);
        }
        self.make_room(others);
        self.logins.push(NewLogin { user, at: self.now, seen: self.now, ended: None });
        self.browsers[browser] = Some(self.logins.len() - 1);
        Some(false)
    }

    /// Who is in, or why nobody is: the reason, or an empty one for a stranger.
    fn open(&mut self, browser: usize, page: Page, by_script: bool) -> Result<usize, &'static str> {
        let Some(n) = self.browsers[browser] else { return Err("") };
        if let Some(why) = self.logins[n].over(page.idle(), self.now) {
            self.logins[n].ended = Some(why);
            if !by_script {
                self.browsers[browser] = None;
            }
            return Err(why);
        }
        if page != Page::Poll {
            self.logins[n].seen = self.now;
        }
        self.stays(n);
        Ok(self.logins[n].user)
    }

    fn stays(&mut self, n: usize) {
        let others = self.open_others(self.logins[n].user, Some(n));
        if others.len() + 1 > self.places {
            self.make_room(others);
        }
    }

    /// The seconds until both ends, or why it is over.
    fn ask(&mut self, browser: usize, active: Option<u64>) -> Result<(u64, u64), &'static str> {
        let Some(n) = self.browsers[browser] else { return Err("") };
        if let Some(why) = self.logins[n].over(IDLE, self.now) {
            return Err(why);
        }
        if let Some(active) = active {
            self.logins[n].seen = self.logins[n].seen.max(active);
        }
        self.stays(n);
        let login = &self.logins[n];
        Ok((login.seen + IDLE - self.now, login.at + ABSOLUTE - self.now))
    }
}

fn reason(answer: &Answer) -> String {
    answer.json()["reason"].as_str().unwrap_or_default().to_owned()
}

fn check_status(answer: &Answer, expected: Result<(u64, u64), &'static str>, told: &str) {
    let json = answer.json();
    match expected {
        Ok((idle, session)) => {
            let said = (&json["seconds_until_idle_end"], &json["seconds_until_session_end"]);
            assert_eq!(said, (&idle.into(), &session.into()), "{told}");
        }
        Err("") => assert_eq!(json["state"], "anonymous", "{told}"),
        Err(why) => assert_eq!(json["reason"], why, "{told}"),
    }
}

/// Does `deed` at the site and in the model, and compares the answers.
fn act(deed: &Deed, site: &Site, browsers: &[Browser], model: &mut Model, told: &str) {
    match *deed {
        Deed::SignIn { browser, user } => {
            let Some(refused) = model.sign_in(browser, user) else { return };
            let answer = browsers[browser].post("/login", &format!("user={}", USERS[user]));
            assert_eq!(answer.status, if refused { 409 } else { 303 }, "{told}");
        }
        Deed::Open { browser, page, by_script } => {
            let request = browsers[browser].request("GET", page.path());
            let answer = if by_script { request.script() } else { request }.send();
            match model.open(browser, page, by_script) {
                Ok(user) => assert_eq!(answer.body, USERS[user], "{told}"),
                Err(_) if page == Page::Public => assert_eq!(answer.body, "anonymous", "{told}"),
                Err(why) if by_script => {
                    assert_eq!((answer.status, reason(&answer).as_str()), (401, why), "{told}");
                }
                Err(_) => assert_eq!(answer.status, 303, "{told}"),
            }
        }
        Deed::SignOut { browser } => {
            assert_eq!(browsers[browser].post("/session/logout", "").status, 303, "{told}");
            if let Some(n) = model.browsers[browser].take() {
                model.logins[n].ended.get_or_insert("logged_out");
            }
        }
        Deed::AskStatus { browser } => {
            let answer = browsers[browser].fetch("/session/status");
            check_status(&answer, model.ask(browser, None), told);
        }
        Deed::KeepAlive { browser, idle_for } => {
            let request = browsers[browser].request("POST", "/session/keep-alive").script();
            let answer = request.form(&format!("idle_for={idle_for}")).send();
            let active = model.now.saturating_sub(idle_for);
            check_status(&answer, model.ask(browser, Some(active)), told);
        }
        Deed::Wait(time) => {
            site.pass(seconds(time));
            model.now += time;
        }
    }
}

fn tell(deeds: &[Deed], places: u32, overflow: Overflow, on_disk: bool) {
    let policy =
        Policy::new().idle(minutes(10)).absolute(hours(2)).max_sessions(places).overflow(overflow);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("db");
    let site = Site::builder().policy(policy).customise(move |builder| match on_disk {
        true => builder.registry(SqliteRegistry::open(file).unwrap().log_limit(Limit::Off)),
        false => builder,
    });
    let site = site.start();
    let browsers = [(); 4].map(|()| site.browser());
    let mut model = Model {
        now: 1_000_000,
        places: places as usize,
        overflow,
        logins: vec![],
        browsers: [None; 4],
    };
    for (number, deed) in deeds.iter().enumerate() {
        act(deed, &site, &browsers, &mut model, &format!("deed {number}: {deed:?}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]
    #[test]
    fn a_site_answers_as_the_rules_say(
        deeds in vec(deeds(), 1..80),
        places in 0_u32..4,
        overflow in prop_oneof![Just(Overflow::Evict), Just(Overflow::LeastRecent), Just(Overflow::Refuse)],
        on_disk in any::<bool>(),
    ) {
        tell(&deeds, places, overflow, on_disk);
    }
}
