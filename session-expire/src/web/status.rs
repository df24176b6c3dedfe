//! How a session stands, as it is told to the page that asks.

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL};
use serde::{Deserialize, Serialize};

use super::{gate::Gate, vars::Seconds};
use crate::{claim, error::StackError, judge::Verdict, limit::Limit, policy::Policy};

/// How a session stands, for scripts.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(crate) enum Status {
    Active {
        seconds_until_idle_end: Seconds,
        seconds_until_session_end: Seconds,
        warn_seconds: Seconds,
    },
    Expired {
        reason: &'static str,
        login_url: String,
    },
    /// Somebody else is signed in by now than on the page that asks.
    Replaced,
    Anonymous,
}

impl Status {
    pub(crate) fn of(verdict: Verdict, policy: &Policy) -> Self {
        match verdict {
            Verdict::Anonymous => Self::Anonymous,
            Verdict::Expired(reason) => {
                Self::Expired { reason: reason.as_str(), login_url: policy.login_url.to_string() }
            }
            Verdict::Active(deadlines) => Self::Active {
                seconds_until_idle_end: Seconds::of(deadlines.idle_end),
                seconds_until_session_end: Seconds::of(deadlines.session_end),
                warn_seconds: Seconds::of(policy.warning().map_or(Limit::Off, Limit::At)),
            },
        }
    }

    pub(crate) fn respond(&self, mut with: actix_web::HttpResponseBuilder) -> HttpResponse {
        with.insert_header((CACHE_CONTROL, "no-store")).json(self)
    }
}

/// What a page says of itself.
#[derive(Deserialize, Default)]
pub(crate) struct Asking {
    /// The limits that it was judged under, signed.
    pub(crate) policy: Option<String>,
    /// The login that it was [made for](claim::made_for).
    pub(crate) login: Option<String>,
}

/// Whether the page was made for another user. A new login of the same user may go on with it.
pub(crate) fn is_replaced(gate: &Gate, asking: &Asking) -> bool {
    match (gate.verdict(), gate.login(), &asking.login) {
        (Verdict::Active(_), Some((_, record)), Some(page)) => {
            !claim::is_made_for(page, &record.user)
        }
        _ => false,
    }
}

/// Judges under the limits of the page that asks; without a valid claim, under the app's.
pub(crate) fn judge_as_page(
    gate: &Gate,
    asking: &Asking,
    req: &HttpRequest,
) -> Result<(), StackError> {
    let seal = gate.login().map(|(_, record)| record.seal);
    let patch =
        asking.policy.as_deref().zip(seal).and_then(|(claim, seal)| claim::redeem(claim, &seal));
    patch.map_or(Ok(()), |patch| gate.refine(&patch, req))
}
