//! Session: its keys, its record, its data, and the verdict on whether it is active.

pub(crate) mod client;
pub(crate) mod data;
pub(crate) mod key;
pub(crate) mod limit;
pub(crate) mod login;
pub(crate) mod page_token;
pub(crate) mod reason;
pub(crate) mod record;
pub(crate) mod update;
pub(crate) mod user_id;
pub(crate) mod verdict;
