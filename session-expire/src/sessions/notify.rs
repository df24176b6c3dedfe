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
    /// Adds a flash message, such as a notice of a new sign-in, to the open sessions of `user`
    /// except `current`. Returns the number of sessions that got the message.
    ///
    /// The next page that shows flash messages in such a session shows it. Only the 20 most
    /// recently used sessions get the message. Impersonated sessions get none, and neither do
    /// sessions whose data is full. If an update fails, the error is logged and the session gets no
    /// message.
    ///
    /// # Cost
    ///
    /// One list of the open sessions, and one update for each session that gets the message.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the sessions could not be listed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some of the sessions may have got the message.
    ///
    /// # Security
    ///
    /// The message is not encrypted, even with
    /// [`seal_data`](crate::SessionExpireBuilder::seal_data), because only the cookies of the other
    /// sessions contain their keys.
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
