//! The cookie of those who want to be kept signed in.

use actix_web::{
    FromRequest, HttpRequest,
    body::MessageBody,
    cookie::time,
    dev::{Payload, ServiceResponse},
    http::header::{HeaderValue, SET_COOKIE},
};
use session_expire::SessionHandle;

/// The name that actix-session gives the cookie.
const COOKIE: &str = "id=";

/// Lets the cookie of whoever wants to be kept signed in outlive the browser. Everybody else's goes
/// with it: actix-session knows one kind for all, and this is the one where nobody chose.
pub(crate) fn outlive_browser<B: MessageBody>(
    mut res: ServiceResponse<B>,
    ttl: time::Duration,
) -> ServiceResponse<B> {
    if !is_kept(res.request()) {
        return res;
    }
    let cookies: Vec<_> = res.headers_mut().remove(SET_COOKIE).collect();
    for cookie in cookies {
        let cookie = lasting(&cookie, ttl).unwrap_or(cookie);
        res.headers_mut().append(SET_COOKIE, cookie);
    }
    res
}

fn is_kept(req: &HttpRequest) -> bool {
    let handle = SessionHandle::from_request(req, &mut Payload::None).into_inner();
    handle.is_ok_and(|handle| handle.choice().is_some())
}

/// The session's cookie with a `Max-Age`; not one that is being removed, which has its own.
fn lasting(cookie: &HeaderValue, ttl: time::Duration) -> Option<HeaderValue> {
    let text = cookie.to_str().ok()?;
    let is_session = text.starts_with(COOKIE) && !text.contains("Max-Age");
    is_session.then(|| format!("{text}; Max-Age={}", ttl.whole_seconds()).parse().ok())?
}
