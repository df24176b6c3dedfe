//! Sessions of all users, for sessions pages and administration.
//!
//! Nothing here checks permissions.

mod impersonations;
mod notify;

use std::{fmt, sync::Arc};

use crate::{
    error::RegistryError,
    event::Event,
    registry::{
        Registry, UserExport,
        current::current_record,
        end::{EndSessions, EndTarget},
        query::Query,
    },
    session::{
        client::Client,
        ended::Ended,
        key::{PublicId, RecordKey},
        reason::Reason,
        record::{SessionRecord, SessionRef},
    },
    time::{Timestamp, clock::MonotonicClock},
};

/// Handle for listing and ending the sessions of users.
///
/// [`SessionExpire::sessions`](crate::SessionExpire::sessions) returns it, and in a handler
/// [`SessionHandle::sessions`](crate::SessionHandle::sessions). An ended session is rejected on its
/// next request. Another process whose Redis registry caches records rejects it within 50
/// milliseconds.
///
/// # Security
///
/// No method checks permissions. The caller must check them.
///
/// ```
/// use actix_identity::Identity;
/// use actix_web::{Result, post};
/// use session_expire::SessionHandle;
///
/// /// Ends the user's other sessions after a change of password.
/// #[post("/end-others")]
/// async fn end_others(user: Identity, session: SessionHandle) -> Result<String> {
///     let user = user.id()?;
///     let Some(current) = session.id() else { return Ok(String::new()) };
///     let sessions = session.sessions().with_cause("password_changed");
///     let ended = sessions.end_others(&user, current).await?;
///     Ok(format!("{ended} sessions ended"))
/// }
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) clock: Arc<MonotonicClock>,
    pub(crate) close_adoption_until: Option<Timestamp>,
    pub(crate) cause: Option<Arc<str>>,
    /// Client of the request that uses this value.
    pub(crate) requester: Option<Arc<Client>>,
    /// Key and reference of the session that the request has loaded.
    pub(crate) own: Option<(RecordKey, SessionRef)>,
    pub(crate) emit: Arc<dyn Fn(&Event<'_>) + Send + Sync>,
}

