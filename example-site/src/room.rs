//! Room of the chat.
//!
//! A message goes to the sockets of this process. With several processes, each has its own room.

use std::{io::ErrorKind, sync::Arc, time::Duration};

use actix_web::rt::time::timeout;
use serde::Serialize;
use session_expire::live::{
    SocketMessages,
    actix_ws::{
        AggregatedMessage, AggregatedMessageStream, CloseCode, Closed, ProtocolError, Session,
    },
};
use tokio::{
    select,
    sync::broadcast::{Receiver, Sender, channel, error::RecvError},
};

/// Longest message in bytes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4_000;

/// Number of messages that a slow member may be behind. It bounds the memory of the room.
const MAX_BACKLOG: usize = 128;

/// Longest time for sending one message to a member.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Room that all workers share.
#[derive(Clone)]
pub(crate) struct Room(Sender<Arc<str>>);

impl Default for Room {
    fn default() -> Self {
        Self(channel(MAX_BACKLOG).0)
    }
}

/// Message as the page receives it.
#[derive(Serialize)]
struct Line<'a> {
    user: &'a str,
    text: &'a str,
}

/// Member of the room: one socket of a user.
pub(crate) struct Member {
    pub(crate) user: &'static str,
    pub(crate) session: Session,
    pub(crate) messages: SocketMessages<AggregatedMessageStream>,
}

impl Room {
    /// Sends messages between the room and `member` until the socket ends. A member that reads too
    /// slowly has to leave, and delays no other member.
    pub(crate) async fn host(self, mut member: Member) {
        let mut lines = self.0.subscribe();
        let code = loop {
            if let Err(end) = self.step(&mut member, &mut lines).await {
                break end;
            }
        };
        if let Some(code) = code {
            let _ = timeout(SEND_TIMEOUT, member.session.close(Some(code.into()))).await;
        }
    }

    /// Handles one message. Returns an error at the end of the socket: the close code, if the client
    /// has not closed it.
    async fn step(
        &self,
        member: &mut Member,
        lines: &mut Receiver<Arc<str>>,
    ) -> Result<(), Option<CloseCode>> {
        select! {
            message = member.messages.recv() => match message {
                Some(Ok(message)) => self.receive(member, message).await,
                Some(Err(error)) => Err(Some(close_code(&error))),
                None => Err(None),
            },
            line = lines.recv() => match line {
                Ok(line) => in_time(member.session.text(&*line)).await,
                Err(RecvError::Lagged(_)) => Err(Some(CloseCode::Policy)),
                Err(RecvError::Closed) => Err(Some(CloseCode::Away)),
            },
        }
    }

    async fn receive(
        &self,
        member: &mut Member,
        message: AggregatedMessage,
    ) -> Result<(), Option<CloseCode>> {
        match message {
            AggregatedMessage::Text(text) => self.say(member.user, &text),
            AggregatedMessage::Ping(bytes) => in_time(member.session.pong(&bytes)).await?,
            AggregatedMessage::Close(_) => return Err(Some(CloseCode::Normal)),
            AggregatedMessage::Binary(_) => return Err(Some(CloseCode::Unsupported)),
            AggregatedMessage::Pong(_) => {}
        }
        Ok(())
    }

    fn say(&self, user: &str, text: &str) {
        if let Ok(line) = serde_json::to_string(&Line { user, text }) {
            // Without members, the message has no receiver.
            let _ = self.0.send(line.into());
        }
    }
}

async fn in_time(sent: impl Future<Output = Result<(), Closed>>) -> Result<(), Option<CloseCode>> {
    match timeout(SEND_TIMEOUT, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Closed)) | Err(_) => Err(None),
    }
}

fn close_code(error: &ProtocolError) -> CloseCode {
    match error {
        ProtocolError::Overflow => CloseCode::Size,
        ProtocolError::Io(error) => match error.kind() {
            ErrorKind::InvalidData => CloseCode::Invalid, // not UTF-8
            _ => CloseCode::Size,                         // too many fragments
        },
        _ => CloseCode::Protocol,
    }
}
