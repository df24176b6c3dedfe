//! Demo accounts.

use actix_identity::Identity;
use actix_web::{Error, error::ErrorUnauthorized};
use session_expire::{Limit, PolicyPatch};

/// Demo account.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    /// Name, which is also the user id of the session.
    pub name: &'static str,
    /// Password in plain text, because the sign-in page shows it. Other sites store an Argon2 hash.
    pub password: &'static str,
    /// `true` if the user may open the pages under `/admin/`.
    pub superuser: bool,
}

/// Demo accounts.
pub static USERS: [User; 3] = [
    User { name: "alice", password: "alice", superuser: false },
    User { name: "bob", password: "bob", superuser: false },
    User { name: "root", password: "root", superuser: true },
];

impl User {
    /// Returns the note after the name in a list.
    #[must_use]
    pub fn note(&self) -> &'static str {
        if self.superuser { " (superuser)" } else { "" }
    }

    /// Returns the name of the role.
    #[must_use]
    pub fn role(&self) -> &'static str {
        if self.superuser { "Superuser" } else { "Member" }
    }

    /// Returns the account with this name and password.
    pub(crate) fn authenticate(name: &str, password: &str) -> Option<&'static Self> {
        USERS.iter().fold(None, |found, user| {
            let matches = is_equal(user.name, name) & is_equal(user.password, password);
            if matches { Some(user) } else { found }
        })
    }

    /// Returns the account with this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        USERS.iter().find(|user| user.name == name)
    }

    /// Returns the user policy of the account with this name. Superusers have no session limit.
    pub(crate) fn policy_for(name: &str) -> PolicyPatch {
        match Self::find(name) {
            Some(user) if user.superuser => PolicyPatch::new().max_sessions(Limit::Off),
            _ => PolicyPatch::new(),
        }
    }

    /// Returns the account of a signed-in user.
    ///
    /// # Errors
    ///
    /// Returns an empty 401 if the account does not exist. session-expire turns it into a
    /// challenge.
    pub(crate) fn from_identity(identity: &Identity) -> Result<&'static Self, Error> {
        let id = identity.id()?;
        Self::find(&id).ok_or_else(|| ErrorUnauthorized(""))
    }

    /// Returns the account of a visitor, or `None` if the visitor is not signed in.
    pub(crate) fn from_visitor(identity: Option<&Identity>) -> Option<&'static Self> {
        identity.and_then(|identity| Self::from_identity(identity).ok())
    }
}

/// Compares texts of the same length in constant time.
fn is_equal(expected: &str, given: &str) -> bool {
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
