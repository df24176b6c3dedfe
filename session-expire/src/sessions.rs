//! Sessions of users, for a sessions page and for administrators.

use std::{fmt, sync::Arc};

use crate::{
    error::RegistryError,
    event::Event,
    registry::{
        Registry,
        end::{EndSessions, EndTarget},
        query::Query,
    },
    session::{
        key::PublicId,
        reason::Reason,
        record::{Ended, SessionRecord, SessionRef},
    },
    time::{Timestamp, clock::SteadyClock},
};

/// Lists and ends the sessions of users. It checks no permission: the caller must.
///
/// From [`SessionExpire::sessions`](crate::SessionExpire::sessions), or in a handler from
/// [`SessionHandle::sessions`](crate::SessionHandle::sessions). An ended session is rejected on its
/// next request; at another process whose Redis registry caches records, within 50 milliseconds.
///
/// Every method returns [`RegistryError`] if the registry is unavailable.
///
/// ```
/// use actix_identity::Identity;
/// use actix_web::{Result, post, error::ErrorUnauthorized};
/// use session_expire::SessionHandle;
///
/// /// "Sign out everywhere else", after a changed password.
/// #[post("/end-others")]
/// async fn end_others(user: Identity, session: SessionHandle) -> Result<String> {
///     let user = user.id().map_err(ErrorUnauthorized)?;
///     let Some(this) = session.id() else { return Ok(String::new()) };
///     let ended = session.sessions().because("password_changed").end_others(&user, this).await?;
///     Ok(format!("{ended} sessions ended"))
/// }
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) clock: Arc<SteadyClock>,
    pub(crate) close_adoption_until: Option<Timestamp>,
    pub(crate) cause: Option<Arc<str>>,
    pub(crate) emit: Arc<dyn Fn(&Event<'_>) + Send + Sync>,
}

impl Sessions {
    /// Sets the cause of the ends that follow: the application's own word beside the reason.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Arc<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Returns the active sessions of `user`, newest login first.
    ///
    /// A session that has expired under the limits of its login is not among them, although a page
    /// with laxer limits still accepts it.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn live(&self, user: &str) -> Result<Vec<SessionRecord>, RegistryError> {
        let (open, now) = (self.find(Query::open(user)).await?, self.clock.now());
        Ok(open.into_iter().filter(|record| record.expiry_reason(now).is_none()).collect())
    }

    /// Returns the ended sessions of `user` as far as the history goes, newest login first. One that
    /// has expired unnoticed is among them, with the reason.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn past(&self, user: &str) -> Result<Vec<SessionRecord>, RegistryError> {
        let all = Query::all(user);
        let (records, now) = (self.find(all).await?, self.clock.now());
        let over = records.into_iter().filter_map(|mut record| match record.expiry_reason(now) {
            _ if record.ended.is_some() => Some(record),
            None => None,
            Some(reason) => {
                record.end(Ended::new(reason, now));
                Some(record)
            }
        });
        Ok(over.collect())
    }

    /// Lists records of one user or of all, page by page.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn find(&self, query: Query) -> Result<Vec<SessionRecord>, RegistryError> {
        self.registry.list(query).await.inspect_err(|error| self.failed(error))
    }

    /// Ends the session `id` of `user`. Returns `false` if `user` has no such open session.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn end(&self, user: &str, id: PublicId) -> Result<bool, RegistryError> {
        let session = SessionRef { user: user.into(), id };
        Ok(self.end_target(EndTarget::Session(session)).await? > 0)
    }

    /// Ends all sessions of `user` but `keep`, and returns how many ended. If `keep` is not open,
    /// none ends.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn end_others(&self, user: &str, keep: PublicId) -> Result<usize, RegistryError> {
        let keep = SessionRef { user: user.into(), id: keep };
        self.end_target(EndTarget::Others(keep)).await
    }

    /// Ends all sessions of `user`, and returns how many ended.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn end_all(&self, user: &str) -> Result<usize, RegistryError> {
        self.end_target(EndTarget::All(user.into())).await
    }

    /// Ends all sessions of all users, as after a break-in (ASVS 5.0 7.4.5), and returns how many
    /// ended.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable; some sessions may have ended then,
    /// and it may be called again.
    pub async fn end_everyone(&self) -> Result<u64, RegistryError> {
        let ended = self.registry.end_everyone(self.ended()).await;
        let count = ended.inspect_err(|error| self.failed(error))?;
        (self.emit)(&Event::EveryoneEnded { count });
        Ok(count)
    }

    fn failed(&self, error: &RegistryError) {
        (self.emit)(&Event::RegistryFailed { error });
    }

    fn ended(&self) -> Ended {
        Ended { cause: self.cause.clone(), ..Ended::new(Reason::Revoked, self.clock.now()) }
    }

    async fn end_target(&self, target: EndTarget) -> Result<usize, RegistryError> {
        let mut request = EndSessions::new(target, self.ended());
        request.close_adoption_until = self.close_adoption_until;
        let ended = self.registry.end(request).await.inspect_err(|error| self.failed(error))?;
        ended.iter().for_each(|record| (self.emit)(&Event::end_of(record)));
        Ok(ended.len())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(…)")
    }
}
