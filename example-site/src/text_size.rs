//! Text size: a preference in a cookie of the site.
//!
//! The settings page sets the cookie. A sign-out deletes it, because users may share a computer.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
};
use serde::Deserialize;
use session_expire::sign_out::SignOut;

const COOKIE: &str = "text_size";
const LARGE: &str = "large";

/// Size of the text on all pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TextSize {
    #[default]
    Normal,
    Large,
}

impl TextSize {
    /// Returns the size that was chosen in this browser.
    pub(crate) fn new(req: &HttpRequest) -> Self {
        match req.cookie(COOKIE) {
            Some(cookie) if cookie.value() == LARGE => Self::Large,
            _ => Self::Normal,
        }
    }

    /// Returns `true` for large text.
    pub(crate) fn is_large(self) -> bool {
        self == Self::Large
    }

    /// Returns the cookie that stores the size. For the default size, the cookie is a deletion.
    pub(crate) fn to_cookie(self) -> Cookie<'static> {
        let cookie = Cookie::build(COOKIE, LARGE).path("/").http_only(true);
        let mut cookie = cookie.same_site(SameSite::Lax).max_age(Duration::days(365)).finish();
        if !self.is_large() {
            cookie.make_removal();
        }
        cookie
    }

    /// Deletes the cookie in the response to a sign-out.
    pub(crate) fn delete(sign_out: &mut SignOut<'_>) {
        if sign_out.request().cookie(COOKIE).is_some() {
            sign_out.remove_cookie(Self::Large.to_cookie());
        }
    }
}
