//! Accounts of the demo.

use actix_identity::Identity;
use actix_web::{Error, error::ErrorUnauthorized};
use session_expire::{Limit, PolicyPatch};

/// One account.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    /// Name, and user id of the session.
    pub name: &'static str,
    /// Password in plain text, for visitors to try. A real site stores an argon2 hash.
    pub password: &'static str,
    /// `true` if the user may open the pages under `/admin/`.
    pub superuser: bool,
}

/// The accounts.
pub static USERS: [User; 3] = [
    User { name: "alice", password: "alice", superuser: false },
    User { name: "bob", password: "bob", superuser: false },
    User { name: "root", password: "root", superuser: true },
];

impl User {
    /// Returns the note behind the name in a list.
    #[must_use]
    pub fn note(&self) -> &'static str {
        if self.superuser { " (superuser)" } else { "" }
    }

    /// Returns the role in words.
    #[must_use]
    pub fn role(&self) -> &'static str {
        if self.superuser { "Superuser" } else { "Member" }
    }

    /// Returns the account with this name and password.
    pub(crate) fn authenticate(name: &str, password: &str) -> Option<&'static Self> {
        USERS.iter().fold(None, |found, user| {
            let matches = is_same(user.name, name) & is_same(user.password, password);
            if matches { Some(user) } else { found }
        })
    }

    /// Returns the account with this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        USERS.iter().find(|user| user.name == name)
    }

    /// Returns the user policy: superusers have any number of sessions.
    pub(crate) fn policy(&self) -> PolicyPatch {
        let patch = PolicyPatch::new();
        if self.superuser { patch.max_sessions(Limit::Off) } else { patch }
    }

    /// Returns the account of a signed-in user.
    ///
    /// # Errors
    ///
    /// Returns an empty 401, which session-expire challenges, if the account does not exist.
    pub(crate) fn of(identity: &Identity) -> Result<&'static Self, Error> {
        let id = identity.id()?;
        Self::find(&id).ok_or_else(|| ErrorUnauthorized(""))
    }

    /// Returns the account of a visitor who may be signed in.
    pub(crate) fn of_visitor(identity: Option<&Identity>) -> Option<&'static Self> {
        identity.and_then(|identity| Self::of(identity).ok())
    }
}

/// Compares in constant time for texts of one length.
fn is_same(expected: &str, given: &str) -> bool {
    let differences = expected.bytes().zip(given.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    (differences == 0) & (expected.len() == given.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_password_authenticates_no_user() {
        assert_eq!(User::authenticate("alice", "alice"), Some(&USERS[0]));
        for (name, password) in [("alice", "bob"), ("alice", ""), ("", ""), ("alice", "alicea")] {
            assert_eq!(User::authenticate(name, password), None, "{name}/{password}");
        }
    }
}
