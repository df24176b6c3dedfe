//! Passwords of the demo accounts, in memory of this process.
//!
//! Each account starts with the password that the login page shows. Changed passwords are lost when
//! the site stops.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web,
};
use session_expire::{PublicId, SessionHandle, error::StampError};

use crate::users::{SignedIn, USERS, User};

/// Security stamp of an unchanged password.
const FIRST_STAMP: &str = "first";

/// Changed passwords by user.
#[derive(Default)]
pub(crate) struct Passwords(Mutex<HashMap<&'static str, Changed>>);

/// Changed password. It is in plain text, because only this process reads it. A real site stores an
/// Argon2 hash, and uses it as the credential of the stamp.
struct Changed {
    password: String,
    /// Random text that changes with the password.
    stamp: String,
}

/// Account whose password was correct.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authenticated {
    pub(crate) user: &'static User,
    /// Security stamp of the password.
    pub(crate) stamp: String,
}

impl Passwords {
    /// Returns the account with this name and password.
    pub(crate) fn authenticate(&self, name: &str, password: &str) -> Option<Authenticated> {
        let user = USERS
            .iter()
            .fold(None, |found, user| if is_equal(user.name, name) { Some(user) } else { found });
        self.with(|changed| {
            // An unknown user takes as long as a wrong password.
            let account = user.unwrap_or(&USERS[0]);
            let current = changed.get(account.name);
            let expected = current.map_or(account.password, |changed| &changed.password);
            let stamp = current.map_or(FIRST_STAMP, |changed| &changed.stamp).to_owned();
            (is_equal(expected, password) & user.is_some())
                .then_some(Authenticated { user: account, stamp })
        })
    }

    /// Changes the password of `user`. `stamp` comes from [`Self::new_stamp`].
    pub(crate) fn change(&self, user: &'static User, password: String, stamp: String) {
        self.with(|passwords| passwords.insert(user.name, Changed { password, stamp }));
    }

    /// Returns a security stamp for a new password.
    pub(crate) fn new_stamp() -> String {
        PublicId::random().to_string()
    }

    /// Returns the security stamp of `user`.
    pub(crate) fn stamp(&self, user: &User) -> String {
        self.changed_stamp(user).unwrap_or_else(|| FIRST_STAMP.to_owned())
    }

    /// Returns the security stamp of `user` if the password was changed in this process.
    fn changed_stamp(&self, user: &User) -> Option<String> {
        self.with(|passwords| passwords.get(user.name).map(|changed| changed.stamp.clone()))
    }

    fn with<T>(&self, action: impl FnOnce(&mut HashMap<&'static str, Changed>) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Middleware that ends sessions that were started with an earlier password. The request then
/// continues with an ended session.
///
/// A site with a database of passwords instead passes the hashes to the builder's
/// [`stamp`](session_expire::SessionExpireBuilder::stamp). Here, only changed passwords are
/// checked, because other processes do not know them.
pub(crate) async fn end_outdated(
    user: Option<SignedIn>,
    handle: SessionHandle,
    passwords: web::Data<Passwords>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let stamp = user.and_then(|user| passwords.changed_stamp(&user));
    if let Some(stamp) = stamp
        && let Err(error @ StampError::Registry(_)) = handle.require_stamp(stamp).await
    {
        return Err(error.into());
    }
    // The handle holds the request. From here on, only the router may hold it.
    drop(handle);
    next.call(req).await
}

/// Compares texts of the same length in constant time.
fn is_equal(expected: &str, given: &str) -> bool {
    let differences = expected.bytes().zip(given.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    (differences == 0) & (expected.len() == given.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(passwords: &Passwords, name: &str, password: &str) -> Option<&'static str> {
        passwords.authenticate(name, password).map(|account| account.user.name)
    }

    #[test]
    fn wrong_password_authenticates_no_user() {
        let passwords = Passwords::default();
        assert_eq!(name(&passwords, "bob", "bob"), Some("bob"));
        for (user, password) in
            [("alice", "bob"), ("alice", ""), ("", ""), ("alice", "alicea"), ("carol", "alice")]
        {
            assert_eq!(name(&passwords, user, password), None, "{user}/{password}");
        }
    }

    #[test]
    fn changed_password_replaces_the_first_one_of_its_user() {
        let passwords = Passwords::default();
        passwords.change(&USERS[0], "new".to_owned(), Passwords::new_stamp());
        assert_eq!(name(&passwords, "alice", "new"), Some("alice"));
        assert_eq!(name(&passwords, "alice", "alice"), None);
        assert_eq!(name(&passwords, "bob", "new"), None);
    }

    #[test]
    fn each_change_has_its_own_stamp() {
        let passwords = Passwords::default();
        assert_eq!(passwords.stamp(&USERS[0]), passwords.stamp(&USERS[1]));
        let stamps = [(); 2].map(|()| Passwords::new_stamp());
        assert_ne!(stamps[0], stamps[1]);
        for stamp in stamps {
            passwords.change(&USERS[0], "new".to_owned(), stamp.clone());
            assert_eq!(passwords.authenticate("alice", "new").unwrap().stamp, stamp);
        }
    }
}
