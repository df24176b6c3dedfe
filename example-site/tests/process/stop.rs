//! The end of the example site at SIGTERM.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::program::{Program, command};

const LOGIN: &str = "username=alice&password=alice";

/// Returns the head of the request that sends [`LOGIN`].
fn login_head(more: &str) -> String {
    let length = LOGIN.len();
    format!(
        "POST /login HTTP/1.1\r\nhost: localhost\r\n{more}content-length: {length}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n"
    )
}

/// Reads until the server closes the connection.
fn read(mut stream: &TcpStream) -> String {
    let mut bytes = vec![];
    // The server may reset the connection.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until `end` has arrived.
fn read_until(mut stream: &TcpStream, end: &str) -> String {
    let mut bytes = vec![];
    while !bytes.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Signs in, and returns the cookie.
fn sign_in(site: &Program) -> String {
    let response = read(&site.send(&(login_head("connection: close\r\n") + LOGIN)));
    let cookie = response.split("set-cookie: id=").nth(1).unwrap();
    format!("id={}", cookie.split(';').next().unwrap())
}

/// Opens connections that stay open: idle ones, event streams and sockets of the chat.
fn open_connections(site: &Program, cookie: &str) -> Vec<TcpStream> {
    let idle = "GET /static/icon.svg HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let events =
        format!("GET /session/events HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
    let socket = format!(
        "GET /chat/socket HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\
         origin: http://localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let requests = [idle, &events, &socket].into_iter().cycle().take(12);
    let streams = requests.map(|request| (site.send(request), request == events));
    let ready = |(stream, is_stream): (TcpStream, bool)| {
        read_until(&stream, "\r\n\r\n");
        if is_stream {
            read_until(&stream, "data: {\"state\":\"active\"");
        }
        stream
    };
    // A browser opens connections in advance.
    streams.map(ready).chain([site.send("")]).collect()
}

/// Stops a site with open connections, and returns the time that this took.
fn stop_time() -> Duration {
    let site = Program::start(&mut command());
    let connections = open_connections(&site, &sign_in(&site));
    let start = Instant::now();
    site.signal("TERM");
    let (status, log) = site.wait();
    let time = start.elapsed();
    assert!(status.success() && !log.contains("cancelled"), "{log}");
    drop(connections);
    time
}

/// One of several attempts must be fast, because the machine may be busy.
#[test]
fn open_connections_do_not_delay_the_stop() {
    let times: Vec<_> = (0..10).map(|_| stop_time()).collect();
    assert!(times.iter().any(|time| *time < Duration::from_millis(500)), "{times:?}");
}

/// Sends SIGTERM while a login is in progress. Returns the connection of the login.
fn terminate_during_login(site: &Program) -> TcpStream {
    let idle = site.send("GET /static/icon.svg HTTP/1.1\r\nhost: localhost\r\n\r\n");
    read_until(&idle, "\r\n\r\n");
    let mut login = site.send(&login_head(""));
    login.write_all(&LOGIN.as_bytes()[..5]).unwrap();
    // The site reads the head before it is told to stop.
    read(
        &site.send("GET /static/icon.svg HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
    );
    site.signal("TERM");
    read(&idle); // the site stops now
    login
}

/// Returns `true` if the second signal stops the site. On a busy machine, the first one may have
/// stopped it before.
fn stops_at_second(signal: &str) -> bool {
    let site = Program::start(&mut command());
    let login = terminate_during_login(&site);
    site.signal(signal);
    let (status, log) = site.wait();
    assert!(status.success(), "{log}");
    drop(login);
    log.contains("requests in progress were cancelled by a second signal")
}

#[test]
fn second_signal_cancels_requests_in_progress() {
    for signal in ["TERM", "INT"] {
        assert!((0..5).any(|_| stops_at_second(signal)), "SIG{signal}");
    }
}

#[test]
fn request_in_progress_is_completed() {
    let site = Program::start(&mut command());
    let mut login = terminate_during_login(&site);
    login.write_all(&LOGIN.as_bytes()[5..]).unwrap();
    let response = read(&login).to_ascii_lowercase();
    assert!(response.starts_with("http/1.1 303 "), "{response}");
    assert!(response.contains("set-cookie: id=") && response.contains("connection: close"));
    let (status, log) = site.wait();
    assert!(status.success() && !log.contains("cancelled"), "{log}");
}
