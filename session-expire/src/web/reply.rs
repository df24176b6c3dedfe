//! What a visitor is answered who is not, or no longer, signed in.

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, EitherBody, MessageBody},
    dev::ServiceResponse,
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
};

use super::{
    caller::{Caller, Kind},
    problem::{Problem, page_instead_of},
};
use crate::{facts::Reason, registry::record::SessionRecord, time::Timestamp};

/// Says why a session is over, beside the body.
const REASON: HeaderName = HeaderName::from_static("x-session-expired");
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// Asks a caller to sign in: a page is sent to the login page, a program learns why.
pub(crate) fn challenge(
    caller: &Caller,
    login_url: &str,
    why: Option<(Reason, &str)>,
) -> HttpResponse {
    let target = login_target(login_url, caller.back.as_deref());
    let mut response = match caller.kind {
        Kind::Navigation => see_other(&target),
        Kind::Htmx | Kind::Program | Kind::Resource => unauthorized(&target, why),
    };
    let headers = response.headers_mut();
    if let (Kind::Htmx, Ok(target)) = (caller.kind, HeaderValue::from_str(&target)) {
        headers.insert(HX_REDIRECT, target);
    }
    if let Some((reason, _)) = why {
        headers.insert(REASON, HeaderValue::from_static(reason.as_str()));
    }
    response
}

/// Sends a browser to `target`, to be read there.
pub(crate) fn see_other(target: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, target))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// Sends htmx to `target`.
pub(crate) fn hx_redirect(target: &str) -> HttpResponse {
    HttpResponse::Ok().insert_header((HX_REDIRECT, target)).finish()
}

fn unauthorized(target: &str, why: Option<(Reason, &str)>) -> HttpResponse {
    let (r#type, title) = match why {
        Some(_) => ("urn:session-expire:session-expired", "Your session has ended"),
        None => ("urn:session-expire:signed-out", "You are not signed in"),
    };
    let detail = why.map_or("Sign in and try again.", |(_, text)| text);
    let reason = why.map(|(reason, _)| reason.as_str());
    Problem { r#type, title, status: 401, detail, reason, login_url: Some(target) }.into_response()
}

/// The login page with the way back, if there is one and it isn't the login page itself.
fn login_target(login_url: &str, back: Option<&str>) -> String {
    let Some(back) = back.filter(|back| *back != "/") else { return login_url.to_owned() };
    let (page, fragment) = login_url.split_at(login_url.find('#').unwrap_or(login_url.len()));
    let separator = if page.contains('?') { '&' } else { '?' };
    format!("{page}{separator}next={}{fragment}", percent_encode(back))
}

/// Encodes a text as the value of a query parameter; slashes stay readable.
fn percent_encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if plain(byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

fn who_sits(holders: &[SessionRecord]) -> String {
    let places: Vec<_> = holders.iter().map(place).collect();
    format!(
        "You are already signed in as often as you may be: {}. Sign out there first, then sign in again.",
        places.join("; ")
    )
}

/// A login for which there is no place. Says which sessions hold the places; an application shows its own
/// page with `SessionHandle::sign_in`.
pub(crate) fn too_many(holders: &[SessionRecord]) -> HttpResponse {
    let detail = who_sits(holders);
    Problem {
        r#type: "urn:session-expire:too-many-sessions",
        title: "Too many sessions",
        status: 409,
        detail: &detail,
        reason: None,
        login_url: None,
    }
    .into_response()
}

fn place(record: &SessionRecord) -> String {
    let time = |at: Timestamp| at.to_utc().format("%Y-%m-%d %H:%M UTC");
    let device =
        if record.client.device.is_empty() { "Unknown device" } else { &record.client.device };
    format!("{device} since {}, last used {}", time(record.logged_in_at), time(record.last_seen))
}

/// One of our problems as a page, where a person is going to read it.
pub(crate) fn for_people<B>(res: ServiceResponse<EitherBody<B>>) -> ServiceResponse<EitherBody<B>> {
    let status = res.status();
    if !status.is_client_error() && !status.is_server_error() {
        return res;
    }
    let caller = Caller::of(res.request());
    let page = match caller.kind {
        Kind::Navigation => page_instead_of(res.response(), caller.where_to_try_again()),
        Kind::Htmx | Kind::Program | Kind::Resource => None,
    };
    match page {
        Some(page) => replace(res, page),
        None => res,
    }
}

/// Puts `answer` in the place of what the handler answered, and keeps the handler's other headers:
/// cookies and CORS permissions still count.
pub(crate) fn replace<B>(
    res: ServiceResponse<EitherBody<B>>,
    answer: HttpResponse,
) -> ServiceResponse<EitherBody<B>> {
    let (req, old) = res.into_parts();
    let mut answer: HttpResponse<BoxBody> = answer;
    let ours: Vec<HeaderName> = answer.headers().keys().cloned().collect();
    for (name, value) in old.headers() {
        if !belongs_to_old(name) && !ours.contains(name) {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(req, answer.map_into_right_body())
}

/// What says something of the answer that is not given.
fn belongs_to_old(name: &HeaderName) -> bool {
    let of_body = name.as_str().starts_with("content-") && name != header::CONTENT_SECURITY_POLICY;
    // htmx follows its headers whatever the status.
    of_body
        || name.as_str().starts_with("hx-")
        || [
            HeaderName::from_static("clear-site-data"),
            header::ETAG,
            header::LAST_MODIFIED,
            header::LOCATION,
            header::REFRESH,
            header::TRANSFER_ENCODING,
            header::WWW_AUTHENTICATE,
        ]
        .contains(name)
}

/// Whether a handler has said nothing but a status. A 401 of another scheme (Basic, Bearer) says more.
pub(crate) fn is_bare<B: MessageBody>(res: &ServiceResponse<B>) -> bool {
    matches!(res.response().body().size(), BodySize::None | BodySize::Sized(0))
        && !res.headers().contains_key(header::WWW_AUTHENTICATE)
}

/// Keeps the pages of a signed-in person out of every cache, the browser's included, unless the
/// handler has decided otherwise.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CACHE_CONTROL) {
        never_cache(headers);
    }
}

/// Keeps an answer out of every cache.
pub(crate) fn never_cache(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_encoded_into_the_login_page() {
        for (login_url, back, target) in [
            ("/login", None, "/login"),
            ("/login", Some("/"), "/login"),
            ("/login", Some("/a?b=c&d=%20"), "/login?next=/a%3Fb%3Dc%26d%3D%2520"),
            ("/login?lang=de#form", Some("/a"), "/login?lang=de&next=/a#form"),
        ] {
            assert_eq!(login_target(login_url, back), target);
        }
    }
}
