//! Passkeys: registration, and confirmation of a session.
//!
//! `passkeys.js` is the part in the browser.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpResponse, Result,
    error::{ErrorBadRequest, ErrorConflict, ErrorInternalServerError, ErrorNotFound},
    post, web,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use session_expire::{
    SessionHandle, clock::Timestamp, minutes, request::local_path, session_policy,
};
use webauthn_rs::prelude::{
    AuthenticationResult, Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder, WebauthnResult,
};

/// Session entry for the state of a registration.
const REGISTRATION: &str = "passkey_registration";
/// Session entry for the state of a confirmation.
const CONFIRMATION: &str = "passkey_confirmation";
/// Time for which a challenge is valid.
const CHALLENGE_TIMEOUT: Duration = minutes(5);

/// Passkeys of all users. A real site stores them in its user database.
pub(crate) struct Passkeys {
    webauthn: Webauthn,
    accounts: Mutex<HashMap<String, Account>>,
}

struct Account {
    /// Random id that the authenticator stores with the passkey.
    id: Uuid,
    passkeys: Vec<Passkey>,
}

impl Passkeys {
    /// Accepts passkeys for the host `rp_id` from pages of `origin` only.
    pub(crate) fn new(rp_id: &str, origin: &Url) -> WebauthnResult<Self> {
        let webauthn = WebauthnBuilder::new(rp_id, origin)?.build()?;
        Ok(Self { webauthn, accounts: Mutex::default() })
    }

    /// Returns `true` if `user` has a passkey.
    pub(crate) fn has_any(&self, user: &str) -> bool {
        !self.account(user).1.is_empty()
    }

    /// Returns the account id and the passkeys of `user`.
    fn account(&self, user: &str) -> (Uuid, Vec<Passkey>) {
        let mut accounts = self.lock();
        let account = accounts
            .entry(user.to_owned())
            .or_insert_with(|| Account { id: Uuid::new_v4(), passkeys: Vec::new() });
        (account.id, account.passkeys.clone())
    }

    /// Adds a passkey of `user`. Returns `false` if any user has already registered it.
    fn add(&self, user: &str, passkey: Passkey) -> bool {
        let mut accounts = self.lock();
        let is_known = accounts.values().any(|account| account.passkeys.contains(&passkey));
        match accounts.get_mut(user) {
            Some(account) if !is_known => account.passkeys.push(passkey),
            _ => return false,
        }
        true
    }

    /// Returns `true` if the response of the browser proves that `user` is present.
    fn verify(
        &self,
        user: &str,
        credential: &PublicKeyCredential,
        state: &PasskeyAuthentication,
    ) -> bool {
        // Checks challenge, origin, host, signature, user verification and counter.
        match self.webauthn.finish_passkey_authentication(credential, state) {
            Ok(result) => result.user_verified() && self.record_use(user, &result),
            Err(_) => false,
        }
    }

    /// Stores the new counter. Returns `false` if the passkey does not belong to `user`, or if the
    /// counter has not increased. An authenticator without a counter reports 0.
    fn record_use(&self, user: &str, result: &AuthenticationResult) -> bool {
        let mut accounts = self.lock();
        let Some(account) = accounts.get_mut(user) else { return false };
        let updated = account.passkeys.iter_mut().find_map(|key| key.update_credential(result));
        updated.is_some_and(|is_updated| is_updated || result.counter() == 0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores the state of a challenge in the session, which is on the server.
fn store<S: Serialize>(
    session: &Session,
    handle: &SessionHandle,
    name: &str,
    state: &S,
) -> Result<()> {
    Ok(session.insert(name, (handle.now().as_millis(), state))?)
}

/// Removes the state of a challenge from the session. Returns `None` if it is too old, or if it was
/// used before.
fn take<S: DeserializeOwned>(session: &Session, handle: &SessionHandle, name: &str) -> Option<S> {
    let (started, state) = session.remove_as::<(i64, S)>(name)?.ok()?;
    let age = handle.now().since(Timestamp::from_millis(started));
    (age < CHALLENGE_TIMEOUT).then_some(state)
}

/// Registers the handlers. `Passkeys` must be in the application's data.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service((start_registration, finish_registration));
    config.service((start_confirmation, finish_confirmation));
}

#[session_policy(fresh = "10m")]
#[post("/passkeys/start")]
async fn start_registration(
    user: Identity,
    session: Session,
    handle: SessionHandle,
    passkeys: web::Data<Passkeys>,
) -> Result<HttpResponse> {
    let user = user.id()?;
    let (id, known) = passkeys.account(&user);
    let known = known.iter().map(|passkey| passkey.cred_id().clone()).collect();
    let (options, state) = passkeys
        .webauthn
        .start_passkey_registration(id, &user, &user, Some(known))
        .map_err(ErrorInternalServerError)?;
    store(&session, &handle, REGISTRATION, &state)?;
    Ok(HttpResponse::Ok().json(options))
}

#[session_policy(fresh = "10m")]
#[post("/passkeys/finish")]
async fn finish_registration(
    user: Identity,
    session: Session,
    handle: SessionHandle,
    passkeys: web::Data<Passkeys>,
    credential: web::Json<RegisterPublicKeyCredential>,
) -> Result<HttpResponse> {
    let state: PasskeyRegistration = take(&session, &handle, REGISTRATION)
        .ok_or_else(|| ErrorBadRequest("start the registration again"))?;
    let passkey = passkeys
        .webauthn
        .finish_passkey_registration(&credential, &state)
        .map_err(ErrorBadRequest)?;
    match passkeys.add(&user.id()?, passkey) {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ErrorConflict("this passkey is registered already")),
    }
}

#[post("/confirm/passkey/start")]
async fn start_confirmation(
    user: Identity,
    session: Session,
    handle: SessionHandle,
    passkeys: web::Data<Passkeys>,
) -> Result<HttpResponse> {
    let (_, known) = passkeys.account(&user.id()?);
    if known.is_empty() {
        return Err(ErrorNotFound("this user has no passkey"));
    }
    let (options, state) =
        passkeys.webauthn.start_passkey_authentication(&known).map_err(ErrorInternalServerError)?;
    store(&session, &handle, CONFIRMATION, &state)?;
    Ok(HttpResponse::Ok().json(options))
}

#[post("/confirm/passkey/finish")]
async fn finish_confirmation(
    user: Identity,
    session: Session,
    handle: SessionHandle,
    passkeys: web::Data<Passkeys>,
    credential: web::Json<PublicKeyCredential>,
    next: web::Query<Next>,
) -> Result<HttpResponse> {
    let user = user.id()?;
    let state: Option<PasskeyAuthentication> = take(&session, &handle, CONFIRMATION);
    if !state.is_some_and(|state| passkeys.verify(&user, &credential, &state)) {
        let attempts_left = handle.confirm_failed().await?;
        return Ok(HttpResponse::Forbidden().json(json!({ "attempts_left": attempts_left })));
    }
    handle.confirm(&user)?;
    Ok(HttpResponse::Ok().json(json!({ "next": next.path() })))
}

/// Page that asked for the confirmation.
#[derive(Deserialize)]
pub(crate) struct Next {
    next: Option<String>,
}

impl Next {
    /// Returns the path of the page, or `/` if it is not a path of this site.
    pub(crate) fn path(&self) -> &str {
        self.next.as_deref().and_then(local_path).unwrap_or("/")
    }
}
