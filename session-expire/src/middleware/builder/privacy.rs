//! Builder options for personal data.

use super::SessionExpireBuilder;
use crate::request::privacy::RecordedAddress;

impl SessionExpireBuilder {
    /// Sets which part of the client's address a session records, for the sessions page and the
    /// history. Default: the whole address.
    ///
    /// The option applies from the next login or activity of a session.
    pub fn record_address(mut self, address: RecordedAddress) -> Self {
        self.privacy.address = address;
        self
    }

    /// Sets whether a session records the device name of the client, such as `Firefox on Linux`.
    /// Default: `true`.
    pub fn record_device(mut self, record: bool) -> Self {
        self.privacy.records_device = record;
        self
    }

    /// Sets whether the log events of this crate name the user, the actor of an impersonation, and
    /// the address and device of the request. Default: `true`.
    ///
    /// If `false`, they identify a session only by its public id. The observer's events always name
    /// the user.
    pub fn log_users(mut self, log: bool) -> Self {
        self.privacy.logs_users = log;
        self
    }

    /// Sets whether session data and flash messages are encrypted in the registry. Default:
    /// `false`.
    ///
    /// Each session has a random data key (AES-256-GCM). It is stored encrypted under a key that is
    /// derived from the session key in the cookie. The Redis and SQLite registries store only a
    /// hash of the session key, so a copy of their storage reveals no values. The names of entries,
    /// the records (user id, times, client) and the lengths of values stay readable.
    ///
    /// The option applies to new logins. Data of an adopted session is stored as it is if it would
    /// be too large. Encrypted sessions stay readable after it is switched off.
    /// [`Registry::export`](crate::registry::Registry::export) returns encrypted values as they are
    /// stored. Messages of [`notify_others`](crate::Sessions::notify_others) are not encrypted.
    ///
    /// # Performance
    ///
    /// A request with session data decrypts all values, which takes about one microsecond per
    /// value. Each value grows by a third and 40 bytes, which count toward
    /// [`SessionData::MAX_BYTES`](crate::registry::SessionData::MAX_BYTES). Each session needs
    /// about 130 more bytes.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new()).seal_data(true).build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn seal_data(mut self, seal: bool) -> Self {
        self.privacy.seals_data = seal;
        self
    }
}
