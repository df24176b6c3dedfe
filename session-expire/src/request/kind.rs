//! Kinds of requests, and formats of responses to them.
//!
//! Both depend on the method and the headers only. Classification does not allocate. The settle
//! decision uses [`RequestKind`], and challenges use [`ResponseFormat`].

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{self, HeaderMap},
    },
};

use super::{
    header_names::{
        HX_REQUEST, PURPOSE, SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_PURPOSE, X_REQUESTED_WITH,
    },
    header_text,
};

/// Kind of a request. It determines whether the request counts as an act of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RequestKind {
    /// A browser loads a page or submits a form.
    Navigation,
    /// htmx sends a request.
    Htmx,
    /// A script or another API client sends a request.
    Api,
    /// A browser loads a part of a page: an image, a style, a script or a font.
    Subresource,
    /// A browser prefetches or prerenders a page that the user may never see.
    Speculative,
    /// An `OPTIONS` request, which browsers send before a cross-origin request.
    Preflight,
    /// A `HEAD` request.
    Head,
}

impl RequestKind {
    /// Classifies `req`. `is_api` is the result of the application's own predicate.
    pub(crate) fn classify(req: &HttpRequest, is_api: bool) -> Self {
        let headers = req.headers();
        if *req.method() == Method::OPTIONS {
            return Self::Preflight;
        }
        if is_speculative(headers) {
            return Self::Speculative;
        }
        if *req.method() == Method::HEAD {
            return Self::Head;
        }
        match Initiator::detect(headers) {
            Initiator::Subresource => Self::Subresource,
            _ if is_api => Self::Api,
            Initiator::Navigation => Self::Navigation,
            Initiator::Htmx => Self::Htmx,
            Initiator::Api => Self::Api,
        }
    }
}

/// Format of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ResponseFormat {
    /// A redirect to the login page.
    Page,
    /// Problem details with `HX-Redirect`.
    Htmx,
    /// Problem details.
    Api,
}

impl ResponseFormat {
    /// Classifies `req`. `is_api` is the result of the application's own predicate.
    pub(crate) fn classify(req: &HttpRequest, is_api: bool) -> Self {
        match Initiator::detect(req.headers()) {
            _ if is_api => Self::Api,
            Initiator::Navigation => Self::Page,
            Initiator::Htmx => Self::Htmx,
            Initiator::Subresource | Initiator::Api => Self::Api,
        }
    }
}

/// Initiator of a request, detected from its headers.
#[derive(Clone, Copy)]
enum Initiator {
    Navigation,
    Htmx,
    Api,
    Subresource,
}

impl Initiator {
    fn detect(headers: &HeaderMap) -> Self {
        if headers.contains_key(&HX_REQUEST) {
            return Self::Htmx;
        }
        match header_text(headers, &SEC_FETCH_MODE) {
            Some("navigate") => Self::Navigation,
            Some(_) => match header_text(headers, &SEC_FETCH_DEST) {
                // A script opens a WebSocket and can handle a 401.
                None | Some("empty" | "websocket") => Self::Api,
                Some(_) => Self::Subresource,
            },
            None => Self::detect_without_fetch_metadata(headers),
        }
    }

    /// Detects the initiator without `Sec-Fetch-*`. Old browsers do not send these headers, and
    /// others send them to trustworthy origins only.
    fn detect_without_fetch_metadata(headers: &HeaderMap) -> Self {
        if is_xml_http_request(headers) {
            Self::Api
        } else if accepts_html(headers) {
            Self::Navigation
        } else if prefers_subresource(headers) {
            Self::Subresource
        } else {
            Self::Api
        }
    }
}

/// Returns `true` for `Sec-Purpose: prefetch`, `prefetch;prerender` and the older `Purpose:
/// prefetch`.
fn is_speculative(headers: &HeaderMap) -> bool {
    [&SEC_PURPOSE, &PURPOSE]
        .into_iter()
        .filter_map(|name| header_text(headers, name))
        .flat_map(|value| value.split([';', ',']))
        .map(str::trim)
        .any(|word| word.eq_ignore_ascii_case("prefetch") || word.eq_ignore_ascii_case("prerender"))
}

/// Returns `true` for `X-Requested-With: XMLHttpRequest`. Android web views send the name of their
/// application in this header.
fn is_xml_http_request(headers: &HeaderMap) -> bool {
    header_text(headers, &X_REQUESTED_WITH)
        .is_some_and(|value| value.eq_ignore_ascii_case("XMLHttpRequest"))
}

fn accepts_html(headers: &HeaderMap) -> bool {
    const HTML: &[u8] = b"text/html";
    headers.get_all(header::ACCEPT).any(|value| {
        value.as_bytes().windows(HTML.len()).any(|part| part.eq_ignore_ascii_case(HTML))
    })
}

