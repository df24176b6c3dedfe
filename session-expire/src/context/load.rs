//! Session record for the cookie of a request.
//!
//! A failed look-up yields [`LoadedSession::Unavailable`], and no session is lost.

use std::sync::Arc;

use crate::{
    config::Config,
    error::RegistryError,
    registry::{
        self, StoredSession,
        end::{EndSessions, EndTarget},
        future::RegistryFuture,
    },
    session::{
        data::SessionData,
        data::sealed::{self, DataKey},
        ended::Ended,
        key::RecordKey,
        record::SessionRecord,
        update::{SessionUpdate, UpdateOutcome},
        verdict::Facts,
    },
};

/// Result of the look-up of a request's session key.
pub(crate) enum LoadedSession {
    /// The request has no key, or the user was notified that its session has ended.
    Anonymous,
    /// The registry does not know the key.
    Unknown(RecordKey),
    Record(LoadedRecord),
    /// The registry is unavailable.
    Unavailable,
}

/// Open or ended record with its data.
pub(crate) struct LoadedRecord {
    pub(crate) key: RecordKey,
    pub(crate) record: Arc<SessionRecord>,
    pub(crate) data: Arc<SessionData>,
    /// Stored form of the data; `None` if it is not encrypted. Boxed, because moving a request
    /// context costs as much as a look-up.
    sealed: Option<Box<SealedData>>,
    /// Number of open sessions of the user, if they were counted.
    pub(crate) open: Option<u32>,
}

/// Encrypted data of a record.
struct SealedData {
    stored: Arc<SessionData>,
    /// Key of the data; `None` if the session key cannot decrypt it.
    key: Option<DataKey>,
}

impl LoadedRecord {
    /// Returns a stored record that was loaded by `key`, with decrypted data.
    pub(crate) fn new(key: RecordKey, stored: StoredSession) -> Self {
        let StoredSession { record, data: stored, open } = stored;
        match sealed::open(&stored, &key) {
            None => Self { key, record, data: stored, sealed: None, open },
            Some((data, data_key)) => {
                let sealed = Some(Box::new(SealedData { stored, key: data_key }));
                Self { key, record, data: Arc::new(data), sealed, open }
            }
        }
    }

    /// Returns the data as it is stored.
    pub(crate) fn stored_data(&self) -> &SessionData {
        self.sealed.as_ref().map_or(&self.data, |sealed| &sealed.stored)
    }

    /// Returns the key that encrypts the stored data; `None` if it is not encrypted.
    pub(crate) fn data_key(&self) -> Option<&DataKey> {
        self.sealed.as_ref()?.key.as_ref()
    }
}

/// Returns the [current record](registry::current) of the session, or its end if it has ended.
pub(crate) async fn current_record(
    config: &Config,
    loaded: &LoadedRecord,
) -> Result<Result<Arc<SessionRecord>, Ended>, RegistryError> {
    registry::current::current_record(&*config.registry, loaded.key, config.now()).await
}

/// Ends the session, even if a parallel request has re-authenticated its user. Returns the records
/// that this call has ended, or the end of a session that had ended before.
pub(crate) async fn end_current(
    config: &Config,
    loaded: &LoadedRecord,
    mut request: EndSessions,
) -> Result<Result<Vec<SessionRecord>, Ended>, RegistryError> {
    let ended = config.registry.end(request.clone()).await?;
    if !ended.is_empty() {
        return Ok(Ok(ended));
    }
    match current_record(config, loaded).await? {
        Err(ended) => Ok(Err(ended)),
        Ok(record) => {
            request.target = EndTarget::Session(record.session_ref());
            config.registry.end(request).await.map(Ok)
        }
    }
}

/// Updates the session, even if a parallel request has re-authenticated its user.
pub(crate) async fn update_current(
    config: &Config,
    loaded: &LoadedRecord,
    update: SessionUpdate,
) -> Result<UpdateOutcome, RegistryError> {
    let updated = config.registry.update(loaded.record.session_ref(), update.clone()).await?;
    match updated {
        UpdateOutcome::Ended => update_rotated(config, loaded, update).await,
        updated => Ok(updated),
    }
}

/// Repeats an update whose session was not open under the loaded public id.
pub(crate) async fn update_rotated(
    config: &Config,
    loaded: &LoadedRecord,
    update: SessionUpdate,
) -> Result<UpdateOutcome, RegistryError> {
    match current_record(config, loaded).await? {
        Ok(record) if record.id != loaded.record.id => {
            config.registry.update(record.session_ref(), update).await
        }
        _ => Ok(UpdateOutcome::Ended),
    }
}

impl LoadedSession {
    /// Starts to load the record of `key`.
    pub(crate) fn load(
        config: &Config,
        key: RecordKey,
        count_open: bool,
    ) -> RegistryFuture<'_, Option<StoredSession>> {
        config.registry.load(key, count_open)
    }

    pub(crate) fn new(
        config: &Config,
        key: RecordKey,
        outcome: Result<Option<StoredSession>, RegistryError>,
    ) -> Self {
        match outcome {
            Ok(Some(stored)) => Self::Record(LoadedRecord::new(key, stored)),
            Ok(None) => {
                config.diagnostics.warn_unknown_session();
                Self::Unknown(key)
            }
            Err(error) => {
                config.emit_failure(&error);
                Self::Unavailable
            }
        }
    }

    /// Returns the facts to judge, or `None` if the registry is unavailable.
    pub(crate) fn facts(&self) -> Option<Facts> {
        match self {
            Self::Anonymous => Some(Facts::Anonymous),
            Self::Unknown(_) => Some(Facts::Unknown),
            Self::Record(loaded) => Some(loaded.record.facts()),
            Self::Unavailable => None,
        }
    }

    pub(crate) fn record(&self) -> Option<&LoadedRecord> {
        match self {
            Self::Record(loaded) => Some(loaded),
            _ => None,
        }
    }

    /// Returns the key of the request if the look-up succeeded.
    pub(crate) fn key(&self) -> Option<&RecordKey> {
        match self {
            Self::Unknown(key) => Some(key),
            Self::Record(loaded) => Some(&loaded.key),
            Self::Anonymous | Self::Unavailable => None,
        }
    }
}
