//! The session of a request, as a handler sees and changes it.

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

use crate::{
    context::{RequestContext, pending_login::Reserved},
    error::RegistryError,
    judge::Verdict,
    policy::{Policy, PolicyPatch},
    registry::{
        key::{PublicId, SigningKey},
        record::{SessionRecord, SessionUpdate},
    },
    response::problem::{configuration_error, too_many_sessions, unavailable},
    sessions::Sessions,
    time::Timestamp,
};

/// Session of a request, for handlers that need more than the user.
///
/// Extracting it fails with 500 if [`SessionExpire`](crate::SessionExpire) is not mounted.
///
/// ```
/// use actix_web::{HttpResponse, get, post};
/// use session_expire::{SessionHandle, SignInError, Verdict};
///
/// #[post("/login")]
/// async fn login(session: SessionHandle) -> Result<HttpResponse, SignInError> {
///     session.sign_in("alice").await?; // after the password was checked
///     Ok(HttpResponse::SeeOther().insert_header(("location", "/")).finish())
/// }
///
/// #[get("/whoami")]
/// async fn whoami(session: SessionHandle) -> String {
///     match session.verdict() {
///         Verdict::Active(left) => format!("signed in, {:?} left", left.nearest().at()),
///         Verdict::Expired(reason) => format!("signed out: {reason}"),
///         Verdict::Anonymous => "anonymous".to_owned(),
///     }
/// }
/// ```
///
/// Once the response is on its way (a WebSocket, a stream), nothing is stored any more:
/// [`sign_in`](Self::sign_in) and [`refresh_policy`](Self::refresh_policy) return errors, and
/// [`sessions`](Self::sessions) still ends sessions.
pub struct SessionHandle {
    context: Rc<RequestContext>,
    req: HttpRequest,
}

/// Error of [`SessionHandle::sign_in`].
///
/// ```
/// use actix_web::{HttpResponse, Result};
/// use session_expire::{SessionHandle, SignInError};
///
/// async fn login(session: SessionHandle) -> Result<HttpResponse> {
///     match session.sign_in("alice").await {
///         Ok(_) => Ok(HttpResponse::SeeOther().insert_header(("location", "/")).finish()),
///         Err(SignInError::Refused(active)) => {
///             let devices: Vec<_> = active.iter().map(|record| &*record.client.device).collect();
///             Ok(HttpResponse::Conflict().body(format!("in use on {}", devices.join(", "))))
///         }
///         Err(error) => Err(error.into()), // 503 if the registry is unavailable
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// The session limit is reached: by these sessions, oldest login first.
    #[error("session limit reached: {} active sessions", .0.len())]
    Refused(Vec<SessionRecord>),
    /// The registry is unavailable.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The session could not be written.
    #[error("session could not be written")]
    Session(#[source] actix_identity::error::LoginError),
    /// The user signed out earlier in this request.
    #[error(
        "cannot sign in after signing out in the same request; `sign_in` already replaces the current session"
    )]
    AfterSignOut,
    /// The response is on its way, and its cookies are set.
    #[error("cannot sign in after the response was sent")]
    ResponseSent,
}

impl ResponseError for SignInError {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Refused(active) => too_many_sessions(active),
            Self::Registry(_) => unavailable(),
            Self::Session(_) | Self::AfterSignOut | Self::ResponseSent => configuration_error(),
        }
    }
}

/// The response is on its way.
#[derive(Debug, thiserror::Error)]
#[error("the response was sent")]
struct ResponseSent;

