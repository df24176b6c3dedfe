//! Arguments of a script that writes: one JSON object whose values are strings.
//!
//! The script ignores an absent field. The operations fill the fields that their script needs. Texts
//! are [escaped](escape) as in a record, because scripts copy them into records.

use std::net::IpAddr;

use serde::Serialize;

use super::{
    as_string::{AsString, flag, time},
    data::{changes_to_text, to_text},
    error::OperationError,
    operations::short_hash,
    record::{escape, policy_text, timeout_text},
};
use crate::{
    policy::limit::Overflow,
    session::{
        data::SessionData, ended::Ended, key::PublicId, limit::SessionLimit, reason::Reason,
        record::SessionRef, update::SessionUpdate,
    },
};

/// Arguments of a script that writes.
#[derive(Default, Serialize)]
pub(super) struct ScriptArgs {
    /// Current time.
    pub(super) at: AsString<i64>,
    /// Retention of ended records in the history, in milliseconds.
    pub(super) history_age: AsString<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) history_limit: Option<AsString<u32>>,
    /// Hash of the secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// Hash of the user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    /// Public id of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<AsString<PublicId>>,
    /// Public id of the session that does not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) except: Option<AsString<PublicId>>,
    /// Record of a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replaces: Option<AsString<PublicId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replaces_for: Option<AsString<Reason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<AsString<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) overflow: Option<&'static str>,
    /// Deadline of a reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<AsString<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) close_adoption_until: Option<AsString<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<AsString<Reason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) active_at: Option<AsString<i64>>,
    /// Address of the client of the activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<AsString<IpAddr>>,
    /// Device of the client of the activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) longest_idle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) longest_absolute: Option<String>,
    /// New user policy; an empty text removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signing_key: Option<String>,
    /// Session data, or changes to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
    /// Set if the changes may need more memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_growing: Option<AsString<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_bytes: Option<AsString<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_messages: Option<AsString<usize>>,
    /// Name under the old key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// Name under the new key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reauthenticated_as: Option<AsString<PublicId>>,
    /// Id of a call of `end_everyone`, by which a retry finds that it was done before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) call: Option<AsString<PublicId>>,
    /// Entries of the records to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entries: Option<Vec<String>>,
    /// Earliest login time of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) earliest: Option<AsString<i64>>,
    /// Latest login time of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latest: Option<AsString<i64>>,
    /// Number of records of a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<AsString<usize>>,
    /// Set if a list contains open records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lists_open: Option<AsString<u8>>,
    /// Set if a list contains ended records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lists_ended: Option<AsString<u8>>,
}

impl ScriptArgs {
    pub(super) fn session(self, session: &SessionRef) -> Self {
        Self { user: Some(short_hash(&session.user)), id: Some(AsString(session.id)), ..self }
    }

    pub(super) fn ended(self, ended: &Ended) -> Self {
        Self {
            reason: Some(AsString(ended.reason)),
            cause: ended.cause.as_deref().map(escaped),
            by: ended.by.as_deref().map(escaped),
            ..self
        }
    }

    pub(super) fn limit(self, limit: SessionLimit) -> Self {
        let overflow = match limit.overflow {
            Overflow::Refuse if !limit.may_refuse() => Overflow::Evict,
            overflow => overflow,
        };
        Self { limit: Some(AsString(limit.max())), overflow: Some(overflow.as_str()), ..self }
    }

    pub(super) fn data(self, data: &SessionData) -> Self {
        Self { data: (!data.is_empty()).then(|| to_text(data)), ..self }
    }

    pub(super) fn update(self, update: &SessionUpdate) -> Result<Self, OperationError> {
        let policy = update.user_policy.as_ref().map(|policy| policy_text(policy.as_deref()));
        let (changes, client) = (&update.data, update.client.as_ref());
        let (longest_idle, longest_absolute) = update.longest.unzip();
        Ok(Self {
            active_at: update.active_at.map(time),
            ip: client.and_then(|client| client.ip).map(AsString),
            device: client.map(|client| escaped(&client.device)),
            longest_idle: longest_idle.map(timeout_text),
            longest_absolute: longest_absolute.map(timeout_text),
            user_policy: policy.transpose()?.map(Option::unwrap_or_default),
            signing_key: update.signing_key.map(|key| key.expose()),
            data: changes_to_text(changes),
            is_growing: flag(!changes.set.is_empty() || !changes.added_messages.is_empty()),
            max_bytes: Some(AsString(SessionData::MAX_BYTES)),
            max_messages: Some(AsString(SessionData::MAX_MESSAGES)),
            ..self
        })
    }
}

fn escaped(text: &str) -> String {
    escape(text).into_owned()
}
