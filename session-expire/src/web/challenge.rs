//! What a 401 becomes.

use actix_web::{HttpResponse, body::MessageBody, dev::ServiceResponse, http::StatusCode};

use super::{caller::Caller, gate::Gate, problem, reply, standing::Standing};

/// What a 401 becomes, if anything.
pub(crate) fn challenge_if_due<B: MessageBody + 'static>(
    gate: &Gate,
    res: &ServiceResponse<B>,
) -> Option<HttpResponse> {
    if res.status() != StatusCode::UNAUTHORIZED
        || gate.is_answered()
        || gate.ledger.place_of_user().is_some()
    {
        return None;
    }
    let policy = gate.policy();
    match &*gate.standing() {
        Standing::Active(_) => None,
        Standing::Unreachable => Some(problem::unavailable()),
        Standing::Masked(_, _, caller) if caller.is_at(&policy.login_url) => None,
        Standing::Masked(reason, _, caller) => {
            let text = gate.text(*reason, caller);
            let why = gate.explains(caller).then_some((*reason, text.as_str()));
            Some(reply::challenge(caller, &policy.login_url, why))
        }
        Standing::Anonymous => {
            let caller = Caller::of(res.request());
            let due = gate.setup.challenge_anonymous && !caller.is_at(&policy.login_url);
            (due && reply::is_bare(res)).then(|| reply::challenge(&caller, &policy.login_url, None))
        }
    }
}
