//! Answers for programs. An anonymous request gets a 401, which session-expire turns into a problem
//! report that says why; also for a browser that opens the address ([`Builder::program_when`]).
//!
//! [`Builder::program_when`]: session_expire::Builder::program_when

use actix_identity::Identity;
use actix_web::{Responder, Result, get, web};
use serde::Serialize;
use session_expire::{Seconds, SessionVars, session_policy};

use crate::users::User;

#[derive(Serialize)]
struct Me {
    user: &'static str,
}

#[get("/api/me")]
pub(super) async fn me(user: Identity) -> Result<impl Responder> {
    Ok(web::Json(Me { user: User::of(&user)?.name }))
}

#[derive(Serialize)]
struct News {
    user: &'static str,
    seconds_until_idle_end: Seconds,
}

/// What a page asks by itself every few seconds: judged, but no sign that somebody is there.
#[session_policy(passive)]
#[get("/api/poll")]
pub(super) async fn poll(user: Identity, session: SessionVars) -> Result<impl Responder> {
    let seconds_until_idle_end = session.seconds_until_idle_end;
    Ok(web::Json(News { user: User::of(&user)?.name, seconds_until_idle_end }))
}