/// Returns `true` if the first media range of `Accept` is one that browsers send for a part of a
/// page. For scripts and most fonts they send `*/*`, which API clients send, too.
fn prefers_subresource(headers: &HeaderMap) -> bool {
    let accept = header_text(headers, header::ACCEPT).unwrap_or_default();
    let range = accept.split([',', ';']).next().unwrap_or_default().trim();
    let Some((main, sub)) = range.split_once('/') else { return false };
    let is_one_of = |text: &str, words: &[&str]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
    is_one_of(main, &["image", "font", "audio", "video"])
        || is_one_of(main, &["text"]) && is_one_of(sub, &["css", "javascript"])
        || is_one_of(main, &["application"])
            && is_one_of(sub, &["javascript", "x-javascript", "font-woff", "font-woff2"])
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    type Headers = [(&'static str, &'static str)];

    fn request(method: Method, headers: &Headers) -> HttpRequest {
        let request = TestRequest::with_uri("/page").method(method);
        headers.iter().fold(request, |req, header| req.insert_header(*header)).to_http_request()
    }

    const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
    const CORS: (&str, &str) = ("sec-fetch-mode", "cors");
    const NO_CORS: (&str, &str) = ("sec-fetch-mode", "no-cors");
    const HTML: (&str, &str) = ("accept", "text/html,*/*");

    #[test]
    fn kind_and_format_follow_headers() {
        use {RequestKind as K, ResponseFormat as F};
        for (headers, kind, format) in [
            (&[NAVIGATE] as &Headers, K::Navigation, F::Page),
            (&[NAVIGATE, ("sec-fetch-dest", "iframe")], K::Navigation, F::Page),
            (&[CORS, HTML], K::Api, F::Api),
            (&[CORS, ("sec-fetch-dest", "empty")], K::Api, F::Api),
            (&[NO_CORS], K::Api, F::Api),
            (&[NO_CORS, ("sec-fetch-dest", "image")], K::Subresource, F::Api),
            (&[NO_CORS, ("sec-fetch-dest", "script")], K::Subresource, F::Api),
            (&[CORS, ("sec-fetch-dest", "font")], K::Subresource, F::Api),
            (&[("sec-fetch-mode", "websocket"), ("sec-fetch-dest", "websocket")], K::Api, F::Api),
            (&[("hx-request", "true"), CORS], K::Htmx, F::Htmx),
            (&[("hx-request", "true")], K::Htmx, F::Htmx),
            (&[HTML], K::Navigation, F::Page),
            (&[("accept", "TEXT/HTML")], K::Navigation, F::Page),
            (&[HTML, ("x-requested-with", "XMLHttpRequest")], K::Api, F::Api),
            (&[HTML, ("x-requested-with", "xmlhttprequest")], K::Api, F::Api),
            (&[HTML, ("x-requested-with", "com.example.app")], K::Navigation, F::Page),
            (&[NAVIGATE, ("x-requested-with", "com.example.app")], K::Navigation, F::Page),
            (&[("accept", "image/avif,image/webp,*/*;q=0.8")], K::Subresource, F::Api),
            (&[("accept", "IMAGE/*")], K::Subresource, F::Api),
            (&[("accept", "text/css,*/*;q=0.1")], K::Subresource, F::Api),
            (&[("accept", "font/woff2")], K::Subresource, F::Api),
            (&[("accept", "application/font-woff2;q=1.0,*/*;q=0.8")], K::Subresource, F::Api),
            (&[("accept", "text/javascript")], K::Subresource, F::Api),
            (&[("accept", "image/png,text/html")], K::Navigation, F::Page),
            (&[("accept", "application/json")], K::Api, F::Api),
            (&[("accept", "application/json, image/png")], K::Api, F::Api),
            (&[("accept", "*/*")], K::Api, F::Api),
            (&[("accept", "")], K::Api, F::Api),
            (&[], K::Api, F::Api),
            (&[NAVIGATE, ("sec-purpose", "prefetch")], K::Speculative, F::Page),
            (&[NAVIGATE, ("sec-purpose", "prefetch;prerender")], K::Speculative, F::Page),
            (
                &[NAVIGATE, ("sec-purpose", "Prefetch; anonymous-client-ip")],
                K::Speculative,
                F::Page,
            ),
            (&[HTML, ("purpose", "prefetch")], K::Speculative, F::Page),
            (&[NAVIGATE, ("sec-purpose", "prefetching")], K::Navigation, F::Page),
        ] {
            let req = request(Method::GET, headers);
            assert_eq!(RequestKind::classify(&req, false), kind, "{headers:?}");
            assert_eq!(ResponseFormat::classify(&req, false), format, "{headers:?}");
        }
    }

    #[test]
    fn kind_follows_method() {
        for (method, headers, kind) in [
            (Method::OPTIONS, &[("access-control-request-method", "PUT")] as &Headers, "Preflight"),
            (Method::OPTIONS, &[NAVIGATE], "Preflight"),
            (Method::HEAD, &[NAVIGATE], "Head"),
            (Method::HEAD, &[], "Head"),
            (Method::HEAD, &[("sec-purpose", "prefetch")], "Speculative"),
            (Method::POST, &[NAVIGATE], "Navigation"),
            (Method::DELETE, &[CORS], "Api"),
        ] {
            let actual = RequestKind::classify(&request(method.clone(), headers), false);
            assert_eq!(format!("{actual:?}"), kind, "{method} {headers:?}");
        }
    }

    #[test]
    fn application_predicate_overrides_initiator_only() {
        for (method, headers, kind) in [
            (Method::GET, &[NAVIGATE] as &Headers, RequestKind::Api),
            (Method::GET, &[("hx-request", "true")], RequestKind::Api),
            (Method::GET, &[HTML], RequestKind::Api),
            (Method::GET, &[("accept", "image/*")], RequestKind::Subresource),
            (Method::GET, &[NAVIGATE, ("sec-purpose", "prefetch")], RequestKind::Speculative),
            (Method::HEAD, &[], RequestKind::Head),
            (Method::OPTIONS, &[], RequestKind::Preflight),
        ] {
            let req = request(method, headers);
            assert_eq!(RequestKind::classify(&req, true), kind, "{headers:?}");
            assert_eq!(ResponseFormat::classify(&req, true), ResponseFormat::Api, "{headers:?}");
        }
    }
}