impl Sessions {
    /// Sets the cause for sessions that the returned value ends, such as `password_changed`.
    /// Default: none.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Arc<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Returns the active sessions of `user`, newest login first.
    ///
    /// A session that has expired under the timeouts of its login is left out, even if a page with
    /// laxer timeouts still accepts it.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn list_active(&self, user: &str) -> Result<Vec<SessionRecord>, RegistryError> {
        let (open, now) = (self.list(Query::open(user)).await?, self.clock.now());
        Ok(open.into_iter().filter(|record| record.expiry_reason(now).is_none()).collect())
    }

    /// Returns the ended sessions in the history of `user`, newest login first. Expired sessions
    /// that no request has ended yet are included, with their reason.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn list_history(&self, user: &str) -> Result<Vec<SessionRecord>, RegistryError> {
        let all = Query::all(user);
        let (records, now) = (self.list(all).await?, self.clock.now());
        let ended = records.into_iter().filter_map(|mut record| match record.expiry_reason(now) {
            _ if record.ended.is_some() => Some(record),
            None => None,
            Some(reason) => {
                record.end(Ended::new(reason, now));
                Some(record)
            }
        });
        Ok(ended.collect())
    }

    /// Returns the records that match `query`, of one user or of all, page by page.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn list(&self, query: Query) -> Result<Vec<SessionRecord>, RegistryError> {
        self.registry.list(query).await.inspect_err(|error| self.emit_failure(error))
    }

    /// Ends the session `id` of `user`. Returns `false` if `user` has no such open session.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the session either has ended or is unchanged.
    pub async fn end(&self, user: &str, id: PublicId) -> Result<bool, RegistryError> {
        let session = SessionRef { user: user.into(), id };
        Ok(self.end_target(EndTarget::Session(session)).await? > 0)
    }

    /// Ends all sessions of `user` except `current`, and returns how many ended. Tickets for a
    /// [refused login](crate::SessionHandle::takeover_ticket) become void. If `current` is not
    /// open, nothing changes.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the sessions either have ended or are unchanged.
    pub async fn end_others(&self, user: &str, current: PublicId) -> Result<usize, RegistryError> {
        let current = SessionRef { user: user.into(), id: current };
        let ended = self.end_target(EndTarget::Others(current.clone())).await?;
        if ended > 0 {
            return Ok(ended);
        }
        match self.confirmed_as(&current).await? {
            Some(current) => self.end_target(EndTarget::Others(current)).await,
            None => Ok(0),
        }
    }

    /// Returns the current reference of `session` if it is that of the request, and a parallel
    /// request has confirmed it, which changes its public id.
    async fn confirmed_as(
        &self,
        session: &SessionRef,
    ) -> Result<Option<SessionRef>, RegistryError> {
        let own = self.own.as_ref().filter(|(_, own)| own == session);
        let Some((key, _)) = own else { return Ok(None) };
        let current = current_record(&*self.registry, *key, self.clock.now()).await;
        let current = current.inspect_err(|error| self.emit_failure(error))?;
        let current = current.ok().map(|record| record.session_ref());
        Ok(current.filter(|current| current != session))
    }

    /// Ends all sessions of `user`, and returns how many ended. Tickets for a
    /// [refused login](crate::SessionHandle::takeover_ticket) become void.
    ///
    /// Sessions in which `user` acts for another user stay open. If `user` is dismissed or changes
    /// their password, also call [`end_impersonations`](Self::end_impersonations).
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the sessions either have ended or are unchanged.
    pub async fn end_all(&self, user: &str) -> Result<usize, RegistryError> {
        self.end_target(EndTarget::All(user.into())).await
    }

    /// Ends all sessions of all users, for example after a security incident (ASVS 5.0 7.4.5), and
    /// returns how many were open.
    ///
    /// A login that is in progress fails with 503. Afterwards no session of another session layer
    /// can be adopted.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable. Some sessions may have ended. Call
    /// it again to end the others.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some sessions may have ended. Call it again to end the others.
    pub async fn end_everyone(&self) -> Result<u64, RegistryError> {
        let ended = self.registry.end_everyone(self.ended()).await;
        let count = ended.inspect_err(|error| self.emit_failure(error))?;
        let cause = self.cause.as_deref();
        (self.emit)(&Event::EveryoneEnded { count, cause, requester: self.requester() });
        Ok(count)
    }

    /// Returns all stored records and session data of `user`, for a request under GDPR Art. 15 or
    /// 20.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    pub async fn export(&self, user: &str) -> Result<UserExport, RegistryError> {
        self.registry.export(user.into()).await.inspect_err(|error| self.emit_failure(error))
    }

    /// Ends all sessions of `user`, deletes all records of the user, and returns their number. Use
    /// it for a request under GDPR Art. 17.
    ///
    /// Afterwards the registry no longer contains the user id. The cookies of the user are unknown:
    /// the next request is anonymous, and no reason is shown.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, either all records are deleted or none are.
    pub async fn erase(&self, user: &str) -> Result<u64, RegistryError> {
        let erased = self.registry.erase(user.into()).await;
        let count = erased.inspect_err(|error| self.emit_failure(error))?;
        (self.emit)(&Event::Erased { user, count, requester: self.requester() });
        Ok(count)
    }

    fn requester(&self) -> Option<&Client> {
        self.requester.as_deref()
    }

    fn emit_failure(&self, error: &RegistryError) {
        (self.emit)(&Event::RegistryFailed { error });
    }

    fn ended(&self) -> Ended {
        Ended { cause: self.cause.clone(), ..Ended::new(Reason::Revoked, self.clock.now()) }
    }

    async fn end_target(&self, target: EndTarget) -> Result<usize, RegistryError> {
        let mut request = EndSessions::new(target, self.ended());
        request.close_adoption_until = self.close_adoption_until;
        self.end_sessions(request).await
    }

    async fn end_sessions(&self, request: EndSessions) -> Result<usize, RegistryError> {
        let ended =
            self.registry.end(request).await.inspect_err(|error| self.emit_failure(error))?;
        ended.iter().for_each(|record| (self.emit)(&Event::from_ended(record, self.requester())));
        Ok(ended.len())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(…)")
    }
}
