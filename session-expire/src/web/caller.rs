//! Who is asking, and where they would want to return to.

use std::sync::Arc;

use actix_web::{
    HttpRequest,
    http::{Method, Uri, header::HeaderMap, uri::Authority},
};

use crate::{path::local_path, text::Languages};

/// What kind of answer the asking program can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A browser that shows the answer as a page: it can be sent elsewhere.
    Navigation,
    /// htmx, which follows `HX-Redirect`.
    Htmx,
    /// A script or a program: it wants a status and a reason.
    Program,
    /// A picture, a style, a font: part of a page, where nobody reads a reason.
    Resource,
}

/// The application's own rule for which requests are those of programs. It travels with the request.
#[derive(Clone)]
pub(crate) struct Programs(pub(crate) Arc<dyn Fn(&HttpRequest) -> bool + Send + Sync>);

/// What must be remembered of a request to answer it when it is gone.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) kind: Kind,
    /// The page to come back to, if it is safe to name one.
    pub(crate) back: Option<String>,
    pub(crate) languages: Languages,
    path: String,
    reads: bool,
}

impl Caller {
    pub(crate) fn of(req: &HttpRequest) -> Self {
        let (headers, reads) = (req.headers(), is_read(req.method()));
        let kind = match req.app_data::<Programs>() {
            Some(Programs(is_program)) if is_program(req) => Kind::Program,
            _ => kind(headers),
        };
        let languages = text(headers, "accept-language").map(Languages::parse).unwrap_or_default();
        Self { kind, back: back(req, kind), languages, path: req.path().to_owned(), reads }
    }

    /// Where to try again what has failed: whoever acted does that on the page they came from.
    pub(crate) fn where_to_try_again(&self) -> Option<&str> {
        if self.reads { Some("") } else { self.back.as_deref() }
    }

    /// Whether this is somebody at `login_url` anyway, who must not be sent there again.
    pub(crate) fn is_at(&self, login_url: &str) -> bool {
        self.path == path_of(login_url)
    }

    /// Whether this is somebody who acts (not only reads) at `url`.
    pub(crate) fn acts_at(&self, url: &str) -> bool {
        !self.reads && self.is_at(url)
    }
}

