//! Responses of the middleware: challenges, problems, cache headers and replacement.
//!
//! Settling and the endpoints use them.

pub(crate) mod caching;
pub(crate) mod challenge;
pub(crate) mod confirm;
pub(crate) mod problem;
pub(crate) mod problem_page;
pub(crate) mod refused_login;
pub(crate) mod replace;
pub(crate) mod sign_out;
