//! Runs steps on the server and in the model, and compares the responses.

use actix_web::web;
use session_expire::{Overflow, Policy, PolicyPatch, SqliteRegistry, hours, minutes, seconds};
use session_expire_tests::{Browser, Site, TestResponse};
use tempfile::TempDir;

use super::{
    LONGEST_RUN, START, USERS,
    rules::{Login, Model},
    steps::{Kind, Page, Step},
};

/// Server and its model.
pub(super) struct Run {
    site: Site,
    browsers: [Browser; 4],
    model: Model,
    pushed: u32,
    on_disk: bool,
}

impl Run {
    pub(super) fn start(limit: u32, overflow: Overflow, on_disk: bool) -> (Self, TempDir) {
        let policy = Policy::new().idle(minutes(10)).absolute(hours(2));
        let policy = policy.max_sessions(limit).overflow(overflow);
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("db");
        let site = Site::builder().policy(policy).routes(visit_pages).customise(move |builder| {
            match on_disk {
                true => builder.registry(SqliteRegistry::open(file).unwrap()),
                false => builder,
            }
        });
        let site = site.start();
        let browsers = [(); 4].map(|()| site.browser());
        let model = Model {
            now: START,
            limit: limit as usize,
            overflow,
            sessions: vec![],
            browsers: [None; 4],
            shown: [None; 4],
            anonymous: <_>::default(),
        };
        (Self { site, browsers, model, pushed: 0, on_disk }, folder)
    }

    pub(super) fn take(&mut self, step: &Step, label: &str) {
        match *step {
            Step::SignIn { browser, user, by_handle } => {
                let is_refused = self.model.sign_in(browser, user, by_handle) == Login::Refused;
                let status = if is_refused { 409 } else { 303 };
                assert_eq!(self.post_login(browser, user, by_handle), status, "{label}");
            }
            Step::Open { browser, page, kind } => {
                let response = kind.request(&self.browsers[browser], page.path());
                check_page(&response, self.model.open(browser, page, kind), page, kind, label);
            }
            Step::SignOut { browser } => self.sign_out(browser, label),
            Step::Status { browser } => {
                let response = self.browsers[browser].fetch("/session/status");
                check_status(&response, self.model.status(browser, None), label);
            }
            Step::KeepAlive { browser, idle_for } => {
                let response = keep_alive(&self.browsers[browser], idle_for);
                let active = self.model.now.saturating_sub(idle_for);
                check_status(&response, self.model.status(browser, Some(active)), label);
            }
            Step::ReadMessages { browser } => {
                let shown = self.browsers[browser].read_messages();
                let (messages, reason) = self.model.read_messages(browser);
                check_messages(&shown, &messages, reason, label);
            }
            Step::Visit { browser, page, by_script } => self.visit(browser, page, by_script, label),
            Step::Push { browser } => self.push(browser, label),
            Step::Steal { from, to } => self.steal(from, to),
            Step::Wait(time) => self.wait(time),
            Step::InOutage(ref step) => self.take_in_outage(step, label),
        }
    }

    fn post_login(&self, browser: usize, user: usize, by_handle: bool) -> u16 {
        let path = if by_handle { "/sign-in" } else { "/login" };
        self.browsers[browser].post(path, &format!("user={}", USERS[user])).status
    }

    fn sign_out(&mut self, browser: usize, label: &str) {
        let response = self.browsers[browser].post("/session/logout", "");
        assert_eq!(response.status, 303, "{label}");
        let mut messages = self.model.sign_out(browser);
        messages.push("[success logged_out] You have signed out.".to_owned());
        assert_eq!(self.browsers[browser].read_messages(), messages.join("|"), "{label}");
    }

    fn visit(&mut self, browser: usize, page: Page, by_script: bool, label: &str) {
        let kind = if by_script { Kind::Script } else { Kind::Navigation };
        let path = if page == Page::Private { "" } else { page.path() };
        let response = kind.request(&self.browsers[browser], &format!("{path}/visits"));
        let data = self.model.data(browser, page, kind);
        data.visits += 1;
        assert_eq!(response.body, data.visits.to_string(), "{label}");
    }

    fn push(&mut self, browser: usize, label: &str) {
        self.pushed += 1;
        let text = format!("m{}", self.pushed);
        assert_eq!(self.browsers[browser].post("/push", &text).status, 303, "{label}");
        let data = self.model.data(browser, Page::Private, Kind::Navigation);
        data.push(format!("[success] {text}"));
    }

    fn steal(&mut self, from: usize, to: usize) {
        self.browsers[to] = self.browsers[from].copy();
        let model = &mut self.model;
        model.browsers[to] = model.browsers[from];
        model.shown[to] = model.shown[from];
        model.anonymous[to] = model.anonymous[from].clone();
    }