fn path_of(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn kind(headers: &HeaderMap) -> Kind {
    if headers.contains_key("hx-request") {
        return Kind::Htmx;
    }
    // Every browser since 2023 says so itself.
    match (text(headers, "sec-fetch-mode"), text(headers, "sec-fetch-dest")) {
        (Some("navigate"), _) => return Kind::Navigation,
        (Some(_), None | Some("empty")) => return Kind::Program,
        (Some(_), Some(_)) => return Kind::Resource,
        (None, _) => {}
    }
    let scripted = text(headers, "x-requested-with").is_some();
    let wants_page = text(headers, "accept").is_some_and(|accept| accept.contains("text/html"));
    if wants_page && !scripted { Kind::Navigation } else { Kind::Program }
}

/// A page that was read is read again. Whoever acted returns to the page they acted on, because following
/// a form's target by GET would show an error or act a second time; and so does whose page has sent a
/// script, because what that asked for is for no person to read.
fn back(req: &HttpRequest, kind: Kind) -> Option<String> {
    let page = match kind {
        Kind::Htmx => return same_site_path(req, text(req.headers(), "hx-current-url")?),
        Kind::Navigation if is_read(req.method()) => req.uri().path_and_query()?.as_str(),
        _ => return same_site_path(req, text(req.headers(), "referer")?),
    };
    local_path(page).map(str::to_owned)
}

/// The path of `url` if it lies on the host that this request was sent to.
fn same_site_path(req: &HttpRequest, url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let ours = is_ours(uri.scheme_str()?, uri.authority()?.as_str(), req);
    ours.then(|| uri.path_and_query())
        .flatten()
        .and_then(|page| local_path(page.as_str()))
        .map(str::to_owned)
}

/// The host that the client addressed. Forwarding headers are not believed: anyone can send them.
pub(crate) fn host(req: &HttpRequest) -> Option<&str> {
    text(req.headers(), "host").or_else(|| req.uri().authority().map(Authority::as_str))
}

/// Whether a request comes from a page of another origin, as far as the browser tells
/// (`Sec-Fetch-Site`, `Origin`): for forms that change something, the login above all, which no cookie
/// protects. Programs that are no browsers send neither header, and carry nobody's cookies by accident.
///
/// ```
/// use actix_web::test::TestRequest;
/// use session_expire::is_cross_site;
/// let post = TestRequest::post().insert_header(("host", "bank.example"));
/// let from_elsewhere = post.insert_header(("origin", "https://evil.example")).to_http_request();
/// assert!(is_cross_site(&from_elsewhere));
/// ```
#[must_use]
pub fn is_cross_site(req: &HttpRequest) -> bool {
    let headers = req.headers();
    if let Some(site) = text(headers, "sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    match headers.get("origin") {
        None => false,
        Some(origin) => {
            let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            !origin.is_some_and(|(scheme, authority)| is_ours(scheme, authority, req))
        }
    }
}

/// Whether `authority` is the one that the client addressed. Some proxies write the port that goes
/// without saying.
fn is_ours(scheme: &str, authority: &str, req: &HttpRequest) -> bool {
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let bare =
        |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    host(req).is_some_and(|host| bare(host) == bare(authority))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn request(headers: &[(&'static str, &'static str)]) -> TestRequest {
        let base = TestRequest::with_uri("/page?x=1").insert_header(("host", "site.example"));
        headers.iter().fold(base, |req, header| req.insert_header(*header))
    }

    #[test]
    fn every_kind_of_caller_is_recognised() {
        for (headers, expected) in [
            (vec![("sec-fetch-mode", "navigate")], Kind::Navigation),
            (vec![("sec-fetch-mode", "cors"), ("accept", "text/html")], Kind::Program),
            (vec![("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")], Kind::Program),
            (vec![("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], Kind::Resource),
            (vec![("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], Kind::Navigation),
            (vec![("accept", "text/html,*/*")], Kind::Navigation),
            (vec![("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], Kind::Program),
            (vec![("accept", "application/json")], Kind::Program),
            (vec![("accept", "*/*")], Kind::Program),
            (vec![], Kind::Program),
            (vec![("hx-request", "true"), ("sec-fetch-mode", "cors")], Kind::Htmx),
        ] {
            assert_eq!(
                Caller::of(&request(&headers).to_http_request()).kind,
                expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn the_way_back_is_a_page_of_this_site_that_can_be_read() {
        let post =
            |headers| Caller::of(&request(headers).method(Method::POST).to_http_request()).back;
        let get = |headers: &[_]| Caller::of(&request(headers).to_http_request()).back;
        let (page, script) = (("sec-fetch-mode", "navigate"), ("sec-fetch-mode", "cors"));
        let referer = ("referer", "https://site.example/list");
        assert_eq!(get(&[page, referer]).as_deref(), Some("/page?x=1"));
        assert_eq!(get(&[script, referer]).as_deref(), Some("/list"));
        assert_eq!(get(&[script]), None);
        assert_eq!(post(&[]), None);
        assert_eq!(
            post(&[("referer", "https://site.example/form?y=2")]).as_deref(),
            Some("/form?y=2")
        );
        assert_eq!(post(&[("referer", "https://evil.example/form")]), None);
        assert_eq!(post(&[("referer", "https://site.example//evil.example")]), None);
        assert_eq!(post(&[("referer", "https://site.example@evil.example/")]), None);
        let htmx = [("hx-request", "true"), ("hx-current-url", "https://site.example/list")];
        assert_eq!(post(&htmx).as_deref(), Some("/list"));
    }

    #[test]
    fn another_origin_is_noticed() {
        for (headers, expected) in [
            (vec![], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "same-site")], true),
            (vec![("sec-fetch-site", "cross-site")], true),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], false),
            (vec![("origin", "https://site.example")], false),
            (vec![("origin", "https://site.example.evil.example")], true),
            (vec![("origin", "https://sub.site.example")], true),
            (vec![("origin", "null")], true),
            (vec![("origin", "https://SITE.example:443")], false),
            (vec![("origin", "http://site.example:80")], false),
            (vec![("origin", "http://site.example:443")], true),
            (vec![("host", "Site.example:443"), ("origin", "https://site.example")], false),
            (vec![("host", "[::1]:8080"), ("origin", "http://[::1]:8080")], false),
            (vec![("host", "[::1]:8080"), ("origin", "http://[::1]")], true),
            (vec![("origin", "")], true),
        ] {
            assert_eq!(
                is_cross_site(&request(&headers).to_http_request()),
                expected,
                "{headers:?}"
            );
        }
    }
}
