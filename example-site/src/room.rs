//! Room of the chat.
//!
//! The room sends each message to all sockets of this process. Each process has its own room.

use std::{
    io::ErrorKind,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::rt::time::{sleep_until, timeout};
use serde::Serialize;
use session_expire::live::{
    SessionEnd, SocketMessages,
    actix_ws::{
        AggregatedMessage, AggregatedMessageStream, CloseCode, Closed, ProtocolError, Session,
    },
};
use tokio::{
    select,
    sync::broadcast::{Receiver, Sender, channel, error::RecvError},
};

use crate::{
    message_rate::{MessageRate, Schedule},
    text_length::text_length,
};

/// Longest frame and message in bytes. The longest message has up to three bytes per code unit.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4_000;

/// Longest message, as [`text_length`] counts it.
pub(crate) const MAX_MESSAGE_LENGTH: usize = 1_000;

/// Number of messages that a slow member may be behind. It bounds the memory of the room.
const MAX_BACKLOG: usize = 128;

/// Longest time to send a message to a member.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Room that all workers share.
#[derive(Clone)]
pub(crate) struct Room {
    lines: Sender<Arc<str>>,
    schedule: Arc<Schedule>,
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
    /// End of the session.
    pub(crate) end: SessionEnd,
    /// Line that exceeds the user's rate, and the time at which it is due. The room reads no other
    /// message of the member until then.
    pub(crate) waiting: Option<(Instant, Arc<str>)>,
}

impl Room {
    pub(crate) fn new(rate: MessageRate) -> Self {
        Self { lines: channel(MAX_BACKLOG).0, schedule: Arc::new(Schedule::new(rate)) }
    }

    /// Sends messages between the room and `member` until the socket ends.
    ///
    /// The room disconnects a member that reads too slowly, so that it does not delay the others.
    /// The rate limit prevents a user from filling the backlog of the other members.
    pub(crate) async fn host(self, mut member: Member) {
        let mut lines = self.lines.subscribe();
        let code = loop {
            if let Err(end) = self.step(&mut member, &mut lines).await {
                break end;
            }
        };
        if let Some(code) = code {
            let _ = timeout(SEND_TIMEOUT, member.session.close(Some(code.into()))).await;
        }
    }

    /// Handles one message. At the end of the socket, returns an error: the close code to send, or
    /// `None` if the socket is already closed.
    async fn step(
        &self,
        member: &mut Member,
        lines: &mut Receiver<Arc<str>>,
    ) -> Result<(), Option<CloseCode>> {
        let due = member.waiting.as_ref().map(|(due, _)| *due);
        select! {
            biased;
            // A message that waits must not be sent after the end of the session.
            _ = &mut member.end, if due.is_some() => Err(None),
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                self.send_waiting(member);
                Ok(())
            }
            message = member.messages.recv(), if due.is_none() => match message {
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
            AggregatedMessage::Text(text) => return self.say(member, &text),
            AggregatedMessage::Ping(bytes) => in_time(member.session.pong(&bytes)).await?,
            AggregatedMessage::Close(_) => return Err(Some(CloseCode::Normal)),
            AggregatedMessage::Binary(_) => return Err(Some(CloseCode::Unsupported)),
            AggregatedMessage::Pong(_) => {}
        }
        Ok(())
    }

    fn say(&self, member: &mut Member, text: &str) -> Result<(), Option<CloseCode>> {
        if text_length(text) > MAX_MESSAGE_LENGTH {
            return Err(Some(CloseCode::Size));
        }
        let Ok(line) = serde_json::to_string(&Line { user: member.user, text }) else {
            return Ok(());
        };
        let now = Instant::now();
        let due = self.schedule.add(member.user, now);
        member.waiting = Some((due, line.into()));
        if due == now {
            self.send_waiting(member);
        }
        Ok(())
    }

    fn send_waiting(&self, member: &mut Member) {
        if let Some((_, line)) = member.waiting.take() {
            // Sending fails only if the room has no members.
            let _ = self.lines.send(line);
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
