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
        record::{ActivityUpdate, SessionRecord},
    },
    sessions::Sessions,
    time::Timestamp,
};

/// The session of this request, for handlers that want to know more than who is signed in.
///
/// Extracting it fails with 500 where [`SessionExpire`](crate::SessionExpire) is missing.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use actix_identity::IdentityMiddleware;
/// # use actix_session::{SessionMiddleware, storage::CookieSessionStore};
/// # use actix_web::{App, cookie::Key, post, test::{self, TestRequest, call_and_read_body, call_service}};
/// # use session_expire::{ManualClock, Policy, SessionExpire, SignInError};
/// use actix_web::get;
/// use session_expire::{SessionHandle, Verdict};
///
/// #[get("/whoami")]
/// async fn whoami(session: SessionHandle) -> String {
///     match session.verdict() {
///         Verdict::Active(left) => format!("signed in, {:?} left", left.nearest().at()),
///         Verdict::Expired(reason) => format!("signed out: {reason}"),
///         Verdict::Anonymous => "a guest".to_owned(),
///     }
/// }
/// # #[post("/login")]
/// # async fn login(session: SessionHandle) -> Result<&'static str, SignInError> {
/// #     session.sign_in("alice").await?;
/// #     Ok("welcome")
/// # }
/// # let expire = SessionExpire::builder(Policy::new()).clock(ManualClock::default()).build()?;
/// # let app = test::init_service(
/// #     App::new().service(login).service(whoami)
/// #         .wrap(expire.clone())
/// #         .wrap(IdentityMiddleware::default())
/// #         .wrap(SessionMiddleware::new(CookieSessionStore::default(), Key::generate())),
/// # )
/// # .await;
/// # let answer = call_service(&app, TestRequest::post().uri("/login").to_request()).await;
/// # let cookie = answer.response().cookies().next().ok_or("no cookie")?;
/// # let request = TestRequest::get().uri("/whoami").cookie(cookie.clone()).to_request();
/// # let text = call_and_read_body(&app, request).await;
/// # assert_eq!(text, "signed in, Some(1800s) left");
/// # Ok(()) }
/// ```
pub struct SessionHandle {
    gate: Rc<Gate>,
    req: HttpRequest,
}

/// Why nobody was signed in.
///
/// ```
/// use actix_web::{HttpResponse, Result};
/// use session_expire::{SessionHandle, SignInError};
///
/// async fn login(session: SessionHandle) -> Result<HttpResponse> {
///     match session.sign_in("alice").await {
///         Ok(_) => Ok(HttpResponse::SeeOther().insert_header(("location", "/")).finish()),
///         Err(SignInError::Refused(holders)) => {
///             let devices: Vec<_> = holders.iter().map(|holder| &*holder.client.device).collect();
///             Ok(HttpResponse::Conflict().body(format!("in use on {}", devices.join(", "))))
///         }
///         Err(error) => Err(error.into()), // 503 while the registry is away
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// All places are taken: by these sessions, oldest login first.
    #[error("the user is already signed in {} times, and may not be more often", .0.len())]
    Refused(Vec<SessionRecord>),
    /// The registry could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The session could not be written.
    #[error("the session could not be written")]
    Session(#[source] actix_identity::error::LoginError),
    /// Somebody was signed out earlier in this request: actix-session keeps nothing after that.
    #[error(
        "nobody can be signed in after a logout in the same request; leave out the logout, for a login \
         replaces the one that the browser had"
    )]
    AfterLogout,
}

impl ResponseError for SignInError {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Refused(holders) => reply::too_many(holders),
            Self::Registry(_) => problem::unavailable(),
            Self::Session(_) | Self::AfterLogout => HttpResponse::InternalServerError().finish(),
        }
    }
}

