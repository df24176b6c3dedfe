//! End of the sessions in which a user acts for others.

use super::Sessions;
use crate::{
    error::RegistryError,
    registry::{
        end::{EndSessions, EndTarget},
        query::Query,
    },
};

/// Number of impersonations that are listed and ended at a time.
const IMPERSONATIONS_PER_PAGE: usize = 100;

impl Sessions {
    /// Ends all sessions in which `actor`
    /// [acts for another user](crate::sign_in::SignInOptions::impersonated_by), and returns how
    /// many ended.
    ///
    /// If `actor` may no longer act for others, also call [`end_all`](Self::end_all) for the
    /// actor's own sessions.
    ///
    /// The call reads the open sessions of all users, so its duration grows with their number.
    ///
    /// ```
    /// # use session_expire::{Sessions, error::RegistryError};
    /// async fn dismiss(sessions: &Sessions, actor: &str) -> Result<(), RegistryError> {
    ///     sessions.end_all(actor).await?;
    ///     sessions.end_impersonations(actor).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable. Some sessions may have ended. Call
    /// it again to end the others.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some sessions may have ended. Call it again to end the others.
    pub async fn end_impersonations(&self, actor: &str) -> Result<usize, RegistryError> {
        let mut page = Query::new().ended(false).actor(actor).limit(IMPERSONATIONS_PER_PAGE);
        let mut count = 0;
        loop {
            let records = self.list(page.clone()).await?;
            for record in &records {
                let target = EndTarget::Session(record.session_ref());
                count += self.end_sessions(EndSessions::new(target, self.ended())).await?;
            }
            let Some(last) = records.last().filter(|_| records.len() == IMPERSONATIONS_PER_PAGE)
            else {
                return Ok(count);
            };
            page = page.after(Query::cursor(last));
        }
    }
}
