//! An HTTP client with the cookies and headers of a browser. It follows no redirect.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use ureq::{
    Agent,
    http::{HeaderMap, Request},
};

use crate::Site;

/// Timeout of a response. It allows for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A browser with its cookies. A clone shares them, as another tab does.
#[derive(Clone)]
pub struct Browser {
    base: String,
    agent: Agent,
    jar: Arc<Mutex<BTreeMap<String, String>>>,
}

/// A response whose body has been read.
#[derive(Debug, Clone)]
pub struct TestResponse {
    /// The status code, or 0 if the connection broke.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

impl TestResponse {
    /// Returns a header as text, or an empty string if it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the values of all `Set-Cookie` headers.
    #[must_use]
    pub fn cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// Returns `true` if the response sets or deletes the cookie `name`.
    #[must_use]
    pub fn has_cookie(&self, name: &str) -> bool {
        let sets = |cookie: &&str| cookie.split_once('=').is_some_and(|(other, _)| other == name);
        self.cookies().iter().any(sets)
    }

    /// Returns the body as JSON, or null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Returns the status and the `Location` header.
    #[must_use]
    pub fn redirect(&self) -> (u16, &str) {
        (self.status, self.header("location"))
    }
}

impl Browser {
    /// Returns a new browser for the site at `base`, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn new(base: String) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A server with default settings closes an idle connection after 5 seconds.
            .max_idle_age(Duration::from_secs(2))
            .timeout_global(Some(TIMEOUT));
        Self { base, agent: config.build().into(), jar: Arc::default() }
    }

    fn jar(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a page.
    pub fn get(&self, path: &str) -> TestResponse {
        self.request("GET", path).send()
    }

    /// Submits a form from the page `/form`.
    pub fn post(&self, path: &str, form: &str) -> TestResponse {
        let referer = format!("{}/form", self.base);
        self.request("POST", path).header("referer", &referer).form(form).send()
    }

    /// Sends a GET request as a script does.
    pub fn fetch(&self, path: &str) -> TestResponse {
        self.request("GET", path).script().send()
    }

    /// Signs in through the login form.
    pub fn sign_in(&self, user: &str) -> TestResponse {
        let response = self.post("/login", &format!("user={user}"));
        assert_eq!(response.status, 303, "{response:?}");
        response
    }

    /// Signs in through the login form, and retries until the registry has a free slot.
    ///
    /// A dropped login is cancelled in the background, so its slot is free only after a while.
    ///
    /// # Panics
    ///
    /// Panics if no slot is free after 120 seconds.
    pub fn sign_in_when_free(&self, user: &str) {
        let start = Instant::now();
        while self.post("/login", &format!("user={user}")).status != 303 {
            assert!(start.elapsed() < TIMEOUT, "no slot of {user} is free");
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(self.user_at("/private").as_deref(), Some(user));
    }

    /// Returns the body of the page `path`, which is the user's name, or `None` if it is not 200.
    pub fn user_at(&self, path: &str) -> Option<String> {
        let response = self.get(path);
        (response.status == 200).then_some(response.body)
    }

    /// Returns the flash messages of this browser, joined by `|`, and marks them as read.
    pub fn read_messages(&self) -> String {
        self.get("/messages").body
    }

    /// Returns a request with the headers of a navigation on the same site.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder<'_> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        RequestBuilder { browser: self, request, body: String::new() }
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", "same-origin")
    }

    /// Sends bytes over a separate connection, and returns the response.
    ///
    /// The request must contain `Connection: close`. Cookies are neither sent nor stored.
    ///
    /// # Panics
    ///
    /// Panics if the server does not accept the connection.
    pub fn send_raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.base.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(request).unwrap();
        let mut response = vec![];
        // The server may reset the connection after a response to an invalid request.
        let _ = stream.read_to_end(&mut response);
        String::from_utf8_lossy(&response).into_owned()
    }

    /// Returns the address of the site.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns a browser with a copy of the cookies. Later changes are not shared.
    #[must_use]
    pub fn copy(&self) -> Self {
        let jar = self.jar().clone();
        Self { jar: Arc::new(Mutex::new(jar)), ..self.clone() }
    }

    /// Returns this browser at another address, with the same cookies.
    #[must_use]
    pub fn at(&self, address: &str) -> Self {
        Self { base: address.to_owned(), ..self.clone() }
    }

    /// Returns this browser at another site, as after a restart.
    #[must_use]
    pub fn moved_to(&self, site: &Site) -> Self {
        self.at(&site.browser().base)
    }

    /// Returns the `Cookie` header of the next request.
    #[must_use]
    pub fn cookie(&self) -> String {
        self.jar()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// Adds or replaces a cookie.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.jar().insert(name.to_owned(), value.to_owned());
    }

    fn store_cookies(&self, response: &TestResponse) {
        for cookie in response.cookies() {
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

/// A request of a [`Browser`].
pub struct RequestBuilder<'a> {
    browser: &'a Browser,
    request: ureq::http::request::Builder,
    body: String,
}

impl RequestBuilder<'_> {
    /// Sets a header and replaces its former value.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let (Some(headers), Ok(value)) = (self.request.headers_mut(), value.parse()) {
            headers.insert(name, value);
        }
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.request.headers_mut().map(|headers| headers.remove(name));
        self
    }

    /// Sets the headers of a script on the same site.
    #[must_use]
    pub fn script(self) -> Self {
        self.header("sec-fetch-mode", "cors").header("accept", "*/*")
    }

    /// Sets the body to a form.
    #[must_use]
    pub fn form(mut self, form: &str) -> Self {
        form.clone_into(&mut self.body);
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Sets the body to JSON.
    #[must_use]
    pub fn json(mut self, json: &str) -> Self {
        json.clone_into(&mut self.body);
        self.header("content-type", "application/json")
    }

    /// Sends the request and stores the cookies of the response.
    ///
    /// A broken connection yields a response with status 0.
    pub fn send(mut self) -> TestResponse {
        let cookie = self.browser.cookie();
        if !cookie.is_empty() {
            self = self.header("cookie", &cookie);
        }
        let response = self
            .request
            .body(self.body)
            .map_err(ureq::Error::from)
            .and_then(|request| self.browser.agent.run(request))
            .map(|response| {
                let (head, mut body) = response.into_parts();
                let body = body.read_to_string().unwrap_or_default();
                TestResponse { status: head.status.as_u16(), headers: head.headers, body }
            })
            .unwrap_or_else(|error| TestResponse {
                status: 0,
                headers: HeaderMap::new(),
                body: error.to_string(),
            });
        self.browser.store_cookies(&response);
        response
    }
}
