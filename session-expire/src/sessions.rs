//! The sessions of users, for devices pages and administrators.

use std::{fmt, sync::Arc};

use crate::{
    error::RegistryError,
    event::Event,
    facts::Reason,
    registry::{
        Query, Registry, Target,
        key::PublicId,
        record::{Ended, Record},
    },
    time::Timestamp,
};

/// Lists and ends the sessions of users, whoever asks: check first that they may.
///
/// From [`SessionExpire::sessions`](crate::SessionExpire::sessions), or in a handler from
/// [`SessionHandle::sessions`](crate::SessionHandle::sessions). Everything it ends is out at its very
/// next request.
#[derive(Clone)]
pub struct Sessions {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) now: Timestamp,
    pub(crate) tell: Arc<dyn Fn(&Event<'_>) + Send + Sync>,
}

impl Sessions {
    /// The living sessions of `owner`, newest login first. One that ran out and has not been seen since
    /// is not among them.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked.
    pub async fn live(&self, owner: &str) -> Result<Vec<Record>, RegistryError> {
        let open = self.registry.find(Query::open(owner)).await?;
        Ok(open.into_iter().filter(|record| record.ran_out(self.now).is_none()).collect())
    }

    /// The past sessions of `owner` as far as the log reaches, newest login first. One that ran out and
    /// has not been seen since is among them, with the reason for which it will end.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked.
    pub async fn past(&self, owner: &str) -> Result<Vec<Record>, RegistryError> {
        let all = Query { owner: Some(owner.into()), ..Query::default() };
        let records = self.registry.find(all).await?;
        let over = records.into_iter().filter_map(|mut record| match record.ran_out(self.now) {
            _ if record.ended.is_some() => Some(record),
            None => None,
            Some(reason) => {
                record.end(Ended::new(reason, self.now));
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
    pub async fn find(&self, query: Query) -> Result<Vec<Record>, RegistryError> {
        self.registry.find(query).await
    }

    /// Ends the session of `owner` with this id: `false` if `owner` has no such living session.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked; nothing has ended then.
    pub async fn end(&self, owner: &str, id: PublicId) -> Result<bool, RegistryError> {
        Ok(self.end_target(Target::Id(owner.into(), id)).await? > 0)
    }

    /// Ends all sessions of `owner` but one, and says how many that were.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked; nothing has ended then.
    pub async fn end_others(&self, owner: &str, keep: PublicId) -> Result<usize, RegistryError> {
        self.end_target(Target::Others(owner.into(), keep)).await
    }

    /// Ends all sessions of `owner`, as after a changed password, and says how many that were.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked; nothing has ended then.
    pub async fn end_all(&self, owner: &str) -> Result<usize, RegistryError> {
        self.end_target(Target::All(owner.into())).await
    }

    async fn end_target(&self, target: Target) -> Result<usize, RegistryError> {
        let over = self.registry.end(target, Ended::new(Reason::Revoked, self.now)).await?;
        for record in &over {
            let reason = Reason::Revoked;
            (self.tell)(&Event::Ended { owner: &record.owner, id: record.id, reason });
        }
        Ok(over.len())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(…)")
    }
}
