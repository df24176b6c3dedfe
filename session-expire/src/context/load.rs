//! Session record for the cookie of a request.
//!
//! A failed look-up yields [`LoadedSession::Unavailable`], and no session is lost.

use std::sync::Arc;

use crate::{
    config::Config,
    error::RegistryError,
    registry::{StoredSession, future::RegistryFuture},
    session::{
        data::SessionData,
        key::RecordKey,
        record::SessionRecord,
        sealed_data::{self, DataKey},
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
    /// Data as it is stored: encrypted if there is a `data_key`.
    pub(crate) stored_data: Arc<SessionData>,
    /// Key that encrypts the stored data; `None` if it is not encrypted.
    pub(crate) data_key: Option<DataKey>,
    /// Number of open sessions of the user, if they were counted.
    pub(crate) open: Option<u32>,
}

impl LoadedRecord {
    /// Returns a stored record that was loaded by `key`, with decrypted data.
    pub(crate) fn new(key: RecordKey, stored: StoredSession) -> Self {
        let StoredSession { record, data: stored_data, open } = stored;
        let (data, data_key) = match sealed_data::open(&stored_data, &key) {
            None => (Arc::clone(&stored_data), None),
            Some((data, data_key)) => (Arc::new(data), data_key),
        };
        Self { key, record, data, stored_data, data_key, open }
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