impl SessionHandle {
    /// Returns the verdict on the session under the policy of this handler. While the registry is
    /// unavailable each visitor is anonymous.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.context.verdict()
    }

    /// Returns the policy of this handler for this user.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.context.policy()
    }

    /// Returns the public id of the session that this request came with, ended or not.
    #[must_use]
    pub fn id(&self) -> Option<PublicId> {
        self.context.record().map(|loaded| loaded.record.id)
    }

    /// Returns the login policy of the active session, including one made during this request.
    /// Returns `None` if it has none, or if [`sign_out`](Self::sign_out) was called.
    #[must_use]
    pub fn login_policy(&self) -> Option<PolicyPatch> {
        if self.context.intent().signs_out {
            return None;
        }
        self.context.pending_login_policy().or_else(|| match self.context.verdict() {
            Verdict::Active(_) => self.context.record()?.record.login_policy.as_deref().cloned(),
            Verdict::Anonymous | Verdict::Expired(_) => None,
        })
    }

    /// Returns the time of this request by the [clock](crate::SessionExpireBuilder::clock) of the middleware.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.context.now
    }

    /// Signs `user` in, after the application has checked the credentials.
    ///
    /// It reserves a slot of the session limit now, and the login takes effect with the response: if
    /// the handler or a middleware fails, or the client goes away before, no user is signed in and
    /// no other session has ended. Entries of the anonymous visitor move into the new session
    /// (see [`login_keeps`](crate::SessionExpireBuilder::login_keeps)); entries of another user do not.
    ///
    /// # Errors
    ///
    /// - [`SignInError::Refused`] if the session limit is reached and `overflow` is `refuse`.
    /// - [`SignInError::Registry`] if the registry is unavailable.
    /// - [`SignInError::AfterSignOut`] if the user signed out in the same request.
    /// - [`SignInError::Session`] if the user could not be written into `Session`.
    /// - [`SignInError::ResponseSent`] if the response is on its way.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the reservation is released.
    ///
    /// # Security
    ///
    /// CSRF tokens among the entries that move must be renewed.
    pub async fn sign_in(&self, user: impl Into<String>) -> Result<PublicId, SignInError> {
        self.sign_in_with(user, PolicyPatch::new()).await
    }

    /// Signs `user` in with a policy of this login, such as longer limits for "keep me signed in".
    ///
    /// A login policy that is stricter than the application's holds on every page. A laxer one
    /// replaces the application's limits: a page that allows one minute still allows one minute. The
    /// [user policy](crate::SessionExpireBuilder::user_policy) has the last word. The cookie outlives the browser
    /// for as long as `absolute` of the login policy says.
    ///
    /// # Errors
    ///
    /// As [`sign_in`](Self::sign_in).
    ///
    /// ```
    /// use session_expire::{PolicyPatch, PublicId, SessionHandle, SignInError, days};
    /// async fn enter(session: &SessionHandle, name: &str, keep: bool) -> Result<PublicId, SignInError> {
    ///     let kept = || PolicyPatch::new().idle(days(7)).absolute(days(30));
    ///     session.sign_in_with(name, if keep { kept() } else { PolicyPatch::new() }).await
    /// }
    /// ```
    pub async fn sign_in_with(
        &self,
        user: impl Into<String>,
        login_policy: PolicyPatch,
    ) -> Result<PublicId, SignInError> {
        if self.context.is_settled() {
            return Err(SignInError::ResponseSent);
        }
        if self.context.session.is_purged() {
            return Err(SignInError::AfterSignOut);
        }
        let user = user.into();
        let reserved = self.context.reserve_login(user.clone(), login_policy, &self.req).await;
        match reserved.inspect_err(|error| self.context.config().emit_failure(error))? {
            Reserved::Refused(active) => Err(SignInError::Refused(active)),
            Reserved::Held(id) => self.name_user(user).await.map(|()| id),
        }
    }

    /// Lets the rest of this request see the new user.
    async fn name_user(&self, user: String) -> Result<(), SignInError> {
        self.context.hand_over(&user);
        let named = Identity::login(&self.req.extensions(), user);
        if let Err(error) = named {
            self.context.cancel_login().await;
            return Err(SignInError::Session(error));
        }
        Ok(())
    }

    /// Evaluates the [user policy](crate::SessionExpireBuilder::user_policy) again, as after a change of role,
    /// and voids the page tokens of earlier pages. In force from the next request on.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable, the new policy is invalid, or
    /// the response is on its way.
    pub async fn refresh_policy(&self) -> Result<(), RegistryError> {
        if self.context.is_settled() {
            return Err(RegistryError::new("refresh a policy", ResponseSent));
        }
        let Some(loaded) = self.context.record() else { return Ok(()) };
        let config = self.context.config();
        let mut update = SessionUpdate::new(config.now());
        update.user_policy = Some(config.user_policy(&loaded.record.user).await?);
        update.signing_key = Some(SigningKey::random());
        config.registry.update(loaded.record.session_ref(), update).await.map(drop)
    }

    /// Returns the sessions of users, for a sessions page.
    ///
    /// ```
    /// use actix_identity::Identity;
    /// use actix_web::{Result, error::ErrorUnauthorized};
    /// use session_expire::SessionHandle;
    /// async fn sessions(user: Identity, session: SessionHandle) -> Result<String> {
    ///     let user = user.id().map_err(ErrorUnauthorized)?;
    ///     let open = session.sessions().live(&user).await?;
    ///     Ok(open.iter().map(|record| format!("{}\n", record.client.device)).collect())
    /// }
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        self.context.config().sessions()
    }

    /// Keeps the response as the handler returns it, a 401 included: for a login of an API, whose
    /// "wrong password" is no challenge.
    pub fn keep_response(&self) {
        self.context.update_intent(|intent| intent.keeps_response = true);
    }

    /// Signs the user out and deletes the session data, like `Identity::logout`. It also works
    /// without an identity: a user who signs out of a session that has just expired is not told why.
    pub fn sign_out(&self) {
        self.context.update_intent(|intent| intent.signs_out = true);
        self.context.session.purge();
    }
}

impl FromRequest for SessionHandle {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let context = RequestContext::get(req);
        ready(context.map(|context| Self { context, req: req.clone() }).map_err(Error::from))
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").field("verdict", &self.verdict()).finish_non_exhaustive()
    }
}
