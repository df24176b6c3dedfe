//! Sign-in within the tests of an application.

use actix_web::cookie::Cookie;

use super::SessionExpire;
use crate::{
    error::RegistryError,
    event::Event,
    extract::sign_in::SignInError,
    session::{
        limit::SessionLimit,
        login::options::SignInOptions,
        login::{LoginOutcome, NewLogin},
    },
};

#[derive(Debug, thiserror::Error)]
#[error("adoption is closed for a login that adopts no session")]
struct UnexpectedOutcome;

impl SessionExpire {
    /// Signs `user` in and returns the session cookie, without a request to the login page: for
    /// tests of an application (feature `testing`).
    ///
    /// The login is a real one: the [user policy](crate::SessionExpireBuilder::user_policy) is
    /// evaluated, the session limit of the application's policy is enforced, and
    /// [`Event::LoggedIn`] is emitted. It has no client address and no device.
    ///
    /// # Errors
    ///
    /// - [`SignInError::Refused`] if the session limit is reached and `overflow` is `refuse`.
    /// - [`SignInError::Registry`] if the registry is unavailable.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_identity::Identity;
    /// use actix_web::{App, get, test::{TestRequest, call_service, init_service}};
    /// use session_expire::{Policy, SessionExpire, clock::ManualClock, minutes};
    ///
    /// #[get("/account")]
    /// async fn account(_user: Identity) -> &'static str {
    ///     "private"
    /// }
    ///
    /// let clock = ManualClock::default();
    /// let expire = SessionExpire::builder(Policy::new()).clock(clock.clone()).build()?;
    /// let app = init_service(App::new().service(account).wrap(expire.clone())).await;
    ///
    /// let cookie = expire.cookie_for("alice").await?;
    /// let request = || TestRequest::get().uri("/account").cookie(cookie.clone()).to_request();
    /// assert_eq!(call_service(&app, request()).await.status(), 200);
    /// clock.advance(minutes(30));
    /// assert_eq!(call_service(&app, request()).await.status(), 401);
    /// # Ok(()) }
    /// ```
    pub async fn cookie_for(&self, user: &str) -> Result<Cookie<'static>, SignInError> {
        let config = self.config();
        let login = self.new_login(user).await?;
        let key = login.key;
        let earlier = config.earlier_logins(&login.user).await;
        match config.registry.commit(login).await? {
            LoginOutcome::Committed { record, ended } => {
                config.emit_ended(&ended, None);
                config.emit(&Event::from_login(&record, earlier.as_deref()));
                Ok(config.cookies.session_cookie(&key, None))
            }
            LoginOutcome::Refused { active } => {
                config.emit(&Event::login_refused(user));
                Err(SignInError::Refused { active })
            }
            LoginOutcome::AdoptionClosed | LoginOutcome::Voided | LoginOutcome::TicketInvalid => {
                Err(RegistryError::new("sign in a user", UnexpectedOutcome).into())
            }
        }
    }

    async fn new_login(&self, user: &str) -> Result<NewLogin, RegistryError> {
        let config = self.config();
        let mut login = config.new_login(user, &SignInOptions::new(), &config.policy).await?;
        login.limit = login.limit.or_higher(SessionLimit::from(&*config.policy));
        Ok(login)
    }
}
