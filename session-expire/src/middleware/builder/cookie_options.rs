//! Builder options for cookies and for the migration from actix-session.
//!
//! `build` validates the attributes of the cookies.

use std::time::Duration;

use actix_session::storage::SessionStore;
use actix_web::cookie::{Key, SameSite};

use super::SessionExpireBuilder;
use crate::{migration::Migration, time::Timestamp};

impl SessionExpireBuilder {
    /// Sets the key that encrypts the anonymous cookie. Default: a random key.
    ///
    /// All processes of a site need the same key. With a random key, a restart discards the entries
    /// of anonymous visitors. It signs no user out, because the session cookie is not encrypted.
    pub fn cookie_key(mut self, key: Key) -> Self {
        self.cookies.keys.insert(0, key);
        self
    }

    /// Adds keys that decrypt anonymous cookies but do not encrypt new ones. Default: none.
    pub fn previous_cookie_keys(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
        self.cookies.keys.extend(keys);
        self
    }

    /// Sets whether browsers send the cookies over plain HTTP, too. Default: `false`.
    ///
    /// # Security
    ///
    /// Use it for development only. Over plain HTTP, anyone on the network can read the session
    /// key.
    pub fn plain_http(mut self, allowed: bool) -> Self {
        self.cookies.secure = !allowed;
        self
    }

    /// Sets the names of the session cookie and of the anonymous cookie. Default: `__Host-id` and
    /// `__Host-anonymous`. With a domain, another path or plain HTTP, the defaults have no prefix.
    pub fn cookie_names(mut self, session: &str, anonymous: &str) -> Self {
        self.cookies.names = Some((session.to_owned(), anonymous.to_owned()));
        self
    }

    /// Sets the `Domain` of the cookies. Default: none; browsers send them to this host only.
    pub fn cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.cookies.domain = Some(domain.into());
        self
    }

    /// Sets the `Path` of the cookies. Default: `/`.
    pub fn cookie_path(mut self, path: impl Into<String>) -> Self {
        self.cookies.path = path.into();
        self
    }

    /// Sets `SameSite` of the cookies. Default: `Lax`.
    pub fn cookie_same_site(mut self, same_site: SameSite) -> Self {
        self.cookies.same_site = same_site;
        self
    }

    /// Sets how long an anonymous cookie is accepted after it was issued. Default: 30 days.
    pub fn anonymous_max_age(mut self, max_age: Duration) -> Self {
        self.cookies.anonymous_max_age = max_age;
        self
    }

    /// Adopts sessions of actix-session's `SessionMiddleware` until `until`. Default: none; users
    /// with an old session have to sign in again.
    ///
    /// `cookie`, `key` and `store` are the values that `SessionMiddleware` was built with. A
    /// request with an old cookie and without a session cookie of this crate continues the old
    /// session.
    ///
    /// # Security
    ///
    /// Until `until`, a copy of an old cookie that was never adopted can still be adopted. Do not
    /// move `until` to a later time.
    pub fn migrate_from<S: SessionStore + Send + Sync + 'static>(
        mut self,
        cookie: &str,
        key: Key,
        store: S,
        until: impl Into<Timestamp>,
    ) -> Self {
        self.migration = Some(Migration::new(cookie, key, store, until.into()));
        self
    }

    /// Sets `Path` and `Domain` of the old cookie. Default: `/` and none. Call it after
    /// [`migrate_from`](Self::migrate_from).
    ///
    /// Browsers delete the old cookie only if both are correct.
    pub fn migrated_cookie_at(mut self, path: &str, domain: Option<&str>) -> Self {
        self.migration = self.migration.map(|migration| {
            let migration = migration.path(path);
            match domain {
                Some(domain) => migration.domain(domain),
                None => migration,
            }
        });
        self
    }
}
