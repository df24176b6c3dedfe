//! Login between its reservation and its commit.
//!
//! A login that is not committed is always cancelled, on any exit path.

use std::sync::Arc;

use actix_web::HttpRequest;

use super::super::{RequestContext, access::AccessState, load::current_record};
use crate::{
    config::Config,
    error::RegistryError,
    event::Event,
    session::{
        client::Client,
        ended::Ended,
        key::{PublicId, RecordKey},
        limit::SessionLimit,
        login::options::SignInOptions,
        login::stamp::Stamp,
        login::{NewLogin, ReserveOutcome},
        reason::Reason,
        record::SessionRecord,
    },
    time::seconds,
};

/// Lifetime of a reservation. It must exceed the duration of a login handler, but a crashed process
/// leaves the slot taken for this long.
const RESERVED_FOR: std::time::Duration = seconds(30);

/// Login with a reservation.
pub(crate) struct PendingLogin {
    login: NewLogin,
    guard: LoginGuard,
}

/// Cancels a login on drop, unless it was disarmed.
pub(crate) struct LoginGuard {
    config: Arc<Config>,
    key: RecordKey,
    is_armed: bool,
    is_reserved: bool,
}

/// Outcome of [`RequestContext::reserve_login`].
pub(crate) enum LoginReservation {
    Reserved(PublicId),
    /// The active sessions, oldest login first.
    Refused(Vec<SessionRecord>),
}

impl LoginGuard {
    /// Returns an armed guard. Create it before the call of the registry, because the registry's
    /// response may be lost.
    pub(crate) fn new(config: &Arc<Config>, key: RecordKey) -> Self {
        Self { config: Arc::clone(config), key, is_armed: true, is_reserved: false }
    }

    /// Returns `true` if the login has reserved a slot.
    pub(crate) fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// Disarms the guard, so that dropping it does not cancel the login.
    pub(crate) fn disarm(&mut self) {
        self.is_armed = false;
    }

    /// Cancels the login now.
    pub(crate) async fn cancel(mut self) {
        let cancelled = self.config.registry.cancel(self.key, self.ended()).await;
        match cancelled {
            Ok(()) => self.disarm(),
            Err(error) => self.config.emit_failure(&error),
        }
    }

    fn ended(&self) -> Ended {
        Ended::new(Reason::LoggedOut, self.config.now())
    }
}

impl Drop for LoginGuard {
    fn drop(&mut self) {
        if self.is_armed {
            self.config.cancellations.cancel(&self.config.registry, self.key, self.ended());
        }
    }
}

impl RequestContext {
    /// Reserves a slot for a login of `user`. No other session ends before the commit.
    pub(crate) async fn reserve_login(
        &self,
        user: String,
        options: &SignInOptions,
        req: &HttpRequest,
    ) -> Result<LoginReservation, RegistryError> {
        let client = self.config().client(req);
        let mut login = self.new_login(user, options, client).await?;
        let mut guard = LoginGuard::new(self.config(), login.key);
        match self.reserve(&login).await? {
            ReserveOutcome::Refused { active } => {
                guard.disarm();
                let (actor, requester) = (login.actor.as_deref(), Some(&login.client));
                self.config().emit(&Event::LoginRefused { user: &login.user, actor, requester });
                Ok(LoginReservation::Refused(active))
            }
            ReserveOutcome::Reserved { generation } => {
                let id = login.id;
                login.reserved_in = Some(generation);
                guard.is_reserved = true;
                self.set_pending_login(login, guard);
                Ok(LoginReservation::Reserved(id))
            }
        }
    }

    /// Reserves a slot for `login`.
    pub(crate) async fn reserve(&self, login: &NewLogin) -> Result<ReserveOutcome, RegistryError> {
        let reservation = login.reservation(self.config().now().plus(RESERVED_FOR));
        self.config().registry.reserve(reservation).await
    }

    /// Returns the login to commit for `user`: the reserved one, or a new one if the handler only
    /// wrote the user into `Session`.
    pub(crate) async fn login_to_commit(
        &self,
        user: String,
        client: &Client,
    ) -> Result<(NewLogin, LoginGuard), RegistryError> {
        let pending = self.login.take().filter(|pending| *pending.login.user == *user);
        match pending {
            Some(pending) => {
                let PendingLogin { login, guard } = *pending;
                Ok((login, guard))
            }
            None => {
                let login = self.new_login(user, &SignInOptions::new(), client.clone()).await?;
                let guard = LoginGuard::new(self.config(), login.key);
                Ok((login, guard))
            }
        }
    }

    /// Cancels the reservation of this request, if there is one.
    pub(crate) async fn cancel_login(&self) {
        let pending = self.login.take();
        if let Some(pending) = pending {
            pending.guard.cancel().await;
        }
    }

    pub(crate) fn has_pending_login(&self) -> bool {
        self.login.borrow().is_some()
    }

    /// Passes the pending login to `read`. Returns `None` if there is none.
    pub(crate) fn pending_login<T>(&self, read: impl FnOnce(&NewLogin) -> T) -> Option<T> {
        self.login.borrow().as_ref().map(|pending| read(&pending.login))
    }

    /// Sets the security stamp of the pending login. Returns `false` if there is none.
    pub(crate) fn set_pending_stamp(&self, stamp: Stamp) -> bool {
        let mut pending = self.login.borrow_mut();
        let login = pending.as_mut().map(|pending| &mut pending.login);
        login.map(|login| login.stamp = Some(stamp)).is_some()
    }

    /// Returns the actor of the pending login, else that of the active session.
    pub(crate) fn actor(&self) -> Option<Arc<str>> {
        if self.intent().signs_out {
            return None;
        }
        self.pending_login(|login| login.actor.clone()).unwrap_or_else(|| {
            self.record().filter(|_| self.access().is_active())?.record.actor.clone()
        })
    }

    /// Sets the login to commit. A login that was pending before is cancelled by its guard.
    pub(super) fn set_pending_login(&self, login: NewLogin, guard: LoginGuard) {
        drop(self.login.replace(Some(Box::new(PendingLogin { login, guard }))));
    }

    pub(super) async fn new_login(
        &self,
        user: String,
        options: &SignInOptions,
        client: Client,
    ) -> Result<NewLogin, RegistryError> {
        let config = self.config();
        let mut login = config.new_login(user, options, &self.layered_policy()).await?;
        login.limit = login.limit.or_higher(SessionLimit::from(&*config.policy));
        login.client = client;
        login.replaces = self.replaced_session(&login.user).await?;
        Ok(login)
    }

    /// Returns the open session of this browser if it is the same user's. The login takes its slot.
    ///
    /// Ended records do not count: the tombstone of a renewed key names a session that is still
    /// open.
    async fn replaced_session(
        &self,
        user: &str,
    ) -> Result<Option<(PublicId, Reason)>, RegistryError> {
        let is_same_user = |record: &SessionRecord| *record.user == *user && record.ended.is_none();
        let Some(loaded) = self.record().filter(|loaded| is_same_user(&loaded.record)) else {
            return Ok(None);
        };
        // A re-authentication in a parallel request may have changed the public id.
        let current = current_record(self.config(), loaded).await?;
        Ok(current.ok().map(|record| (record.id, self.end_reason())))
    }

    /// Returns the reason why a sign-out, a login or an expiry ends the current session.
    pub(crate) fn end_reason(&self) -> Reason {
        match *self.access() {
            AccessState::Expired(reason) => reason,
            _ => Reason::LoggedOut,
        }
    }
}
