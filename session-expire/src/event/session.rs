//! Session of an event.

use crate::session::{client::Client, key::PublicId, record::SessionRecord};

/// Session of an [`Event`](super::Event).
///
/// ```
/// use session_expire::{PublicId, event::{Event, EventSession}, registry::Client};
///
/// let client = Client::new("192.0.2.7".parse().ok(), "Firefox on Linux");
/// let session = EventSession::new("alice", PublicId::random(), &client);
/// assert_eq!(Event::logged_in(session).user(), Some("alice"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventSession<'a> {
    /// The user.
    pub user: &'a str,
    /// The public id.
    pub id: PublicId,
    /// The user who impersonates [`user`](Self::user).
    pub actor: Option<&'a str>,
    /// Client of the login.
    pub client: &'a Client,
    /// Client of the last activity, if it differs from that of the login.
    pub last_client: Option<&'a Client>,
}

impl<'a> EventSession<'a> {
    /// Returns a session without an actor, for tests of an observer. The fields can be set.
    #[must_use]
    pub fn new(user: &'a str, id: PublicId, client: &'a Client) -> Self {
        Self { user, id, actor: None, client, last_client: None }
    }
}

impl<'a> From<&'a SessionRecord> for EventSession<'a> {
    fn from(record: &'a SessionRecord) -> Self {
        Self {
            user: &record.user,
            id: record.id,
            actor: record.actor.as_deref(),
            client: &record.client,
            last_client: record.last_client.as_deref(),
        }
    }
}
