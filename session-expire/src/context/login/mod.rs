//! Logins of a request: reservation, takeover and adoption, the login page, and the security stamp.

pub(crate) mod adoption;
pub(super) mod page;
pub(crate) mod pending;
pub(crate) mod security_stamp;
mod takeover;
