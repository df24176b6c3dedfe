//! What is left in a session: messages, and what somebody wrote into it who is nobody now.

use actix_session::SessionInsertError;
use actix_web::HttpRequest;

use super::{
    gate::Gate,
    ledger::{Ledger, forget_changes},
};

/// Leaves nothing in the session but messages and what an anonymous handler wrote.
pub(crate) fn close_session(gate: &Gate, req: &HttpRequest) {
    gate.forget_waiting();
    gate.tell_reason();
    gate.ledger.drop_key();
    keep_messages(gate, req);
    if gate.ledger.is_blank() { gate.ledger.purge() } else { gate.ledger.renew() }
}

pub(crate) fn keep_messages(gate: &Gate, req: &HttpRequest) {
    if !gate.has_flash() {
        return;
    }
    if gate.ledger.is_purged() {
        return keep_messages_after_purge(gate, req);
    }
    gate.with_flash(|queue| match queue.to_keep() {
        None => {}
        Some([]) => gate.ledger.drop_flash(),
        Some(messages) => store(gate.ledger.set_flash(&messages)),
    });
    if gate.ledger.is_blank() && !gate.ledger.is_unchanged() {
        gate.ledger.purge();
    }
}

/// actix-session drops what is written after a purge, so the messages go into a new session.
fn keep_messages_after_purge(gate: &Gate, req: &HttpRequest) {
    let messages = gate.with_flash(|queue| queue.unshown().to_vec());
    if !messages.is_empty() {
        let blank = forget(gate, req);
        store(blank.set_flash(&messages));
        blank.renew();
    }
}

pub(crate) fn store(stored: Result<(), SessionInsertError>) {
    if let Err(error) = stored {
        tracing::error!(%error, "the session could not be written");
    }
}

/// The session as it came in, whatever this request did to it.
pub(crate) fn forget(gate: &Gate, req: &HttpRequest) -> Ledger {
    forget_changes(req, gate.setup.identity_key)
}
