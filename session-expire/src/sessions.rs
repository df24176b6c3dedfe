//! The sessions of users, for devices pages and administrators.

use std::{collections::HashSet, fmt, sync::Arc};

use crate::{
    clock::SteadyClock,
    error::RegistryError,
    event::Event,
    facts::Reason,
    registry::{
        EndTarget, Query, Registry,
        key::PublicId,
        record::{Ended, SessionRecord},
    },
};

/// Lists and ends the sessions of users, whoever asks: check first that they may.
///
/// From [`SessionExpire::sessions`](crate::SessionExpire::sessions), or in a handler from
/// [`SessionHandle::sessions`](crate::SessionHandle::sessions). Everything it ends is out at its very
/// next request; at another process whose Redis registry keeps records at hand, within 50 milliseconds.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use session_expire::{Clock, NewLogin, MemoryRegistry, Policy, Registry, SessionExpire, SystemClock};
/// # let (registry, policy) = (MemoryRegistry::new(), Policy::new());
/// # let now = SystemClock::default().now();
/// # for device in ["Firefox on Linux", "Safari on iPhone"] {
/// #     let mut login = NewLogin::new("alice", now, &policy);
/// #     login.client.device = device.into();
/// #     registry.login(login).await?;
/// # }
/// # let expire = SessionExpire::builder(policy).registry(registry).build()?;
/// # use session_expire::Reason;
/// let sessions = expire.sessions();
/// for record in sessions.live("alice").await? {
///     println!("{} since {}", record.client.device, record.logged_in_at.to_utc().format("%F %H:%M"));
/// }
/// sessions.end_all("alice").await?;
/// assert!(sessions.live("alice").await?.is_empty());
/// for record in sessions.past("alice").await? {
///     assert_eq!(record.ended.map(|ended| ended.reason), Some(Reason::Revoked));
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) clock: Arc<SteadyClock>,
    pub(crate) tell: Arc<dyn Fn(&Event<'_>) + Send + Sync>,
}

