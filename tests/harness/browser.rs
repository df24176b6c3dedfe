//! A browser without a window: cookies, a handful of verbs, and no redirects followed behind one's back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ureq::{
    Agent,
    http::{HeaderMap, Request as HttpRequest},
};

use crate::Site;

/// A browser with its cookies. A clone shares them, like another tab.
#[derive(Clone)]
pub struct Browser {
    base: String,
    agent: Agent,
    jar: Arc<Mutex<BTreeMap<String, String>>>,
}

/// What a server has answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// A header as text; empty when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// All cookies that were set, as they stand in the headers.
    #[must_use]
    pub fn cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The status and the place that the answer sends a browser to.
    #[must_use]
    pub fn redirect(&self) -> (u16, &str) {
        (self.status, self.header("location"))
    }
}

impl Browser {
    /// A new browser for a site at this address, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn new(base: String) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)));
        Self { base, agent: config.build().into(), jar: Arc::default() }
    }

    fn jar(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a page.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    /// Sends a form from the page `/form`.
    pub fn post(&self, path: &str, form: &str) -> Answer {
        let referer = format!("{}/form", self.base);
        self.request("POST", path).header("referer", &referer).form(form).send()
    }

    /// Asks as a script does.
    pub fn fetch(&self, path: &str) -> Answer {
        self.request("GET", path).script().send()
    }

    /// Signs in through the login form.
    pub fn sign_in(&self, user: &str) -> Answer {
        let answer = self.post("/login", &format!("user={user}"));
        assert_eq!(answer.status, 303, "{answer:?}");
        answer
    }

    /// Whom the server takes this browser for on the page `path`; `None` if nobody.
    pub fn user_at(&self, path: &str) -> Option<String> {
        let answer = self.get(path);
        (answer.status == 200).then_some(answer.body)
    }

    /// The messages that wait for this browser, joined by `|`. They are gone then.
    pub fn messages(&self) -> String {
        self.get("/messages").body
    }

    /// A request to be completed and sent.
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        let request = HttpRequest::builder().method(method).uri(format!("{}{path}", self.base));
        Request { browser: self, request, body: String::new() }
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", "same-origin")
    }

    /// The address of the site.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A browser with a copy of the cookies, like a thief's.
    #[must_use]
    pub fn stolen(&self) -> Self {
        let jar = self.jar().clone();
        Self { jar: Arc::new(Mutex::new(jar)), ..self.clone() }
    }

    /// The same browser at another address, which gets the same cookies.
    #[must_use]
    pub fn at(&self, address: &str) -> Self {
        Self { base: address.to_owned(), ..self.clone() }
    }

    /// The same browser at another site, as after a restart.
    #[must_use]
    pub fn moved_to(&self, site: &Site) -> Self {
        self.at(&site.browser().base)
    }

    /// The `Cookie` header it sends now.
    #[must_use]
    pub fn cookie(&self) -> String {
        self.jar()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// Plants a cookie.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.jar().insert(name.to_owned(), value.to_owned());
    }

    fn keep(&self, answer: &Answer) {
        for cookie in answer.cookies() {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let Some((name, value)) = pair.split_once('=') else { continue };
            if attributes.contains("Max-Age=0") {
                self.jar().remove(name);
            } else {
                self.jar().insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// A request in the making.
pub struct Request<'a> {
    browser: &'a Browser,
    request: ureq::http::request::Builder,
    body: String,
}

impl Request<'_> {
    /// Sets a header, in place of one that is there.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let (Some(headers), Ok(value)) = (self.request.headers_mut(), value.parse()) {
            headers.insert(name, value);
        }
        self
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.request.headers_mut().map(|headers| headers.remove(name));
        self
    }

    /// Asks as a script of the site does.
    #[must_use]
    pub fn script(self) -> Self {
        self.header("sec-fetch-mode", "cors").header("accept", "*/*")
    }

    /// Sends a form.
    #[must_use]
    pub fn form(mut self, form: &str) -> Self {
        form.clone_into(&mut self.body);
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Sends JSON.
    #[must_use]
    pub fn json(mut self, json: &str) -> Self {
        json.clone_into(&mut self.body);
        self.header("content-type", "application/json")
    }

    /// Sends it and waits for the answer. A connection that breaks is answered with status 0.
    pub fn send(mut self) -> Answer {
        let cookie = self.browser.cookie();
        if !cookie.is_empty() {
            self = self.header("cookie", &cookie);
        }
        let answer = self
            .request
            .body(self.body)
            .map_err(ureq::Error::from)
            .and_then(|request| self.browser.agent.run(request))
            .map(|response| {
                let (head, mut body) = response.into_parts();
                let body = body.read_to_string().unwrap_or_default();
                Answer { status: head.status.as_u16(), headers: head.headers, body }
            })
            .unwrap_or_else(|error| Answer {
                status: 0,
                headers: HeaderMap::new(),
                body: error.to_string(),
            });
        self.browser.keep(&answer);
        answer
    }
}
