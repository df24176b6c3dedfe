//! Loads the record for the session cookie of a request.

use std::sync::Arc;

use crate::{
    config::Config,
    error::RegistryError,
    registry::{StoredSession, future::RegistryFuture},
    session::{data::SessionData, key::RecordKey, record::SessionRecord, verdict::Facts},
};

/// What the registry says about the key of a request.
pub(crate) enum LoadedSession {
    /// There is no key, or the reason of its end was shown.
    Anonymous,
    /// A key that the registry does not know.
    Unknown(RecordKey),
    Record(LoadedRecord),
    /// The registry could not be asked.
    Unavailable,
}

/// A record with its data, open or ended.
pub(crate) struct LoadedRecord {
    pub(crate) key: RecordKey,
    pub(crate) record: Arc<SessionRecord>,
    pub(crate) data: Arc<SessionData>,
    /// How many sessions of the user are open, if that was counted.
    pub(crate) open: Option<u32>,
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
            Ok(Some(StoredSession { record, data, open })) => {
                Self::Record(LoadedRecord { key, record, data, open })
            }
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

    /// Returns what there is to check; `None` if the registry could not be asked.
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

    /// Returns the key of the request, if the registry could be asked about it.
    pub(crate) fn key(&self) -> Option<&RecordKey> {
        match self {
            Self::Unknown(key) => Some(key),
            Self::Record(loaded) => Some(&loaded.key),
            Self::Anonymous | Self::Unavailable => None,
        }
    }
}
