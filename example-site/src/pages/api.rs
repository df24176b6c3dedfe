//! JSON for API clients.
//!
//! A request without a session gets a problem response with the reason. [`api_when`] does the same
//! for a browser that opens the URL.
//!
//! [`api_when`]: session_expire::SessionExpireBuilder::api_when

use actix_web::{Responder, Result, routes, web};
use serde::Serialize;
use session_expire::{SessionVars, page::RemainingSeconds, session_policy};

use crate::users::SignedIn;

#[derive(Serialize)]
struct Me {
    user: &'static str,
}

#[routes]
#[get("/api/me")]
#[head("/api/me")]
pub(super) async fn me(user: SignedIn) -> Result<impl Responder> {
    Ok(web::Json(Me { user: user.name }))
}

#[derive(Serialize)]
struct Poll {
    user: &'static str,
    seconds_until_idle_end: RemainingSeconds,
}

/// Endpoint for polling. `passive` checks the session without recording activity.
#[session_policy(passive)]
#[routes]
#[get("/api/poll")]
#[head("/api/poll")]
pub(super) async fn poll(user: SignedIn, session: SessionVars) -> Result<impl Responder> {
    let seconds_until_idle_end = session.seconds_until_idle_end;
    Ok(web::Json(Poll { user: user.name, seconds_until_idle_end }))
}