impl SessionHandle {
    /// How the session was judged under the policy of this handler. An anonymous visitor is also
    /// whoever cannot be judged because the registry is away.
    ///
    /// ```
    /// use actix_web::HttpResponse;
    /// use session_expire::{Reason, SessionHandle, Verdict};
    /// async fn front_page(session: SessionHandle) -> HttpResponse {
    ///     match session.verdict() {
    ///         Verdict::Expired(Reason::Evicted) => HttpResponse::Ok().body("Was that you, on another device?"),
    ///         _ => HttpResponse::Ok().body("Welcome"),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.gate.verdict()
    }

    /// The policy of this handler, all patches applied.
    ///
    /// ```
    /// use session_expire::{SessionHandle, format_duration};
    /// async fn footer(session: SessionHandle) -> String {
    ///     match session.policy().idle.at() {
    ///         Some(idle) => format!("You are signed out after {} without activity.", format_duration(idle)),
    ///         None => String::new(),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.gate.policy()
    }

    /// The public id of the login that this request presented, ended or not.
    ///
    /// ```
    /// use session_expire::{SessionRecord, SessionHandle};
    /// fn is_this_one(session: &SessionHandle, listed: &SessionRecord) -> bool {
    ///     session.id() == Some(listed.id)
    /// }
    /// ```
    #[must_use]
    pub fn id(&self) -> Option<PublicId> {
        self.gate.login().map(|(_, record)| record.id)
    }

    /// What was [chosen](Self::sign_in_with) at the login that lives, be it of this very request: for a
    /// cookie that is to outlive the browser, say. `None` also for whoever is signing out.
    ///
    /// ```
    /// use session_expire::{Limit, SessionHandle, hours};
    /// fn is_kept_signed_in(session: &SessionHandle) -> bool {
    ///     session.choice().and_then(|choice| choice.absolute) == Some(Limit::At(hours(24 * 30)))
    /// }
    /// ```
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
    ///
    /// ```
    /// use session_expire::{SessionRecord, SessionHandle, format_duration};
    /// fn unused_for(session: &SessionHandle, record: &SessionRecord) -> String {
    ///     format_duration(session.now().since(record.last_seen))
    /// }
    /// ```
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.gate.now
    }

    /// Signs `user` in, like `Identity::login`, and says at once what became of it: where logins can be
    /// refused (`overflow = "refuse"`), a login page wants to say which sessions hold the places. Where
    /// another user was signed in, what they have left in the session is gone at once (so write what
    /// belongs to the new login after this); with `Identity::login` it is gone when the request is over.
    ///
    /// # Errors
    ///
    /// [`SignInError::Refused`], or that the registry or the session failed; nobody is signed in by it then.
    ///
    /// ```
    /// use actix_web::{HttpResponse, post, web};
    /// use serde::Deserialize;
    /// use session_expire::{SessionHandle, SignInError};
    /// # fn is_right(_: &Credentials) -> bool { true }
    ///
    /// #[derive(Deserialize)]
    /// struct Credentials { name: String, password: String }
    ///
    /// #[post("/login")]
    /// async fn login(form: web::Form<Credentials>, session: SessionHandle) -> Result<HttpResponse, SignInError> {
    ///     if !is_right(&form) {
    ///         return Ok(HttpResponse::Ok().body("Wrong name or password."));
    ///     }
    ///     session.sign_in(&form.name).await?; // 409, where logins can be refused
    ///     Ok(HttpResponse::SeeOther().insert_header(("location", "/")).finish())
    /// }
    /// ```
    pub async fn sign_in(&self, user: impl Into<String>) -> Result<PublicId, SignInError> {
        self.sign_in_with(user, PolicyPatch::new()).await
    }

    /// The same, with a choice for this login, such as longer limits for "keep me signed in". A choice that
    /// is stricter than the application's policy holds on every page. A laxer one replaces the
    /// application's limits: a page that allows one minute stays with one minute, and on a laxer page the
    /// laxer of the two holds. The rule for the [user](crate::Builder::user_policy) has the last word.
    ///
    /// # Errors
    ///
    /// As [`sign_in`](Self::sign_in).
    ///
    /// ```
    /// use session_expire::{PolicyPatch, PublicId, SessionHandle, SignInError, hours};
    /// async fn enter(session: &SessionHandle, name: &str, keep: bool) -> Result<PublicId, SignInError> {
    ///     let kept = || PolicyPatch::new().idle(hours(24 * 7)).absolute(hours(24 * 30));
    ///     session.sign_in_with(name, if keep { kept() } else { PolicyPatch::new() }).await
    /// }
    /// ```
    pub async fn sign_in_with(
        &self,
        user: impl Into<String>,
        choice: PolicyPatch,
    ) -> Result<PublicId, SignInError> {
        if self.gate.ledger.is_purged() {
            return Err(SignInError::AfterLogout);
        }
        let user = user.into();
        match register(&self.gate, user.clone(), choice, &self.req).await {
            Ok(Entry::Refused(holders)) => Err(SignInError::Refused(holders)),
            Ok(Entry::Admitted(_, record)) => {
                self.gate.hand_over(&user);
                let written = Identity::login(&self.req.extensions(), user);
                if let Err(error) = written {
                    self.gate.take_back().await;
                    return Err(SignInError::Session(error));
                }
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
    ///
    /// ```
    /// use actix_web::{HttpResponse, Result, error::ErrorServiceUnavailable};
    /// use session_expire::SessionHandle;
    /// # async fn leave_the_administrators() {}
    /// async fn step_down(session: SessionHandle) -> Result<HttpResponse> {
    ///     leave_the_administrators().await;
    ///     session.refresh_policy().await.map_err(ErrorServiceUnavailable)?;
    ///     Ok(HttpResponse::NoContent().finish())
    /// }
    /// ```
    pub async fn refresh_policy(&self) -> Result<(), RegistryError> {
        let Some((key, record)) = self.gate.login() else { return Ok(()) };
        let setup = &self.gate.setup;
        let patch = setup.patch_of(&record.user).await?;
        let change =
            ActivityUpdate { seen: record.last_seen, now: setup.now(), patch: Some(patch) };
        setup.registry.touch(key, change).await
    }

    /// The sessions of users, for a devices page.
    ///
    /// ```
    /// use actix_identity::Identity;
    /// use actix_web::{Result, error::{ErrorServiceUnavailable, ErrorUnauthorized}};
    /// use session_expire::SessionHandle;
    /// async fn devices(user: Identity, session: SessionHandle) -> Result<String> {
    ///     let user = user.id().map_err(ErrorUnauthorized)?;
    ///     let live = session.sessions().live(&user).await.map_err(ErrorServiceUnavailable)?;
    ///     Ok(live.iter().map(|record| format!("{}\n", record.client.device)).collect())
    /// }
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        self.gate.setup.sessions()
    }

    /// Leaves the answer of this request as the handler gives it, a 401 included: for a login that an
    /// API offers beside the login page, whose "wrong password" is no challenge.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use actix_identity::IdentityMiddleware;
    /// # use actix_session::{SessionMiddleware, storage::CookieSessionStore};
    /// # use actix_web::{App, cookie::Key, post, test::{self, TestRequest, call_service}};
    /// # use session_expire::{Policy, SessionExpire};
    /// use actix_web::HttpResponse;
    /// use session_expire::SessionHandle;
    ///
    /// #[post("/api/login")]
    /// async fn login(session: SessionHandle) -> HttpResponse {
    ///     session.keep_answer();
    ///     HttpResponse::Unauthorized().finish() // stays as it is, also for a browser
    /// }
    /// # let expire = SessionExpire::builder(Policy::new()).build()?;
    /// # let app = test::init_service(
    /// #     App::new().service(login)
    /// #         .wrap(expire.clone())
    /// #         .wrap(IdentityMiddleware::default())
    /// #         .wrap(SessionMiddleware::new(CookieSessionStore::default(), Key::generate())),
    /// # )
    /// # .await;
    /// # let request = TestRequest::post().uri("/api/login").insert_header(("accept", "text/html"));
    /// # assert_eq!(call_service(&app, request.to_request()).await.status(), 401);
    /// # Ok(()) }
    /// ```
    pub fn keep_answer(&self) {
        self.gate.set_answered();
    }

    /// Signs the person out and empties the session, like `Identity::logout`; and it works where no
    /// identity is left: whoever signs out of a session that has just expired is not told why.
    ///
    /// ```
    /// use actix_web::{HttpResponse, post};
    /// use session_expire::SessionHandle;
    ///
    /// #[post("/logout")]
    /// async fn logout(session: SessionHandle) -> HttpResponse {
    ///     session.sign_out();
    ///     HttpResponse::SeeOther().insert_header(("location", "/login")).finish()
    /// }
    /// ```
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
