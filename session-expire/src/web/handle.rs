//! What a handler can ask of its session, and do with it.

use std::{
    fmt,
    future::{Ready, ready},
    rc::Rc,
    sync::Arc,
};

use actix_identity::Identity;
use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, dev::Payload,
};

use super::{
    gate::Gate,
    login::{Entry, register},
    problem, reply,
};
use crate::{
    error::RegistryError,
    judge::Verdict,
    policy::{Policy, PolicyPatch},
    registry::{
        key::PublicId,
        record::{Change, Record},
    },
    sessions::Sessions,
    time::Timestamp,
};

/// The session of this request, for handlers that want to know more than who is signed in.
///
/// Extracting it fails with 500 where [`SessionExpire`](crate::SessionExpire) is missing.
pub struct SessionHandle {
    gate: Rc<Gate>,
    req: HttpRequest,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// All places are taken: by these sessions, oldest login first.
    #[error("the user is already signed in {} times, and may not be more often", .0.len())]
    Refused(Vec<Record>),
    /// The registry could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The session could not be written.
    #[error("the session could not be written")]
    Session(#[source] actix_identity::error::LoginError),
}

impl ResponseError for SignInError {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Refused(holders) => reply::too_many(holders),
            Self::Registry(_) => problem::unavailable(),
            Self::Session(_) => HttpResponse::InternalServerError().finish(),
        }
    }
}

impl SessionHandle {
    /// How the session was judged under the policy of this handler. An anonymous visitor is also
    /// whoever cannot be judged because the registry is away.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.gate.verdict()
    }

    /// The policy of this handler, all patches applied.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.gate.policy()
    }

    /// The public id of the login that this request presented, ended or not.
    #[must_use]
    pub fn id(&self) -> Option<PublicId> {
        self.gate.login().map(|(_, record)| record.id)
    }

    /// What was [chosen](Self::sign_in_with) at the login that lives, be it of this very request: for a
    /// cookie that is to outlive the browser, say. `None` also for whoever is signing out.
    #[must_use]
    pub fn choice(&self) -> Option<PolicyPatch> {
        if self.gate.is_leaving() {
            return None;
        }
        self.gate.registered_choice().or_else(|| match self.gate.verdict() {
            Verdict::Active(_) => self.gate.login()?.1.choice.as_deref().cloned(),
            Verdict::Anonymous | Verdict::Expired(_) => None,
        })
    }

    /// The time of this request, by the [clock](crate::Builder::clock) that sessions are judged by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.gate.now
    }

    /// Signs `user` in, like `Identity::login`, and says at once what became of it: where logins can be
    /// refused (`overflow = "refuse"`), a login page wants to say which sessions hold the places.
    ///
    /// # Errors
    ///
    /// [`SignInError::Refused`], or that the registry or the session failed; nobody is signed in then.
    pub async fn sign_in(&self, user: impl Into<String>) -> Result<PublicId, SignInError> {
        self.sign_in_with(user, PolicyPatch::new()).await
    }

    /// The same, with a choice for this login, such as longer limits for "keep me signed in". It lies
    /// over the application's policy. What scopes and handlers say goes before it, and so does the rule
    /// for the [user](crate::Builder::user_policy): a page that allows one minute stays with one minute.
    ///
    /// # Errors
    ///
    /// As [`sign_in`](Self::sign_in).
    pub async fn sign_in_with(
        &self,
        user: impl Into<String>,
        choice: PolicyPatch,
    ) -> Result<PublicId, SignInError> {
        let user = user.into();
        match register(&self.gate, user.clone(), choice, &self.req).await {
            Ok(Entry::Refused(holders)) => Err(SignInError::Refused(holders)),
            Ok(Entry::Admitted(key, record)) => {
                Identity::login(&self.req.extensions(), user).map_err(SignInError::Session)?;
                self.gate.set_registered(key, record.choice);
                Ok(record.id)
            }
            Err(error) => {
                self.gate.setup.registry_failed(&error);
                Err(SignInError::Registry(error))
            }
        }
    }

    /// Asks the [rule for the user](crate::Builder::user_policy) anew, as after a change of role. It
    /// holds from the next request on.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked.
    pub async fn refresh_policy(&self) -> Result<(), RegistryError> {
        let Some((key, record)) = self.gate.login() else { return Ok(()) };
        let setup = &self.gate.setup;
        let patch = setup.patch_of(&record.owner).await;
        let change = Change { seen: record.last_seen, now: self.gate.now, patch: Some(patch) };
        setup.registry.touch(key, change).await
    }

    /// The sessions of users, for a devices page.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        self.gate.setup.sessions()
    }

    /// Leaves the answer of this request as the handler gives it, a 401 included: for a login that an
    /// API offers beside the login page, whose "wrong password" is no challenge.
    pub fn keep_answer(&self) {
        self.gate.set_answered();
    }

    /// Signs the person out and empties the session, like `Identity::logout`; and it works where no
    /// identity is left: whoever signs out of a session that has just expired is not told why.
    pub fn sign_out(&self) {
        self.gate.set_leaving();
        self.gate.ledger.purge();
    }
}

impl FromRequest for SessionHandle {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let handle = Gate::of(req).map(|gate| Self { gate, req: req.clone() });
        ready(handle.map_err(Error::from))
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").field("verdict", &self.verdict()).finish_non_exhaustive()
    }
}
