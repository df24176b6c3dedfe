//! Extractor for the session of a request.
//!
//! Changes take effect with the response. Once the response is sent, no change is stored.

use std::{
    fmt,
    future::{Ready, ready},
    rc::Rc,
    sync::Arc,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};

use crate::{
    context::{RequestContext, access::AccessState, load::update_current},
    error::RegistryError,
    event::Event,
    policy::merge::SessionPatches,
    policy::{Policy, PolicyPatch},
    session::{
        key::PublicId,
        signing_key::SigningKey,
        update::{SessionUpdate, UpdateOutcome},
        verdict::Verdict,
    },
    sessions::Sessions,
    time::Timestamp,
};

/// Session of a request, for handlers that need more than the user id.
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
///         _ => "anonymous".to_owned(),
///     }
/// }
/// ```
///
/// A WebSocket or a stream outlives its response. Once the response is sent:
///
/// - [`sign_in`](Self::sign_in) and [`refresh_policy`](Self::refresh_policy) return errors.
/// - [`sign_out`](Self::sign_out) does nothing.
/// - [`sessions`](Self::sessions) still ends sessions.
pub struct SessionHandle {
    pub(super) context: Rc<RequestContext>,
    pub(super) req: HttpRequest,
}

/// Source of the error of [`SessionHandle::refresh_policy`].
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("response already sent")]
    ResponseSent,
    #[error("session not loaded")]
    NotLoaded,
}

impl SessionHandle {
    /// Returns the verdict on the session under the policy of this handler. If the registry is
    /// unavailable, returns [`Verdict::Anonymous`].
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.context.verdict()
    }

    /// Returns the policy of this handler for this user.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.context.policy()
    }

    /// Returns the public id of the session whose cookie the request carries, even if the session
    /// has ended. Returns `None` if the registry has no such session.
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
        let pending = self.context.pending_login(|login| login.login_policy.as_deref().cloned());
        pending.flatten().or_else(|| match self.context.verdict() {
            Verdict::Active(_) => self.context.record()?.record.login_policy.as_deref().cloned(),
            Verdict::Anonymous | Verdict::Expired(_) => None,
        })
    }

    /// Returns the [actor](crate::sign_in::SignInOptions::impersonated_by) of the active session,
    /// including one that this request has signed in. Returns `None` if the session is not
    /// impersonated, or if [`sign_out`](Self::sign_out) was called.
    #[must_use]
    pub fn actor(&self) -> Option<Arc<str>> {
        self.context.actor()
    }

    /// Returns the time of the request, according to the middleware's
    /// [clock](crate::SessionExpireBuilder::clock).
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.context.now
    }

    /// Evaluates the [user policy](crate::SessionExpireBuilder::user_policy) of this session again,
    /// for example after a change of role. The new policy applies from the next request on. Page
    /// tokens of open pages become void.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if:
    ///
    /// - the registry is unavailable.
    /// - the new policy is invalid, or does not meet a [declared
    ///   standard](crate::SessionExpireBuilder::complies_with) together with the login policy. With
    ///   `?` in a handler, this error becomes a 500 response. The old policy still applies.
    /// - the response was already sent.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the session has either the old policy or the new one.
    pub async fn refresh_policy(&self) -> Result<(), RegistryError> {
        const OPERATION: &str = "refresh a policy";
        if self.context.is_settled() {
            return Err(RegistryError::new(OPERATION, RefreshError::ResponseSent));
        }
        if *self.context.access() == AccessState::Unavailable {
            return Err(RegistryError::new(OPERATION, RefreshError::NotLoaded));
        }
        let Some(loaded) = self.context.record() else { return Ok(()) };
        let config = self.context.config();
        let mut update = SessionUpdate::new(config.now());
        let user_policy = config.refreshed_user_policy(&loaded.record).await?;
        let patches = SessionPatches { user: user_policy.as_deref(), ..loaded.record.patches() };
        update.longest = Some(config.longest(patches));
        update.user_policy = Some(user_policy);
        update.signing_key = Some(SigningKey::random());
        let updated = update_current(config, loaded, update).await?;
        if updated == UpdateOutcome::Updated {
            let event = Event::policy_refreshed((&*loaded.record).into());
            config.emit(&event.with_requester(&config.client(&self.req)));
        }
        Ok(())
    }

    /// Returns the [`Sessions`] of all users, for example for a sessions page.
    ///
    /// ```
    /// use actix_identity::Identity;
    /// use actix_web::Result;
    /// use session_expire::SessionHandle;
    ///
    /// async fn sessions(user: Identity, session: SessionHandle) -> Result<String> {
    ///     let user = user.id()?;
    ///     let open = session.sessions().list_active(&user).await?;
    ///     Ok(open.iter().map(|record| format!("{}\n", record.client.device)).collect())
    /// }
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        let config = self.context.config();
        let own = self.context.record().map(|loaded| (loaded.key, loaded.record.session_ref()));
        Sessions { own, ..config.sessions(Some(config.client(&self.req))) }
    }

    /// Returns the translation for the languages of the user, for example for durations and device
    /// names in a template.
    ///
    /// Each call runs the function for
    /// [`user_language`](crate::SessionExpireBuilder::user_language) and parses `Accept-Language`.
    #[cfg(feature = "translations")]
    #[cfg_attr(docsrs, doc(cfg(feature = "translations")))]
    #[must_use]
    pub fn translation(&self) -> Arc<crate::translation::Translation> {
        let config = self.context.config();
        Arc::clone(config.translations.best_of(&config.languages(&self.req)))
    }

    /// Sends the handler's response unchanged, even if it is an empty 401. Without this call, an
    /// empty 401 becomes a challenge. A login endpoint of an API uses it for "wrong password".
    pub fn keep_response(&self) {
        self.context.update_intent(|intent| intent.keeps_response = true);
    }

    /// Signs the user out and deletes the session data, like `Identity::logout`. It also works if
    /// the session has just expired; the user is then not notified of the expiry.
    ///
    /// The sign-out takes effect with the response. Once the response is sent, the call does
    /// nothing and logs an error. A WebSocket or a stream ends its session with [`Sessions::end`]
    /// instead:
    ///
    /// ```
    /// use session_expire::{SessionHandle, error::RegistryError};
    ///
    /// async fn leave(session: &SessionHandle, user: &str) -> Result<(), RegistryError> {
    ///     let Some(id) = session.id() else { return Ok(()) };
    ///     session.sessions().end(user, id).await.map(drop)
    /// }
    /// ```
    pub fn sign_out(&self) {
        if self.context.is_settled() {
            tracing::error!(
                event = "sys_sign_out_after_response",
                "sign_out called after the response was sent; call Sessions::end instead"
            );
            return;
        }
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
