//! Replacement of a handler's response.
//!
//! Headers that describe only the replaced response are removed.

use actix_web::{
    HttpResponse,
    body::{BodySize, EitherBody, MessageBody},
    dev::ServiceResponse,
    http::{
        StatusCode,
        header::{self, HeaderName},
    },
};

use super::caching::is_cache_header;

/// Replaces the handler's response with `response`.
///
/// Cookies, CORS permissions and other headers of the handler are copied. Headers that describe
/// only its response are not.
pub(crate) fn replace<B>(
    res: ServiceResponse<EitherBody<B>>,
    mut response: HttpResponse,
) -> ServiceResponse<EitherBody<B>> {
    let (req, old) = res.into_parts();
    let own_names: Vec<HeaderName> = response.headers().keys().cloned().collect();
    for (name, value) in old.headers() {
        if !describes_response(name) && !own_names.contains(name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(req, response.map_into_right_body())
}

/// Returns `true` for headers that describe only one response.
fn describes_response(name: &HeaderName) -> bool {
    describes_content(name)
        || is_cache_header(name)
        || is_instruction(name.as_str())
        || [
            header::ACCEPT_RANGES,
            header::AGE,
            header::CONNECTION,
            header::ETAG,
            header::LAST_MODIFIED,
            header::LOCATION,
            header::REFRESH,
            header::TRAILER,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
            header::WWW_AUTHENTICATE,
        ]
        .contains(name)
}

/// Returns `true` for headers that describe the content. `Content-Security-Policy` does not.
fn describes_content(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("content-") && !name.starts_with("content-security-policy")
}

/// Returns `true` for headers that instruct a client or a proxy regardless of the status. For
/// example, a proxy sends the file that `X-Accel-Redirect` names.
fn is_instruction(name: &str) -> bool {
    ["hx-", "sec-websocket-", "x-accel-"].iter().any(|prefix| name.starts_with(prefix))
        || matches!(
            name,
            "clear-site-data" | "x-sendfile" | "x-lighttpd-send-file" | "x-session-expired"
        )
}

/// Returns `true` for a 401 without a body and without an authentication scheme, such as Basic.
pub(crate) fn is_empty_401<B: MessageBody>(res: &ServiceResponse<B>) -> bool {
    res.status() == StatusCode::UNAUTHORIZED
        && matches!(res.response().body().size(), BodySize::None | BodySize::Sized(0))
        && !res.headers().contains_key(header::WWW_AUTHENTICATE)
}

#[cfg(test)]
mod tests {
    use actix_web::{body::BoxBody, test::TestRequest};

    use super::*;

    #[test]
    fn replacement_removes_headers_of_old_response() {
        for (name, is_copied) in [
            ("set-cookie", true),
            ("access-control-allow-origin", true),
            ("vary", true),
            ("content-security-policy", true),
            ("content-security-policy-report-only", true),
            ("strict-transport-security", true),
            ("x-frame-options", true),
            ("x-request-id", true),
            ("content-length", false),
            ("content-encoding", false),
            ("content-disposition", false),
            ("content-range", false),
            ("cache-control", false),
            ("cdn-cache-control", false),
            ("expires", false),
            ("pragma", false),
            ("age", false),
            ("accept-ranges", false),
            ("etag", false),
            ("last-modified", false),
            ("location", false),
            ("refresh", false),
            ("transfer-encoding", false),
            ("trailer", false),
            ("upgrade", false),
            ("connection", false),
            ("sec-websocket-accept", false),
            ("www-authenticate", false),
            ("hx-redirect", false),
            ("hx-trigger", false),
            ("clear-site-data", false),
            ("x-accel-redirect", false),
            ("x-sendfile", false),
            ("x-session-expired", false),
        ] {
            let handler = HttpResponse::Ok().insert_header((name, "x")).body("secret");
            let replaced = replaced(handler, HttpResponse::Unauthorized().finish());
            assert_eq!(replaced.headers().contains_key(name), is_copied, "{name}");
            assert_eq!(replaced.status(), 401);
            assert_eq!(replaced.response().body().size(), BodySize::Sized(0));
        }
    }

    #[test]
    fn replacement_header_overrides_and_cookies_remain() {
        let handler = HttpResponse::Ok()
            .append_header(("set-cookie", "a=1"))
            .append_header(("set-cookie", "b=2"))
            .insert_header(("x-content-type-options", "old"))
            .finish();
        let response = HttpResponse::Ok().insert_header(("x-content-type-options", "new")).finish();
        let replaced = replaced(handler, response);
        let values = |name| replaced.headers().get_all(name).collect::<Vec<_>>();
        assert_eq!(values("set-cookie"), ["a=1", "b=2"]);
        assert_eq!(values("x-content-type-options"), ["new"]);
    }

    fn replaced(old: HttpResponse, new: HttpResponse) -> ServiceResponse<EitherBody<BoxBody>> {
        let req = TestRequest::default().to_http_request();
        replace(ServiceResponse::new(req, old.map_into_left_body()), new)
    }

    #[test]
    fn empty_401_has_no_body_and_no_scheme() {
        for (response, expected) in [
            (HttpResponse::Unauthorized().finish(), true),
            (HttpResponse::Unauthorized().body(""), true),
            (HttpResponse::Unauthorized().body("wrong password"), false),
            (
                HttpResponse::Unauthorized().insert_header(("www-authenticate", "Basic")).finish(),
                false,
            ),
            (HttpResponse::Forbidden().finish(), false),
            (HttpResponse::Ok().finish(), false),
        ] {
            let req = TestRequest::default().to_http_request();
            assert_eq!(is_empty_401(&ServiceResponse::new(req, response)), expected);
        }
    }
}
