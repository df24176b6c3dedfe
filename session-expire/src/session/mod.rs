//! Sessions: keys, record, data, session limit, and the verdict on whether a session is active.
//!
//! Nothing here does I/O or reads a clock: the caller passes the time. The registries store these
//! types and apply their rules. The middleware checks a loaded record under a policy.

pub(crate) mod client;
pub(crate) mod data;
pub(crate) mod device_name;
pub(crate) mod ended;
pub(crate) mod freshness;
pub(crate) mod key;
pub(crate) mod limit;
pub(crate) mod login;
pub(crate) mod page_token;
pub(crate) mod reason;
pub(crate) mod record;
pub(crate) mod seen_before;
pub(crate) mod signing_key;
pub(crate) mod update;
pub(crate) mod user_id;
pub(crate) mod verdict;
