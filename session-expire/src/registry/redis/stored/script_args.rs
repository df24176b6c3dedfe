//! Arguments of a script that writes: one JSON object whose values are strings.
//!
//! The script ignores an absent field. The operations fill the fields that their script needs.
//! Texts are [escaped](escape) as in a record, because scripts copy them into records.

use std::net::IpAddr;

use serde::Serialize;

use super::{
    as_string::{AsString, flag, time},
    data::{changes_to_text, to_text},
    names::{record_name, short_hash},
    record::{escape, policy_text, timeout_text},
};
use crate::registry::redis::error::OperationError;
use crate::{
    policy::limit::Overflow,
    session::{
        data::SessionData, ended::Ended, key::PublicId, limit::SessionLimit,
        login::ticket::Takeover, reason::Reason, record::SessionRef, update::SessionUpdate,
    },
};

/// Arguments of a script that writes.
#[derive(Default, Serialize)]
pub(crate) struct ScriptArgs {
    /// Current time.
    pub(crate) at: AsString<i64>,
    /// Retention of ended records in the history, in milliseconds.
    pub(crate) history_age: AsString<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history_limit: Option<AsString<u32>>,
    /// Hash of the secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Hash of the user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// Public id of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<AsString<PublicId>>,
    /// Public id of the session that does not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) except: Option<AsString<PublicId>>,
    /// Record of a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<AsString<PublicId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replaces_for: Option<AsString<Reason>>,
    /// Name of the ticket that a login spends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ticket: Option<String>,
    /// Public id of the session that a login takes over, and its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) takes: Option<AsString<PublicId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) takes_at: Option<AsString<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) takes_for: Option<AsString<Reason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) takes_cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) takes_by: Option<String>,
    /// Set if a reserved session takes no slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uncounted: Option<AsString<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<AsString<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) overflow: Option<&'static str>,
    /// Generation in which the slot of a login was reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reserved_in: Option<AsString<u64>>,
    /// Deadline of a reservation or a ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<AsString<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) close_adoption_until: Option<AsString<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<AsString<Reason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) active_at: Option<AsString<i64>>,
    /// Address of the client of the activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<AsString<IpAddr>>,
    /// Device of the client of the activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) longest_idle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) longest_absolute: Option<String>,
    /// New user policy; an empty text removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_policy: Option<String>,
    /// Set if the session becomes remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remembered: Option<AsString<u8>>,
    /// New security stamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stamp: Option<AsString<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signing_key: Option<String>,
    /// Session data, or changes to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<String>,
    /// Set if the changes may need more memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) is_growing: Option<AsString<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_bytes: Option<AsString<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_messages: Option<AsString<usize>>,
    /// Name under the old key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// Name under the new key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reauthenticated_as: Option<AsString<PublicId>>,
    /// Id of the call, by which a retry detects that the call was already executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<AsString<PublicId>>,
    /// Earliest login time of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) earliest: Option<AsString<i64>>,
    /// Latest login time of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latest: Option<AsString<i64>>,
    /// Partition key of the user whose sessions are reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partition: Option<String>,
    /// Channel of the reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<String>,
    /// Set if the channel belongs to a slot of a Cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) has_slot: Option<AsString<u8>>,
    /// Set if the script must check the permission for the channel before it writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tests_channel: Option<AsString<u8>>,
    /// Number of records of a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<AsString<usize>>,
    /// Set if a list contains open records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lists_open: Option<AsString<u8>>,
    /// Set if a list contains ended records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lists_ended: Option<AsString<u8>>,
}

impl ScriptArgs {
    pub(crate) fn session(self, session: &SessionRef) -> Self {
        Self { user: Some(short_hash(&session.user)), id: Some(AsString(session.id)), ..self }
    }

    pub(crate) fn ended(self, ended: &Ended) -> Self {
        Self {
            reason: Some(AsString(ended.reason)),
            cause: ended.cause.as_deref().map(escaped),
            by: ended.by.as_deref().map(escaped),
            ..self
        }
    }

    pub(crate) fn takeover(self, takeover: Option<&Takeover>) -> Self {
        let Some(Takeover { ticket, session, ended }) = takeover else { return self };
        Self {
            ticket: Some(record_name(ticket)),
            takes: Some(AsString(*session)),
            takes_at: Some(time(ended.at)),
            takes_for: Some(AsString(ended.reason)),
            takes_cause: ended.cause.as_deref().map(escaped),
            takes_by: ended.by.as_deref().map(escaped),
            ..self
        }
    }

    pub(crate) fn limit(self, limit: SessionLimit) -> Self {
        let overflow = match limit.overflow {
            Overflow::Refuse if !limit.may_refuse() => Overflow::Evict,
            overflow => overflow,
        };
        Self { limit: Some(AsString(limit.max())), overflow: Some(overflow.as_str()), ..self }
    }

    pub(crate) fn data(self, data: &SessionData) -> Self {
        Self { data: (!data.is_empty()).then(|| to_text(data)), ..self }
    }

    pub(crate) fn update(self, update: &SessionUpdate) -> Result<Self, OperationError> {
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
            remembered: flag(update.remembered),
            stamp: update.stamp.map(|stamp| AsString(stamp.to_number())),
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