impl Sessions {
    /// The living sessions of `user`, newest login first. One that ran out under the limits of its login
    /// (the application's and the user's own) is not among them, although a page with laxer limits would
    /// still accept it, until its place is needed.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Clock, NewLogin, MemoryRegistry, Policy, Registry, SessionExpire, SystemClock};
    /// # let (registry, policy) = (MemoryRegistry::new(), Policy::new());
    /// # let now = SystemClock::default().now();
    /// # for device in ["Firefox on Linux", "Safari on iPhone"] {
    /// #     let mut login = NewLogin::new("alice", now, &policy);
    /// #     login.client.device = device.into();
    /// #     registry.login(login).await?;
    /// # }
    /// # let expire = SessionExpire::builder(policy).registry(registry).build()?;
    /// let live = expire.sessions().live("alice").await?;
    /// let devices: Vec<_> = live.iter().map(|record| &*record.client.device).collect();
    /// assert_eq!(devices.len(), 2);
    /// assert!(expire.sessions().live("bob").await?.is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn live(&self, user: &str) -> Result<Vec<SessionRecord>, RegistryError> {
        let (open, now) = (self.find(Query::open(user)).await?, self.clock.now());
        Ok(open.into_iter().filter(|record| record.ran_out(now).is_none()).collect())
    }

    /// The past sessions of `user` as far as the log reaches, newest login first. One that ran out and
    /// has not been seen since is among them, with the reason for which it will end unless a page with
    /// laxer limits is opened before.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Clock, NewLogin, MemoryRegistry, Policy, Registry, SessionExpire, SystemClock};
    /// # let (registry, policy) = (MemoryRegistry::new(), Policy::new());
    /// # let now = SystemClock::default().now();
    /// # for device in ["Firefox on Linux", "Safari on iPhone"] {
    /// #     let mut login = NewLogin::new("alice", now, &policy);
    /// #     login.client.device = device.into();
    /// #     registry.login(login).await?;
    /// # }
    /// # let expire = SessionExpire::builder(policy).registry(registry).build()?;
    /// # expire.sessions().end_all("alice").await?;
    /// for record in expire.sessions().past("alice").await? {
    ///     let ended = record.ended.ok_or("still alive")?;
    ///     println!("{}: {} ({})", ended.at.to_utc(), ended.reason, record.client.device);
    /// #   assert_eq!(ended.reason, session_expire::Reason::Revoked);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn past(&self, user: &str) -> Result<Vec<SessionRecord>, RegistryError> {
        let all = Query { user: Some(user.into()), ..Query::default() };
        let (records, now) = (self.find(all).await?, self.clock.now());
        let over = records.into_iter().filter_map(|mut record| match record.ran_out(now) {
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
    /// When the registry cannot be asked.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Clock, NewLogin, MemoryRegistry, Policy, Registry, SessionExpire, SystemClock};
    /// # let (registry, policy) = (MemoryRegistry::new(), Policy::new());
    /// # let now = SystemClock::default().now();
    /// # for device in ["Firefox on Linux", "Safari on iPhone"] {
    /// #     let mut login = NewLogin::new("alice", now, &policy);
    /// #     login.client.device = device.into();
    /// #     registry.login(login).await?;
    /// # }
    /// # let expire = SessionExpire::builder(policy).registry(registry).build()?;
    /// use session_expire::Query;
    /// // The open sessions of all users, 50 to a page.
    /// let first = Query { ended: Some(false), limit: Some(50), ..Query::default() };
    /// let page = expire.sessions().find(first.clone()).await?;
    /// let next = Query { after: page.last().map(Query::place), ..first };
    /// assert_eq!(page.len(), 2);
    /// assert!(expire.sessions().find(next).await?.is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn find(&self, query: Query) -> Result<Vec<SessionRecord>, RegistryError> {
        self.registry.find(query).await.inspect_err(|error| self.failed(error))
    }

    /// Ends the session of `user` with this id: `false` if `user` has no such living session.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked; nothing has ended then.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Clock, NewLogin, MemoryRegistry, Policy, Registry, SessionExpire, SystemClock};
    /// # let (registry, policy) = (MemoryRegistry::new(), Policy::new());
    /// # let now = SystemClock::default().now();
    /// # for device in ["Firefox on Linux", "Safari on iPhone"] {
    /// #     let mut login = NewLogin::new("alice", now, &policy);
    /// #     login.client.device = device.into();
    /// #     registry.login(login).await?;
    /// # }
    /// # let expire = SessionExpire::builder(policy).registry(registry).build()?;
    /// use session_expire::PublicId;
    /// # let id = expire.sessions().live("alice").await?[0].id.to_string();
    /// // `id` comes from a form: an id of somebody else's session ends nothing.
    /// let id = PublicId::parse(&id).ok_or("no such session")?;
    /// assert!(!expire.sessions().end("bob", id).await?);
    /// assert!(expire.sessions().end("alice", id).await?);
    /// # Ok(()) }
    /// ```
    pub async fn end(&self, user: &str, id: PublicId) -> Result<bool, RegistryError> {
        Ok(self.end_target(EndTarget::Id(user.into(), id)).await? > 0)
    }

    /// Ends all sessions of `user` but one, and says how many that were.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked; nothing has ended then.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Clock, NewLogin, MemoryRegistry, Policy, Registry, SessionExpire, SystemClock};
    /// # let (registry, policy) = (MemoryRegistry::new(), Policy::new());
    /// # let now = SystemClock::default().now();
    /// # for device in ["Firefox on Linux", "Safari on iPhone"] {
    /// #     let mut login = NewLogin::new("alice", now, &policy);
    /// #     login.client.device = device.into();
    /// #     registry.login(login).await?;
    /// # }
    /// # let expire = SessionExpire::builder(policy).registry(registry).build()?;
    /// let sessions = expire.sessions();
    /// let keep = sessions.live("alice").await?[0].id; // in a handler: `SessionHandle::id`
    /// assert_eq!(sessions.end_others("alice", keep).await?, 1);
    /// assert_eq!(sessions.live("alice").await?[0].id, keep);
    /// # Ok(()) }
    /// ```
    pub async fn end_others(&self, user: &str, keep: PublicId) -> Result<usize, RegistryError> {
        self.end_target(EndTarget::Others(user.into(), keep)).await
    }

    /// Ends all sessions of `user`, as after a changed password, and says how many that were.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked; nothing has ended then.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Clock, NewLogin, MemoryRegistry, Policy, Registry, SessionExpire, SystemClock};
    /// # let (registry, policy) = (MemoryRegistry::new(), Policy::new());
    /// # let now = SystemClock::default().now();
    /// # for device in ["Firefox on Linux", "Safari on iPhone"] {
    /// #     let mut login = NewLogin::new("alice", now, &policy);
    /// #     login.client.device = device.into();
    /// #     registry.login(login).await?;
    /// # }
    /// # let expire = SessionExpire::builder(policy).registry(registry).build()?;
    /// assert_eq!(expire.sessions().end_all("alice").await?, 2);
    /// assert_eq!(expire.sessions().end_all("alice").await?, 0);
    /// # Ok(()) }
    /// ```
    pub async fn end_all(&self, user: &str) -> Result<usize, RegistryError> {
        self.end_target(EndTarget::All(user.into())).await
    }

    /// Ends the sessions of all users who are signed in as it begins, as after a break-in (OWASP ASVS
    /// 7.4.5), and says how many that were. It reads all open sessions, 10,000 at a time.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked; some have ended then, and it may be called again.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Clock, NewLogin, MemoryRegistry, Policy, Registry, SessionExpire, SystemClock};
    /// # let (registry, policy) = (MemoryRegistry::new(), Policy::new());
    /// # let now = SystemClock::default().now();
    /// # for user in ["alice", "bob"] {
    /// #     registry.login(NewLogin::new(user, now, &policy)).await?;
    /// # }
    /// # let expire = SessionExpire::builder(policy).registry(registry).build()?;
    /// assert_eq!(expire.sessions().end_everybody().await?, 2);
    /// assert!(expire.sessions().live("bob").await?.is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn end_everybody(&self) -> Result<usize, RegistryError> {
        let mut open = Query { ended: Some(false), limit: Some(10_000), ..Query::default() };
        let mut ended = 0;
        loop {
            let page = self.find(open.clone()).await?;
            let Some(last) = page.last() else { return Ok(ended) };
            open.after = Some(Query::place(last));
            let users: HashSet<_> = page.iter().map(|record| &record.user).collect();
            for user in users {
                ended += self.end_all(user).await?;
            }
        }
    }

    fn failed(&self, error: &RegistryError) {
        (self.tell)(&Event::RegistryFailed { error });
    }

    async fn end_target(&self, target: EndTarget) -> Result<usize, RegistryError> {
        let over = self.registry.end(target, Ended::new(Reason::Revoked, self.clock.now())).await;
        let over = over.inspect_err(|error| self.failed(error))?;
        over.iter().for_each(|record| (self.tell)(&Event::end_of(record)));
        Ok(over.len())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(…)")
    }
}
