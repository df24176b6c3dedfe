//! Stored forms: records, session data, names, and arguments of scripts.

pub(crate) mod as_string;
pub(crate) mod data;
pub(crate) mod names;
pub(crate) mod record;
pub(crate) mod script_args;
