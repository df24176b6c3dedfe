//! The three people who can sign in.

use actix_identity::Identity;
use actix_web::{Error, error::ErrorUnauthorized};
use session_expire::{Limit, PolicyPatch};

/// An account of the demo.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    /// The name, which is also the id in the session.
    pub name: &'static str,
    /// The password, in the open for everyone to try. A real site keeps an argon2 hash.
    pub password: &'static str,
    /// Whether the pages under `/admin/` are theirs.
    pub superuser: bool,
}

/// The accounts.
pub static USERS: [User; 3] = [
    User { name: "alice", password: "alice", superuser: false },
    User { name: "bob", password: "bob", superuser: false },
    User { name: "root", password: "root", superuser: true },
];

impl User {
    /// What to say behind the account in a list.
    #[must_use]
    pub fn note(&self) -> &'static str {
        if self.superuser { " (superuser)" } else { "" }
    }

    /// Their role, in words.
    #[must_use]
    pub fn role(&self) -> &'static str {
        if self.superuser { "Superuser" } else { "Member" }
    }

    /// The account that name and password belong to.
    pub(crate) fn authenticate(name: &str, password: &str) -> Option<&'static Self> {
        USERS.iter().fold(None, |found, user| {
            let matches = same(user.name, name) & same(user.password, password);
            if matches { Some(user) } else { found }
        })
    }

    /// The account of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        USERS.iter().find(|user| user.name == name)
    }

    /// What this account has of its own: superusers may be signed in as often as they like.
    pub(crate) fn own_policy(&self) -> PolicyPatch {
        let patch = PolicyPatch::new();
        if self.superuser { patch.max_sessions(Limit::Off) } else { patch }
    }

    /// The account of somebody who is signed in.
    pub(crate) fn of(identity: &Identity) -> Result<&'static Self, Error> {
        let id = identity.id()?;
        Self::named(&id).ok_or_else(|| ErrorUnauthorized(""))
    }

    /// The account of a visitor, if they are signed in.
    pub(crate) fn of_visitor(identity: Option<&Identity>) -> Option<&'static Self> {
        identity.and_then(|identity| Self::of(identity).ok())
    }
}

/// Compares without stopping at the first difference.
fn same(expected: &str, given: &str) -> bool {
    let differences = expected.bytes().zip(given.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    (differences == 0) & (expected.len() == given.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_opens_an_account() {
        assert_eq!(User::authenticate("alice", "alice"), Some(&USERS[0]));
        for (name, password) in [("alice", "bob"), ("alice", ""), ("", ""), ("alice", "alicea")] {
            assert_eq!(User::authenticate(name, password), None, "{name}/{password}");
        }
    }
}
