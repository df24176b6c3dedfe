//! Streams in tests: a client that reads a body line by line, and a handler that watches a session.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{Shutdown, TcpStream},
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use actix_web::{HttpResponse, web};
use session_expire::{
    SessionHandle,
    live::{Activity, SessionEnd, StreamEnd},
};

use crate::Browser;

/// Longest wait for a line or an end, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// End of a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// The body is complete according to its last chunk or its length.
    Complete,
    /// The connection was closed before the end of the body.
    Broken,
}

enum Framing {
    Chunked,
    Length(usize),
}

/// A response whose body is read line by line.
pub struct StreamClient {
    connection: BufReader<TcpStream>,
    /// Status line and headers, in lower case. Empty if there was no response.
    pub head: String,
    framing: Framing,
    received: Vec<u8>,
    end: Option<BodyEnd>,
}

impl StreamClient {
    /// Sends a GET request with the cookies of the browser and these header lines.
    ///
    /// # Panics
    ///
    /// Panics if the server does not respond within 120 seconds.
    #[must_use]
    pub fn open(browser: &Browser, path: &str, headers: &str) -> Self {
        let host = browser.base().trim_start_matches("http://");
        let mut connection = TcpStream::connect(host).unwrap();
        connection.set_read_timeout(Some(LIMIT)).unwrap();
        let cookie = browser.cookie();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nsec-fetch-mode: cors\r\n\
             {headers}\r\n"
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut connection = BufReader::new(connection);
        let head = read_head(&mut connection);
        let framing = match header_in(&head, "content-length") {
            Some(length) => Framing::Length(length.parse().unwrap()),
            None if head.contains("transfer-encoding: chunked") => Framing::Chunked,
            None => Framing::Length(0),
        };
        let end = head.is_empty().then_some(BodyEnd::Broken);
        Self { connection, head, framing, received: vec![], end }
    }

    /// Returns the status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// Returns a header, or an empty string if it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        header_in(&self.head, name).unwrap_or_default()
    }

    /// Returns the next line of the body without its line break; `None` at the end of the body.
    pub fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(length) = self.received.iter().position(|byte| *byte == b'\n') {
                let line = self.received.drain(..=length).take(length).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            if self.end.is_some() {
                return None;
            }
            self.receive();
        }
    }

    /// Returns the data of the next event; `None` at the end of the stream.
    pub fn next_event(&mut self) -> Option<serde_json::Value> {
        loop {
            if let Some(data) = self.next_line()?.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    /// Reads the rest of the body, and returns how it ended.
    pub fn wait_for_end(&mut self) -> BodyEnd {
        while self.end.is_none() {
            self.receive();
        }
        self.end.unwrap()
    }

    /// Receives the next part of the body.
    fn receive(&mut self) {
        let received = match &mut self.framing {
            Framing::Chunked => read_chunk(&mut self.connection),
            Framing::Length(rest) => read_part(&mut self.connection, rest),
        };
        match received {
            Ok(Some(data)) => self.received.extend(data),
            Ok(None) => self.end = Some(BodyEnd::Complete),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("no data and no end after {LIMIT:?}");
            }
            Err(_) => self.end = Some(BodyEnd::Broken),
        }
    }
}

impl Drop for StreamClient {
    fn drop(&mut self) {
        drop(self.connection.get_ref().shutdown(Shutdown::Both));
    }
}

fn header_in<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(other, _)| *other == name).map(|(_, value)| value)
}

fn read_head(connection: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head).unwrap() == 0 {
            assert_eq!(head, "", "the connection was closed within the head");
            break;
        }
    }
    head.to_lowercase()
}

/// Returns the data of the next chunk; `None` for the last one.
fn read_chunk(connection: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut size = String::new();
    connection.read_line(&mut size)?;
    let size = usize::from_str_radix(size.trim(), 16)
        .map_err(|_| std::io::Error::from(ErrorKind::UnexpectedEof))?;
    let mut data = vec![0; size + 2];
    connection.read_exact(&mut data)?;
    data.truncate(size);
    Ok((size > 0).then_some(data))
}

/// Returns the next part of a body of which `rest` bytes are missing; `None` if it is complete.
fn read_part(connection: &mut impl BufRead, rest: &mut usize) -> std::io::Result<Option<Vec<u8>>> {
    if *rest == 0 {
        return Ok(None);
    }
    let data = connection.fill_buf()?.to_vec();
    if data.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    connection.consume(data.len());
    *rest = rest.saturating_sub(data.len());
    Ok(Some(data))
}

/// Watches that handlers have opened for tests, by the number in the path.
static WATCHED: Mutex<BTreeMap<u64, Watched>> = Mutex::new(BTreeMap::new());

static NUMBERS: AtomicU64 = AtomicU64::new(0);

fn watched() -> MutexGuard<'static, BTreeMap<u64, Watched>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watch of a session, which a handler has opened for a test.
pub struct Watched {
    end: SessionEnd,
    /// Recorder of activity on the stream.
    pub activity: Activity,
}

/// Handler at a path with a number. It watches its session, and [`Browser::watch`] returns the
/// watch.
pub async fn watch_session(session: SessionHandle, number: web::Path<u64>) -> HttpResponse {
    let watch = Watched { end: session.ended(), activity: session.activity() };
    watched().insert(*number, watch);
    HttpResponse::Ok().finish()
}

impl Browser {
    /// Requests `path` with a number, and returns the watch of the session. The handler must be
    /// [`watch_session`].
    ///
    /// # Panics
    ///
    /// Panics if the handler does not respond with 200.
    #[must_use]
    pub fn watch(&self, path: &str) -> Watched {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let response = self.get(&format!("{path}/{number}"));
        let watched = watched().remove(&number);
        watched.unwrap_or_else(|| panic!("{path} is not watched: {response:?}"))
    }
}

impl Watched {
    /// Waits until the session has ended, and returns the end.
    ///
    /// # Panics
    ///
    /// Panics after 120 seconds.
    pub fn wait(self) -> StreamEnd {
        crate::block_on(async {
            let ended = actix_web::rt::time::timeout(LIMIT, self.end).await;
            ended.expect("the stream ends")
        })
    }

    /// Waits until the session has ended, and returns the reason.
    pub fn reason(self) -> &'static str {
        self.wait().as_str()
    }

    /// Returns `true` if the session has not ended.
    pub fn is_open(&mut self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Polls the end of the session.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<StreamEnd> {
        Pin::new(&mut self.end).poll(cx)
    }
}