    fn wait(&mut self, time: u64) {
        if self.model.now + time <= START + LONGEST_RUN {
            self.site.advance(seconds(time));
            self.model.now += time;
        }
    }

    fn take_in_outage(&mut self, step: &Step, label: &str) {
        self.site.registry.set_down(true);
        match step.browser() {
            Some(browser) if !self.on_disk => self.request_in_outage(browser, step, label),
            _ => self.take(step, label),
        }
        self.site.registry.set_down(false);
    }

    /// In an outage, a browser with a key is anonymous, and the request changes nothing.
    fn request_in_outage(&mut self, browser: usize, step: &Step, label: &str) {
        let key =
            self.model.browsers[browser].filter(|key| self.model.shown[browser] != Some(*key));
        let tab = &self.browsers[browser];
        let status = match *step {
            Step::SignIn { user, by_handle, .. } => self.post_login(browser, user, by_handle),
            _ if key.is_none() => return self.take(step, label),
            Step::Open { page, kind, .. } => {
                let response = kind.request(tab, page.path());
                match page.is_closed() && (kind != Kind::Head || page.has_head()) {
                    true => response.status,
                    false => return check_page(&response, Err(""), page, kind, label),
                }
            }
            Step::SignOut { .. } => tab.post("/session/logout", "").status,
            Step::Status { .. } => tab.fetch("/session/status").status,
            Step::KeepAlive { idle_for, .. } => keep_alive(tab, idle_for).status,
            Step::Visit { .. } => return assert_eq!(tab.get("/visits").body, "1", "{label}"),
            Step::Push { .. } => {
                return assert_eq!(tab.post("/push", "lost").status, 303, "{label}");
            }
            Step::ReadMessages { .. } => {
                let messages = self.model.anonymous[browser].messages.join("|");
                return assert_eq!(tab.read_messages(), messages, "{label}");
            }
            Step::Steal { .. } | Step::Wait(_) | Step::InOutage(_) => return,
        };
        assert_eq!(status, 503, "{label}");
    }
}

fn keep_alive(browser: &Browser, idle_for: u64) -> TestResponse {
    let request = browser.request("POST", "/session/keep-alive").script();
    request.form(&format!("idle_for={idle_for}")).send()
}

/// Pages that count visits under policies of their own.
fn visit_pages(cfg: &mut web::ServiceConfig) {
    let page = |path, idle| web::resource(path).wrap(PolicyPatch::new().idle(idle)).to(visit);
    cfg.service(page("/laxer/visits", hours(1))).service(page("/stricter/visits", minutes(1)));
}

async fn visit(session: actix_session::Session) -> String {
    let visits = session.get::<u32>("visits").unwrap().unwrap_or_default() + 1;
    session.insert("visits", visits).unwrap();
    visits.to_string()
}

fn check_messages(shown: &str, messages: &[String], reason: &str, label: &str) {
    let mut shown: Vec<_> = shown.split('|').filter(|text| !text.is_empty()).collect();
    if !reason.is_empty() {
        let text = shown.pop().unwrap_or_default();
        assert!(text.contains(&format!(" {reason}] ")), "{label}: {text}");
    }
    assert_eq!(shown, messages, "{label}");
}

fn check_page(
    response: &TestResponse,
    expected: Result<usize, &'static str>,
    page: Page,
    kind: Kind,
    label: &str,
) {
    let reason = response.header("x-session-expired");
    match expected {
        _ if page == Page::Missing => assert_eq!(response.status, 404, "{label}"),
        _ if kind == Kind::Head && !page.has_head() => {
            assert!(matches!(response.status, 404 | 405), "{label}");
        }
        Ok(_) if kind == Kind::Head => assert_eq!(response.status, 200, "{label}"),
        Ok(user) => assert_eq!(response.body, USERS[user], "{label}"),
        Err(_) if page == Page::Public => assert_eq!(response.body, "anonymous", "{label}"),
        Err(why) => {
            let status = if kind.is_redirected() { 303 } else { 401 };
            assert_eq!((response.status, reason), (status, why), "{label}");
        }
    }
}

fn check_status(response: &TestResponse, expected: Result<(u64, u64), &'static str>, label: &str) {
    let json = response.json();
    match expected {
        Ok((idle, session)) => {
            let seconds = (&json["seconds_until_idle_end"], &json["seconds_until_session_end"]);
            assert_eq!(seconds, (&idle.into(), &session.into()), "{label}");
        }
        Err("") => assert_eq!(json["state"], "anonymous", "{label}"),
        Err(why) => assert_eq!(json["reason"], why, "{label}"),
    }
}
