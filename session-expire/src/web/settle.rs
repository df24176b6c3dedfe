//! What happens after the handler, once per request.

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::ServiceResponse,
    error::InternalError,
    http::{Method, StatusCode, header::HeaderMap},
};

use super::{
    around::Reply,
    arrival::{give_up, welcome},
    caller::Kind,
    challenge::challenge_if_due,
    farewell::{close_session, forget, keep_messages, store},
    gate::Gate,
    login::{end_own, make_room},
    problem, reply,
    stack::Stack,
    standing::Standing,
};
use crate::{facts::Reason, registry::record::ActivityUpdate};

/// What there is to do, decided before anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// Nothing but storing messages.
    Keep,
    /// The person goes on: note that they were active.
    Stay,
    /// Somebody signed in.
    Login,
    /// The session is over.
    End(Reason),
    /// The session is over, and a person will be told later.
    EndUnnoticed(Reason),
    /// Nothing could be asked: leave the session as it came in.
    PutBack,
}

/// Whom the session names after the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    Nobody,
    Same,
    /// Somebody who signed in during this request.
    Fresh,
}

fn plan(standing: &Standing, user: User) -> Plan {
    match (standing, user) {
        (_, User::Fresh) => Plan::Login,
        (Standing::Unreachable, _) => Plan::PutBack,
        (Standing::Masked(reason, ..), _) => Plan::End(*reason),
        (Standing::Active(_), User::Same) => Plan::Stay,
        (Standing::Active(_), User::Nobody) => Plan::End(Reason::LoggedOut),
        (Standing::Anonymous, _) => Plan::Keep,
    }
}

impl Plan {
    fn of(gate: &Gate) -> Self {
        let user = match gate.ledger.place_of_user() {
            None => User::Nobody,
            Some(place) if gate.is_fresh_user(place) => User::Fresh,
            Some(_) => User::Same,
        };
        plan(&gate.standing(), user)
    }

    /// The same, considering who asked and what the answer is.
    fn considering(gate: &Gate, status: StatusCode) -> Self {
        match (Self::of(gate), gate.goes_unnoticed()) {
            // Whoever only asks how a session stands must not end it for the pages that still accept it.
            (Self::End(_), _) if gate.is_asking() => Self::PutBack,
            // A picture on a page under a laxer policy must not end the session of the page.
            (Self::End(_), Some(Kind::Resource)) if status != StatusCode::UNAUTHORIZED => {
                Self::PutBack
            }
            (Self::End(reason), Some(_)) => Self::EndUnnoticed(reason),
            (plan, _) => plan,
        }
    }

    fn keep_out_of_caches(self, headers: &mut HeaderMap) {
        match self {
            Self::Stay | Self::Login | Self::EndUnnoticed(_) => reply::forbid_caching(headers),
            // This answer carries a cookie, so not even the handler can want it in a cache.
            Self::End(_) => reply::never_cache(headers),
            Self::Keep | Self::PutBack => {}
        }
    }
}

/// Whether the person goes on and there is nothing new to write: the common case, for which it is not
/// worth to start on the whole of [`settle`]. Who is signed in can't have changed in a session that
/// nobody has written to.
pub(crate) fn is_settled(gate: &Gate, req: &HttpRequest) -> bool {
    gate.ledger.is_unchanged()
        && matches!(*gate.standing(), Standing::Active(_))
        && !gate.has_flash()
        && !gate.is_crowded()
        && gate.login().is_some_and(|(_, record)| gate.activity(record, req).is_none())
}

/// Settles a request that was answered.
pub(crate) async fn settle<B: MessageBody + 'static>(
    stack: &Stack,
    res: ServiceResponse<EitherBody<B>>,
) -> Reply<B> {
    let gate = match Gate::of(res.request()) {
        Ok(gate) => gate,
        Err(error) => return Ok(reply::replace(res, HttpResponse::from_error(error))),
    };
    let plan = Plan::considering(&gate, res.status());
    if plan != Plan::Login {
        gate.take_back().await;
    }
    let challenge = challenge_if_due(&gate, &res);
    if challenge.is_some() || res.request().method() == Method::HEAD {
        gate.unshow();
    }
    let instead = match carry_out(plan, &gate, stack, res.request()).await {
        Ok(()) => challenge,
        Err(refusal) => Some(refusal),
    };
    let mut res = match instead {
        Some(answer) => reply::replace(res, answer),
        None => res,
    };
    plan.keep_out_of_caches(res.headers_mut());
    Ok(reply::for_people(res))
}

