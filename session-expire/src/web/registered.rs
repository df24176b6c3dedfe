//! A login between its way into the registry and the answer that brings it to its user.

use std::sync::Arc;

use actix_web::{HttpRequest, rt::System};

use super::{client::client, setup::Setup};
use crate::{
    error::RegistryError,
    facts::Reason,
    policy::{Policy, PolicyPatch},
    registry::{EndTarget, key::RecordKey, login::NewLogin, record::Ended, room::SessionLimit},
};

/// A login that is, or may be, registered in this request. Unless it is [kept](Self::keep) it is ended
/// again, however the request goes on: given up by its browser while the registry was still at it, failed
/// by a middleware, signed out by its own handler. It would hold a place that nobody can give back.
pub(crate) struct Registered {
    pub(crate) key: RecordKey,
    pub(crate) user: Arc<str>,
    pub(crate) choice: Option<Arc<PolicyPatch>>,
    setup: Arc<Setup>,
    settled: bool,
}

impl Registered {
    /// To be made before the registry is asked: the login may be there although no answer came.
    pub(crate) fn new(setup: &Arc<Setup>, login: &NewLogin) -> Self {
        let (user, choice) = (Arc::clone(&login.user), login.choice.clone());
        Self { key: login.key, user, choice, setup: Arc::clone(setup), settled: false }
    }

    /// The answer carries it, or there is nothing to take back.
    pub(crate) fn keep(&mut self) {
        self.settled = true;
    }

    pub(crate) async fn take_back(mut self) {
        take_back(&self.setup, self.key).await;
        self.settled = true;
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // Without a system there is no request either.
        if let Some(system) = System::try_current().filter(|_| !self.settled) {
            let (setup, key) = (Arc::clone(&self.setup), self.key);
            system.arbiter().spawn(async move { take_back(&setup, key).await });
        }
    }
}

/// A login of `user` where `below` holds, with what was chosen and what they have of their own.
pub(crate) async fn prepare(
    setup: &Setup,
    user: String,
    below: &Policy,
    choice: PolicyPatch,
    req: &HttpRequest,
) -> Result<NewLogin, RegistryError> {
    let mut policy = choice.over(below);
    let (patch, choice) = (setup.patch_of(&user).await?, setup.kept(choice)?);
    if let Some(patch) = &patch {
        policy = patch.over(&policy);
    }
    let mut login = NewLogin::new(user, setup.now(), &policy);
    login.room = login.room.or_as_many_as(SessionLimit::of(&setup.policy));
    login.client = client(req, &setup.proxies);
    (login.choice, login.patch) = (choice, patch);
    Ok(login)
}

/// Ends a login that nobody is going to have.
pub(crate) async fn take_back(setup: &Setup, key: RecordKey) {
    let ended = Ended::new(Reason::LoggedOut, setup.now());
    match setup.registry.end(EndTarget::Key(key), ended).await {
        Ok(over) => setup.tell_ended(&over),
        Err(error) => setup.registry_failed(&error),
    }
}
