//! Flash messages, and the texts about ended sessions.
//!
//! The extractors show them, and the session record or the anonymous cookie stores them.

pub(crate) mod flash;
pub(crate) mod notice;
pub(crate) mod queue;
