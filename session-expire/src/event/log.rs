//! Log lines and metrics of events.
//!
//! User ids are quoted, so that a user id cannot forge a log line.

use tracing::field;

use super::Event;
#[cfg(feature = "metrics")]
use crate::session::reason::Reason;

impl Event<'_> {
    /// Writes the event to the log. User, actor, address and device are left out unless
    /// `logs_users` is set.
    pub(crate) fn trace(&self, logs_users: bool) {
        let event = self.word();
        let user = self.user().filter(|_| logs_users).map(field::debug);
        let actor = self.actor().filter(|_| logs_users).map(field::debug);
        let client = self.requester().filter(|_| logs_users);
        let address = client.and_then(|client| client.ip).map(field::display);
        let device = client.map(|client| &*client.device).filter(|device| !device.is_empty());
        let session = self.session().map(|session| field::display(session.id));
        let reason = self.reason().map(field::display);
        let cause = self.cause();
        macro_rules! log {
            ($level:ident, $($fields:tt)+) => {
                tracing::$level!(
                    event, user, actor, session, reason, cause, address, device, $($fields)+
                )
            };
        }
        match self {
            Self::LoggedIn { seen_before, previous_login, .. } => {
                let previous_login =
                    previous_login.map(|at| field::display(at.to_utc().to_rfc3339()));
                log!(info, seen_before, previous_login, "signed in");
            }
            Self::Reauthenticated { .. } => log!(info, "reauthenticated"),
            Self::ConfirmationFailed { attempts_left, .. } => {
                log!(warn, attempts_left, "confirmation failed");
            }
            Self::KeptAlive { .. } => log!(debug, "activity reported"),
            Self::PolicyRefreshed { .. } => log!(info, "user policy refreshed"),
            Self::Ended { .. } => log!(info, "session ended"),
            Self::Refused { .. } => log!(warn, "session refused"),
            Self::LoginRefused { .. } => log!(warn, "login refused: too many sessions"),
            Self::TicketRefused { .. } => log!(warn, "ticket to continue a login refused"),
            Self::EveryoneEnded { count, .. } => {
                log!(warn, count, "all sessions of all users ended");
            }
            Self::Erased { count, .. } => log!(warn, count, "records of a user erased"),
            Self::RegistryFailed { error } => {
                let error: &(dyn std::error::Error + 'static) = *error;
                tracing::error!(event, error, "session registry error");
            }
            Self::PolicyBreach { breach, layer } => {
                tracing::error!(event, %breach, layer, "policy does not meet a declared standard");
            }
        }
    }

    /// Counts the event.
    #[cfg(feature = "metrics")]
    pub(crate) fn count(&self) {
        let reason = self.reason().map_or("", Reason::as_str);
        metrics::counter!("session_expire_events_total", "event" => self.word(), "reason" => reason)
            .increment(1);
    }
}
#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex, PoisonError},
    };

    use super::*;
    use crate::{
        event::EventSession,
        session::{client::Client, key::PublicId, reason::Reason},
    };

    fn client() -> Client {
        Client::new("192.0.2.7".parse().ok(), "Firefox on Linux")
    }

    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(event: &Event<'_>, logs_user: bool) -> String {
        let log = LogBuffer::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || event.trace(logs_user));
        let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn log_line_has_owasp_word_session_client_and_reason() {
        let client = client();
        let mut session = EventSession::new("alice", PublicId::random(), &client);
        session.actor = Some("root");
        let ended = Event::ended(session, Reason::Idle).with_requester(&client);
        let line = logged(&ended, true);
        for part in [
            "INFO",
            "event=\"session_expired\"",
            "user=\"alice\"",
            "actor=\"root\"",
            "reason=idle",
            "address=192.0.2.7",
            "device=\"Firefox on Linux\"",
            &session.id.to_string(),
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[test]
    fn log_line_has_no_personal_data_if_users_are_not_logged() {
        let client = client();
        let mut session = EventSession::new("alice", PublicId::random(), &client);
        session.actor = Some("root");
        let events = [
            Event::logged_in(session),
            Event::reauthenticated(session),
            Event::confirmation_failed(session, 4),
            Event::kept_alive(session),
            Event::policy_refreshed(session),
            Event::ended(session, Reason::Idle),
            Event::login_refused("alice"),
            Event::ticket_refused("alice"),
            Event::erased("alice", 1),
        ];
        for event in events {
            let line = logged(&event.with_requester(&client), false);
            for part in ["alice", "root", "user=", "192.0.2.7", "Firefox"] {
                assert!(!line.contains(part), "{part} in {line}");
            }
        }
    }

    #[test]
    fn user_id_cannot_forge_log_line_or_field() {
        let name = "eve\nINFO session_created user=\"root\"\r\u{1b}[2J\u{85}\u{2028}";
        let line = logged(&Event::login_refused(name), true);
        assert_eq!(line.trim_end().lines().count(), 1, "{line}");
        assert!(!line.contains("user=\"root\"") && !line.contains('\u{1b}'), "{line}");
    }
}
