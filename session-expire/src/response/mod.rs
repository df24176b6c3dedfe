//! Responses that the middleware writes itself, and its changes to those of handlers.

pub(crate) mod caching;
pub(crate) mod challenge;
pub(crate) mod problem;
pub(crate) mod problem_page;
pub(crate) mod replace;
