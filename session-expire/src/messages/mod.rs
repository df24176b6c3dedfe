//! Flash messages and the texts that users read.

pub(crate) mod flash;
pub(crate) mod notice;
pub(crate) mod queue;