/// Settles a request that a middleware further in has failed. actix-session saves nothing then, so
/// only the registry is told; the session tells its reason when it comes in again.
pub(crate) async fn settle_failure(gate: &Gate, error: Error) -> Error {
    gate.take_back().await;
    match Plan::of(gate) {
        Plan::End(reason) => drop(end_own(gate, reason).await),
        Plan::Keep | Plan::Stay | Plan::Login | Plan::EndUnnoticed(_) | Plan::PutBack => {}
    }
    if error.as_response_error().status_code() != StatusCode::UNAUTHORIZED {
        return error;
    }
    let answer = match &*gate.standing() {
        Standing::Unreachable => problem::unavailable(),
        Standing::Masked(reason, _, caller) => {
            let text = gate.text(*reason, caller);
            reply::challenge(caller, &gate.policy().login_url, Some((*reason, &text)))
        }
        Standing::Anonymous | Standing::Active(_) => return error,
    };
    InternalError::from_response(error, answer).into()
}

async fn carry_out(
    plan: Plan,
    gate: &Gate,
    stack: &Stack,
    req: &HttpRequest,
) -> Result<(), HttpResponse> {
    match plan {
        Plan::Keep => keep_messages(gate, req),
        Plan::Stay => stay(gate, req).await,
        Plan::Login => return welcome(gate, stack, req).await,
        Plan::End(reason) => return sign_out(gate, reason, req).await,
        Plan::EndUnnoticed(reason) => {
            end_own(gate, reason).await.unwrap_or_else(|error| gate.setup.registry_failed(&error));
            forget(gate, req);
        }
        Plan::PutBack => {
            forget(gate, req);
            // Whoever wanted to leave must not believe that they have.
            return if gate.is_leaving() { Err(problem::unavailable()) } else { Ok(()) };
        }
    }
    Ok(())
}

/// Writes activity and messages, each only if there is something new.
async fn stay(gate: &Gate, req: &HttpRequest) {
    let Some((key, record)) = gate.login() else { return };
    if let Some(seen) = gate.activity(record, req) {
        // Now, not when the request came in: what others have done meanwhile is not the future.
        let change = ActivityUpdate { seen, now: gate.setup.now(), patch: None };
        let touched = gate.setup.registry.touch(key, change).await;
        touched.unwrap_or_else(|error| gate.setup.registry_failed(&error));
    }
    if gate.is_crowded() {
        let made = make_room(gate, key).await;
        made.unwrap_or_else(|error| gate.setup.registry_failed(&error));
    }
    if !gate.ledger.is_unchanged() && !gate.ledger.has_key() {
        store(gate.ledger.set_key(key));
    }
    keep_messages(gate, req);
    if gate.session_is_as_it_was() {
        forget(gate, req);
    }
}

async fn sign_out(gate: &Gate, reason: Reason, req: &HttpRequest) -> Result<(), HttpResponse> {
    let leaving = matches!(*gate.standing(), Standing::Active(_));
    match end_own(gate, reason).await {
        Ok(()) => {
            close_session(gate, req);
            Ok(())
        }
        // "You have signed out" would be a lie while a copy of the cookie still works.
        Err(error) if leaving => Err(give_up(gate, &error, req)),
        Err(error) => {
            give_up(gate, &error, req);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{judge::Deadlines, limit::Limit};

    #[test]
    fn every_standing_and_every_user_has_one_plan() {
        let active = Standing::Active(Deadlines { idle_end: Limit::Off, session_end: Limit::Off });
        for (standing, user, expected) in [
            (&Standing::Anonymous, User::Nobody, Plan::Keep),
            (&Standing::Anonymous, User::Fresh, Plan::Login),
            (&active, User::Nobody, Plan::End(Reason::LoggedOut)),
            (&active, User::Same, Plan::Stay),
            (&active, User::Fresh, Plan::Login),
        ] {
            assert_eq!(plan(standing, user), expected, "{user:?}");
        }
    }
}
