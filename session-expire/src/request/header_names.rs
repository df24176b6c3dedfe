//! Header names without a constant in the `http` crate.
//!
//! A look-up by text would parse the name each time, which costs more than the look-up itself.

use actix_web::http::header::HeaderName;

pub(crate) static HX_CURRENT_URL: HeaderName = HeaderName::from_static("hx-current-url");
pub(crate) static HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
pub(crate) static PURPOSE: HeaderName = HeaderName::from_static("purpose");
pub(crate) static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(crate) static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(crate) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub(crate) static SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
pub(crate) static X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
pub(crate) static X_SESSION_PASSIVE: HeaderName = HeaderName::from_static("x-session-passive");
