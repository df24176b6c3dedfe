//! Current state of a session that a parallel request may have changed.
//!
//! A re-authentication changes the public id. If an operation finds no open session under the loaded
//! id, the caller repeats it once with the reference of the current record. The request context and
//! the sessions API use it.

use std::sync::Arc;

use super::{Registry, StoredSession, query::Query};
use crate::{
    error::RegistryError,
    session::{ended::Ended, key::RecordKey, reason::Reason, record::SessionRecord},
    time::Timestamp,
};

/// Loads the record of `key` again, and returns its current state, or its end if it has ended. If a
/// parallel request has rotated the key, returns the record under its new key.
pub(crate) async fn current_record(
    registry: &dyn Registry,
    key: RecordKey,
    now: Timestamp,
) -> Result<Result<Arc<SessionRecord>, Ended>, RegistryError> {
    let Some(StoredSession { record, .. }) = registry.load(key, false).await? else {
        return Ok(Err(Ended::new(Reason::Unknown, now)));
    };
    match record.ended.clone() {
        None => Ok(Ok(record)),
        Some(Ended { reason: Reason::Renewed, .. }) => {
            let rotated = find_rotated(registry, &record).await?;
            Ok(rotated.map(Arc::new).ok_or_else(|| Ended::new(Reason::Revoked, now)))
        }
        Some(ended) => Ok(Err(ended)),
    }
}

/// Returns the open record of the session whose rotated key loads `tombstone`.
///
/// The tombstone has the public id after that rotation. After a further re-authentication, only the
/// signing key is the same.
async fn find_rotated(
    registry: &dyn Registry,
    tombstone: &SessionRecord,
) -> Result<Option<SessionRecord>, RegistryError> {
    let open = registry.list(Query::open(Arc::clone(&tombstone.user))).await?;
    let same_id = open.iter().position(|open| open.id == tombstone.id);
    let same_session =
        || open.iter().position(|open| open.signing_key() == tombstone.signing_key());
    Ok(same_id.or_else(same_session).and_then(|index| open.into_iter().nth(index)))
}
