//! Extractors for handlers.

pub(crate) mod flash_messages;
pub(crate) mod session_handle;
pub(crate) mod session_vars;
pub(crate) mod sign_in;
