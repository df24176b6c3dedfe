//! Messages to the other sessions of a user, such as a notice of a new sign-in.

use std::cmp::Reverse;

use super::Sessions;
use crate::{
    error::RegistryError,
    messages::{flash::FlashMessage, queue::to_stored},
    registry::query::Query,
    session::{
        key::PublicId,
        record::SessionRecord,
        update::{SessionUpdate, UpdateOutcome},
    },
};

/// Largest number of sessions that one call notifies. It limits the time of a login.
const MAX_NOTIFIED: usize = 20;

impl Sessions {
    /// Adds a flash message to the open sessions of `user` except `current`, such as a notice of a
    /// new sign-in, and returns how many got it.
    ///
    /// The next page that shows messages in such a session shows this one. Only the 20 most
    /// recently used sessions get it, and none in which another user impersonates `user`. A session
    /// whose data is full, or whose update fails, gets no message; a failure is logged.
    ///
    /// # Cost
    ///
    /// One list of the open sessions, and one update for each of the others.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the sessions could not be listed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some sessions may have got the message.
    ///
    /// # Security
    ///
    /// The message is stored as it is, even with
    /// [`seal_data`](crate::SessionExpireBuilder::seal_data): the keys of the other sessions are in
    /// their cookies only.
    ///
    /// ```
    /// use session_expire::{PublicId, Sessions, error::RegistryError};
    /// use session_expire::page::{FlashLevel, FlashMessage};
    ///
    /// async fn notify(sessions: Sessions, user: &str, new: PublicId) -> Result<(), RegistryError> {
    ///     let message = FlashMessage::new(FlashLevel::Info, "New sign-in from Firefox on Linux.");
    ///     sessions.notify_others(user, new, message).await.map(drop)
    /// }
    /// ```
    pub async fn notify_others(
        &self,
        user: &str,
        current: PublicId,
        message: FlashMessage,
    ) -> Result<usize, RegistryError> {
        let mut others = self.list(Query::open(user)).await?;
        others.retain(|other| other.id != current && other.actor.is_none());
        others.sort_by_key(|other| Reverse(other.last_seen));
        let mut notified = 0;
        for other in others.iter().take(MAX_NOTIFIED) {
            notified += usize::from(self.add_message(other, &message).await);
        }
        Ok(notified)
    }

    async fn add_message(&self, record: &SessionRecord, message: &FlashMessage) -> bool {
        let mut update = SessionUpdate::new(self.clock.now());
        update.data.added_messages.extend(to_stored(&message.clone().into()));
        match self.registry.update(record.session_ref(), update).await {
            Ok(outcome) => outcome == UpdateOutcome::Updated,
            Err(error) => {
                self.emit_failure(&error);
                false
            }
        }
    }
}
