//! Options of the builder for cookies, ours and those of another session layer.

use std::time::Duration;

use actix_session::storage::SessionStore;
use actix_web::cookie::{Key, SameSite};

use super::builder::SessionExpireBuilder;
use crate::{migration::Migration, time::Timestamp};

impl SessionExpireBuilder {
    /// Sets the key that encrypts the anonymous cookie. Default: a random one, so that a restart loses
    /// what anonymous visitors have. A lost key signs no user out: the session cookie is not encrypted.
    ///
    /// Several processes of one site need the same key.
    pub fn cookie_key(mut self, key: Key) -> Self {
        self.cookies.keys.insert(0, key);
        self
    }

    /// Adds former keys, which decrypt anonymous cookies but do not encrypt new ones.
    pub fn previous_cookie_keys(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
        self.cookies.keys.extend(keys);
        self
    }

    /// Sends cookies over plain HTTP, too. Default: `false`.
    ///
    /// # Security
    ///
    /// For development only: anyone on the network can read the session key then.
    pub fn plain_http(mut self, allowed: bool) -> Self {
        self.cookies.secure = !allowed;
        self
    }

    /// Sets the names of the session cookie and of the anonymous cookie. Default: `__Host-id` and
    /// `__Host-anonymous`; without the prefix if a domain, another path or plain HTTP is set.
    pub fn cookie_names(mut self, session: &str, anonymous: &str) -> Self {
        self.cookies.names = Some((session.to_owned(), anonymous.to_owned()));
        self
    }

    /// Sets the `Domain` of the cookies. Default: none, which means this host only.
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

    /// Adopts sessions of actix-session's `SessionMiddleware` until `until`: a request that carries
    /// its cookie, and none of ours, continues its session.
    ///
    /// `cookie`, `key` and `store` are what that middleware was built with. Default: old sessions
    /// have to sign in again.
    ///
    /// # Security
    ///
    /// Until `until`, a copy of an old cookie that was never adopted can still be adopted. `until` must
    /// never be moved later.
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

    /// Sets `Path` and `Domain` of the cookie that [`migrate_from`](Self::migrate_from) names, so that
    /// it can be deleted. Default: `/` and none.
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
