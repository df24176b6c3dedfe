//! A WebSocket client (RFC 6455) without extensions.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use crate::Browser;

/// Timeout of a read, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// An open WebSocket.
pub struct Socket {
    stream: TcpStream,
}

/// Frame from the server, or the end of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A close frame, with its code and reason.
    Close(u16, String),
    /// Another frame: its opcode and payload.
    Other(u8, Vec<u8>),
    /// The connection has ended.
    End,
}

impl Browser {
    /// Sends a WebSocket handshake with the cookies of this browser and these headers. Returns the
    /// connection and the head of the response in lower case.
    ///
    /// # Panics
    ///
    /// Panics if the server does not respond.
    #[must_use]
    pub fn handshake(&self, path: &str, headers: &[(&str, &str)]) -> (TcpStream, String) {
        let host = self.base().trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("the server accepts connections");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        let cookie = self.cookie();
        let more: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             cookie: {cookie}\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).expect("the request is sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the server responds");
            head.push(byte[0]);
        }
        (stream, String::from_utf8_lossy(&head).to_ascii_lowercase())
    }

    /// Opens a WebSocket, as a page of the site does.
    ///
    /// # Panics
    ///
    /// Panics if the server refuses the handshake.
    #[must_use]
    pub fn socket(&self, path: &str) -> Socket {
        let (stream, head) = self.handshake(path, &[("origin", self.base())]);
        assert!(head.starts_with("http/1.1 101 "), "{path}: {head}");
        Socket { stream }
    }
}

impl Socket {
    /// Sends a text message.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection has ended.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.send_frame(FINAL | TEXT, text.as_bytes())
    }

    /// Sends a close frame.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection has ended.
    pub fn send_close(&mut self, code: u16) -> io::Result<()> {
        self.send_frame(FINAL | CLOSE, &code.to_be_bytes())
    }

    /// Sends a frame with this first byte.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection has ended.
    pub fn send_frame(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        let length = payload.len();
        let mut frame = vec![first];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..=125), _) => frame.push(MASKED | short),
            (_, Ok(medium)) => {
                frame.push(MASKED | 126);
                frame.extend(medium.to_be_bytes());
            }
            _ => {
                frame.push(MASKED | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        let mask = [7, 77, 177, 17];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame)
    }

    /// Returns the next frame other than a ping or pong.
    pub fn receive(&mut self) -> Frame {
        loop {
            match self.read_frame().unwrap_or(Frame::End) {
                Frame::Other(PING | PONG, _) => {}
                frame => return frame,
            }
        }
    }

    /// Returns the next text message.
    ///
    /// # Panics
    ///
    /// Panics if the server sends another frame.
    pub fn receive_text(&mut self) -> String {
        match self.receive() {
            Frame::Text(text) => text,
            frame => panic!("{frame:?} is not a text message"),
        }
    }

    /// Returns the code and the reason of the close frame. Ignores the frames before it.
    ///
    /// # Panics
    ///
    /// Panics if the connection ends without a close frame.
    pub fn receive_close(&mut self) -> (u16, String) {
        loop {
            match self.receive() {
                Frame::Close(code, reason) => return (code, reason),
                Frame::End => panic!("the connection has ended without a close frame"),
                Frame::Text(_) | Frame::Other(..) => {}
            }
        }
    }

    /// Sets the time after which a read fails.
    ///
    /// # Panics
    ///
    /// Panics if the time is zero.
    pub fn set_timeout(&self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).expect("a timeout above zero");
    }

    /// Ends the connection without a close frame.
    pub fn abort(self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }

    fn read_frame(&mut self) -> io::Result<Frame> {
        let [first, length] = self.read()?;
        let length = match length {
            126 => u64::from(u16::from_be_bytes(self.read()?)),
            127 => u64::from_be_bytes(self.read()?),
            short => u64::from(short),
        };
        let mut payload = vec![];
        (&mut self.stream).take(length).read_to_end(&mut payload)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(match (first & 0x0f, &*payload) {
            (TEXT, text_bytes) => Frame::Text(text(text_bytes)),
            (CLOSE, [high, low, reason @ ..]) => {
                Frame::Close(u16::from_be_bytes([*high, *low]), text(reason))
            }
            (opcode, _) => Frame::Other(opcode, payload),
        })
    }

    fn read<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
