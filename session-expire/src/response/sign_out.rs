//! Response to a sign-out: `Clear-Site-Data`, and the application's own changes.
//!
//! The middleware applies both once, to the response to a request that has signed its user out.

use std::{fmt, sync::Arc};

use actix_web::{
    HttpRequest,
    cookie::Cookie,
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Function that changes the response to a sign-out.
pub(crate) type SignOutFn = Arc<dyn Fn(&mut SignOut<'_>) + Send + Sync>;

/// Data that a browser deletes after a sign-out; see
/// [`clear_site_data`](crate::SessionExpireBuilder::clear_site_data).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SiteData {
    /// Responses in the browser's cache. Chrome may delay the response by many seconds.
    Cache,
    /// All cookies of the registrable domain. They include the cookies of other applications, and
    /// the cookie with the message about the sign-out.
    Cookies,
    /// Storage of the origin: `localStorage`, `sessionStorage`, IndexedDB, service workers.
    Storage,
}

impl SiteData {
    const fn directive(self) -> &'static str {
        match self {
            Self::Cache => "\"cache\"",
            Self::Cookies => "\"cookies\"",
            Self::Storage => "\"storage\"",
        }
    }
}

/// Returns the value of `Clear-Site-Data`, or `None` for an empty list.
pub(crate) fn clear_site_data(data: impl IntoIterator<Item = SiteData>) -> Option<HeaderValue> {
    let mut directives = vec![];
    for directive in data.into_iter().map(SiteData::directive) {
        if !directives.contains(&directive) {
            directives.push(directive);
        }
    }
    HeaderValue::from_str(&directives.join(", ")).ok().filter(|value| !value.is_empty())
}

/// Request that has signed its user out, and the headers of its response; see
/// [`on_sign_out`](crate::SessionExpireBuilder::on_sign_out).
pub struct SignOut<'a> {
    request: &'a HttpRequest,
    headers: &'a mut HeaderMap,
}

impl SignOut<'_> {
    /// Returns the request.
    #[must_use]
    pub fn request(&self) -> &HttpRequest {
        self.request
    }

    /// Returns the headers of the response.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers
    }

    /// Deletes a cookie of the application. Name, domain and path must be the same as when the
    /// cookie was set. A cookie with the prefix `__Host-` or `__Secure-` must also be `Secure`.
    pub fn remove_cookie(&mut self, cookie: Cookie<'_>) {
        let mut removal = cookie.into_owned();
        removal.make_removal();
        match HeaderValue::from_str(&removal.to_string()) {
            Ok(value) => self.headers.append(header::SET_COOKIE, value),
            Err(error) => tracing::error!(
                event = "sys_invalid_cookie",
                cookie = removal.name(),
                %error,
                "cookie not removed"
            ),
        }
    }
}

impl fmt::Debug for SignOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignOut").field("path", &self.request.path()).finish_non_exhaustive()
    }
}

/// Options for the response to a sign-out.
#[derive(Clone, Default)]
pub(crate) struct SignOutConfig {
    pub(crate) hook: Option<SignOutFn>,
    pub(crate) clear_site_data: Option<HeaderValue>,
}

impl SignOutConfig {
    /// Changes the response to a sign-out. A `Clear-Site-Data` of the handler is kept.
    pub(crate) fn apply(&self, request: &HttpRequest, headers: &mut HeaderMap) {
        if let Some(value) = &self.clear_site_data
            && !headers.contains_key(CLEAR_SITE_DATA)
        {
            headers.insert(CLEAR_SITE_DATA, value.clone());
        }
        if let Some(hook) = &self.hook {
            hook(&mut SignOut { request, headers });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn site_data_is_a_list_of_quoted_directives() {
        use SiteData::{Cache, Cookies, Storage};
        for (data, expected) in [
            (&[] as &[_], None),
            (&[Storage], Some("\"storage\"")),
            (&[Storage, Cache, Storage, Cookies], Some("\"storage\", \"cache\", \"cookies\"")),
        ] {
            let value = clear_site_data(data.iter().copied());
            assert_eq!(value.as_ref().map(|value| value.to_str().unwrap()), expected);
        }
    }
}
