//! Logins under the configuration: policies, security stamp, data and earlier records.

use std::sync::Arc;

use super::{Config, StoredPatch};
use crate::{
    error::RegistryError,
    messages::queue::warn_discarded_messages,
    policy::{Policy, merge::SessionPatches},
    registry::query::Query,
    session::{
        data::{DataTooLarge, SessionData, sealed::seal_login},
        key::RecordKey,
        login::{NewLogin, options::SignInOptions, stamp::Stamp},
        record::SessionRecord,
    },
};

/// Largest number of a user's newest records with which a login is compared.
const MAX_COMPARED_LOGINS: usize = 100;

impl Config {
    /// Evaluates the user policy of `user`.
    async fn user_policy(&self, user: &str) -> StoredPatch {
        match &self.user_policy {
            Some(user_policy) => self.validated_patch(user_policy(user.to_owned()).await),
            None => Ok(None),
        }
    }

    /// Evaluates the user policy of an open session again, and checks it together with the login
    /// policy. Reports a refused policy.
    pub(crate) async fn refreshed_user_policy(&self, record: &SessionRecord) -> StoredPatch {
        let user_policy = self.user_policy(&record.user).await.and_then(|user_policy| {
            let user = user_policy.as_deref();
            self.check_standards(SessionPatches { user, ..record.patches() })?;
            Ok(user_policy)
        });
        user_policy.inspect_err(|error| self.emit_failure(error))
    }

    /// Returns `true` if open sessions need a current stamp.
    pub(crate) fn checks_stamps(&self) -> bool {
        self.credential.is_some()
    }

    /// Returns the stamp of the current credential of `user`; `None` if the user has no credential,
    /// or if no function returns it.
    pub(crate) async fn current_stamp(&self, user: &str) -> Result<Option<Stamp>, RegistryError> {
        let Some(credential) = &self.credential else { return Ok(None) };
        let current = credential(user.to_owned()).await;
        let current = current.map_err(|error| RegistryError::new("check a credential", error))?;
        Ok(current.map(Stamp::new))
    }

    /// Returns a login of `user` on a page with the policy `layered`. The session limit follows
    /// from `layered`, the login policy of `options`, and the user policy.
    pub(crate) async fn new_login(
        &self,
        user: impl Into<Arc<str>>,
        options: &SignInOptions,
        layered: &Policy,
    ) -> Result<NewLogin, RegistryError> {
        let user = user.into();
        let user_policy = self.user_policy(&user).await?;
        let login_policy = self.validated_patch(options.login_policy())?;
        let patches =
            SessionPatches { login: login_policy.as_deref(), user: user_policy.as_deref() };
        self.check_standards(patches)?;
        let mut login = NewLogin::new(user, self.now(), &patches.at_login(layered));
        let longest = patches.longest(self.longest.get().longer(layered.limits()));
        (login.longest_idle, login.longest_absolute) = (longest.idle, longest.absolute);
        (login.login_policy, login.user_policy) = (login_policy, user_policy);
        (login.uncounted, login.actor) = (options.is_uncounted(), options.actor().cloned());
        login.stamp = match options.security_stamp() {
            None => self.current_stamp(&login.user).await?,
            stamp => stamp,
        };
        Ok(login)
    }

    /// Returns the newest records of `user` if an observer needs them for the event of a login.
    ///
    /// Call it before the commit: a request that is dropped afterwards must not lose its event. If
    /// the registry cannot list the records, the login continues without them.
    pub(crate) async fn earlier_logins(&self, user: &Arc<str>) -> Option<Vec<SessionRecord>> {
        if !self.events.has_observer() {
            return None;
        }
        let query = Query::all(Arc::clone(user)).limit(MAX_COMPARED_LOGINS);
        let listed = self.registry.list(query).await;
        listed.inspect_err(|error| self.emit_failure(error)).ok()
    }

    /// Returns the stored form of a login's data, encrypted if `seal_data` is on.
    pub(crate) fn stored_data(
        &self,
        data: SessionData,
        key: &RecordKey,
    ) -> Result<SessionData, DataTooLarge> {
        if !self.privacy.seals_data {
            return Ok(data);
        }
        let (sealed, discarded) = seal_login(&data, key)?;
        if discarded > 0 {
            warn_discarded_messages(discarded);
        }
        Ok(sealed)
    }
}
