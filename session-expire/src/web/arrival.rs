//! What happens after a handler has signed somebody in.

use actix_web::{HttpRequest, HttpResponse};

use super::{
    caller::Caller,
    farewell::{forget, keep_messages, store},
    gate::Gate,
    login::{Entry, end_own, register},
    problem, reply,
    stack::Stack,
};
use crate::{error::RegistryError, facts::Reason, policy::PolicyPatch, registry::key::RecordKey};

/// Gives the session to whoever signed in, and registers them if that has not been done.
pub(crate) async fn welcome(
    gate: &Gate,
    stack: &Stack,
    req: &HttpRequest,
) -> Result<(), HttpResponse> {
    let key = match gate.registered() {
        Some((key, user)) if gate.ledger.is_user(&user) == Some(true) => key,
        _ => match register_now(gate, req).await {
            Ok(key) => key,
            Err(answer) => {
                gate.take_back().await; // one that the handler registered for somebody else
                return Err(answer);
            }
        },
    };
    if let Err(error) = stack.watch_login(req, &gate.setup) {
        gate.take_back().await;
        forget(gate, req);
        return Err(HttpResponse::from_error(error));
    }
    store(gate.ledger.set_key(key));
    gate.ledger.renew();
    gate.keep_registered();
    keep_messages(gate, req);
    Ok(())
}

/// Registers whom the handler has signed in with actix-identity alone.
async fn register_now(gate: &Gate, req: &HttpRequest) -> Result<RecordKey, HttpResponse> {
    let Some(user) = gate.ledger.user() else {
        tracing::error!("the identity in the session is no text, so nobody was signed in");
        forget(gate, req);
        return Err(problem::unavailable());
    };
    if gate.is_mixed_up(&user) {
        // Neither may keep what is the other's: they sign in again, into an empty session.
        let ended = end_own(gate, Reason::LoggedOut).await;
        ended.unwrap_or_else(|error| gate.setup.registry_failed(&error));
        gate.ledger.purge();
        return Err(reply::challenge(&Caller::of(req), &gate.policy().login_url, None));
    }
    match register(gate, user, PolicyPatch::new(), req).await {
        Ok(Entry::Admitted(key, record)) => {
            gate.hand_over(&record.user);
            Ok(key)
        }
        Ok(Entry::Refused(holders)) => {
            forget(gate, req);
            Err(reply::too_many(&holders))
        }
        Err(error) => Err(give_up(gate, &error, req)),
    }
}

/// Leaves everything as it was: the registry could not be asked.
pub(crate) fn give_up(gate: &Gate, error: &RegistryError, req: &HttpRequest) -> HttpResponse {
    gate.setup.registry_failed(error);
    forget(gate, req);
    problem::unavailable()
}
