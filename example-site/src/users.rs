//! Demo accounts.

use std::{
    future::{Ready, ready},
    ops::Deref,
    sync::Arc,
};

use actix_identity::Identity;
use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, error::ErrorUnauthorized};
use session_expire::{Limit, PolicyPatch, SessionHandle};

use crate::catalog::text;

/// Demo account.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    /// Name, which is also the user id of the session.
    pub name: &'static str,
    /// Initial password in plain text, because the login page shows it.
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

    /// Returns `true` if superusers may impersonate this user.
    #[must_use]
    pub fn may_be_impersonated(&self) -> bool {
        !self.superuser
    }

    /// Returns the name of the role.
    #[must_use]
    pub fn role(&self) -> &'static str {
        if self.superuser { text("Superuser") } else { text("Member") }
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
}

/// Signed-in user of a request. Handlers extract it; without a session, they respond with a
/// challenge.
pub(crate) struct SignedIn {
    account: &'static User,
    actor: Option<Arc<str>>,
}

impl SignedIn {
    /// Returns the account.
    pub(crate) fn account(&self) -> &'static User {
        self.account
    }

    /// Returns the name of the superuser who impersonates this user, if any.
    pub(crate) fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    fn from_parts(identity: &Identity, handle: &SessionHandle) -> Result<Self, Error> {
        let account = User::find(&identity.id()?);
        // An empty 401 becomes a challenge.
        let account = account.ok_or_else(|| ErrorUnauthorized(""))?;
        Ok(Self { account, actor: handle.actor() })
    }
}

impl Deref for SignedIn {
    type Target = User;

    fn deref(&self) -> &User {
        self.account
    }
}

impl FromRequest for SignedIn {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let identity = Identity::from_request(req, payload).into_inner();
        let handle = SessionHandle::from_request(req, payload).into_inner();
        ready(identity.and_then(|identity| Self::from_parts(&identity, &handle?)))
    }
}
