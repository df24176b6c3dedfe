//! Stored form of a session record: a JSON object whose values are strings.
//!
//! Scripts compare times as floating-point numbers, which are exact until the year 287396, and
//! store the strings, which are always exact. Scripts do not remove fields that a newer version has
//! written.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    as_string::{AsString, flag, millis, text, time},
    error::OperationError,
};
use crate::{
    policy::{PolicyPatch, limit::Limit, to_text},
    session::{
        client::Client, ended::Ended, key::PublicId, reason::Reason, record::SessionRecord,
        signing_key::SigningKey,
    },
    time::Timestamp,
};

/// Record on the server. An absent field means `None`, `false` or `Limit::Off`.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct RecordDto<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    signing_key: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<AsString<IpAddr>>,
    #[serde(borrow)]
    device: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_ip: Option<AsString<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_device: Option<String>,
    logged_in_at: AsString<i64>,
    authenticated_at: AsString<i64>,
    last_seen: AsString<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<AsString<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absolute: Option<AsString<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<AsString<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncounted: Option<AsString<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    generation: AsString<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tombstone_until: Option<AsString<i64>>,
    /// Time in milliseconds for which an open record is kept after its last use.
    retention: AsString<i64>,
}

impl<'a> RecordDto<'a> {
    /// Returns the stored form of an open record.
    pub(super) fn new(record: &SessionRecord, retention: Duration) -> Result<Self, OperationError> {
        let last_client = record.last_client.as_ref();
        Ok(Self {
            id: record.id.as_str().to_owned().into(),
            signing_key: record.signing_key.expose().into(),
            user: text(&record.user).into(),
            ip: record.client.ip.map(AsString),
            device: text(&record.client.device).into(),
            last_ip: last_client.and_then(|client| client.ip).map(AsString),
            last_device: last_client.map(|client| text(&client.device)),
            logged_in_at: time(record.logged_in_at),
            authenticated_at: time(record.authenticated_at),
            last_seen: time(record.last_seen),
            idle: record.idle.at().map(millis).map(AsString),
            absolute: record.absolute.at().map(millis).map(AsString),
            login_policy: policy_text(record.login_policy.as_deref())?,
            user_policy: policy_text(record.user_policy.as_deref())?,
            uncounted: flag(record.uncounted),
            actor: record.actor.as_ref().map(text),
            generation: AsString(record.generation),
            tombstone_until: record.tombstone_until.map(time),
            retention: AsString(millis(retention)),
            ..Self::default()
        })
    }

    /// Reads a stored record.
    pub(super) fn read(text: &'a [u8]) -> Result<SessionRecord, OperationError> {
        let stored = Self::parse(text)?;
        let policies = [policy(&stored.login_policy)?, policy(&stored.user_policy)?];
        stored.into_record(policies).ok_or(OperationError::Response)
    }

    /// Reads a stored record for a list. A policy of a newer version is ignored: a list must
    /// contain all sessions of a user, so that the user can end them.
    pub(super) fn read_listed(text: &'a [u8]) -> Result<SessionRecord, OperationError> {
        let stored = Self::parse(text)?;
        let policies = [&stored.login_policy, &stored.user_policy]
            .map(|text| policy(text).unwrap_or_default());
        stored.into_record(policies).ok_or(OperationError::Response)
    }

    fn parse(text: &'a [u8]) -> Result<Self, OperationError> {
        // Checking the whole text is faster than checking every string.
        let text = str::from_utf8(text).map_err(|_| OperationError::Response)?;
        serde_json::from_str(text).map_err(OperationError::Json)
    }

    fn into_record(self, policies: [Option<PolicyPatch>; 2]) -> Option<SessionRecord> {
        let [login_policy, user_policy] = policies.map(|policy| policy.map(Arc::new));
        let (last_ip, last_device) = (self.last_ip, self.last_device);
        Some(SessionRecord {
            id: PublicId::parse(&self.id)?,
            signing_key: SigningKey::parse(&self.signing_key)?,
            client: client(self.ip, &self.device),
            last_client: last_device.map(|device| client(last_ip, &device)),
            logged_in_at: Timestamp::from_millis(self.logged_in_at.0),
            authenticated_at: Timestamp::from_millis(self.authenticated_at.0),
            last_seen: Timestamp::from_millis(self.last_seen.0),
            ended: ended(self.ended, self.reason, self.cause, self.by)?,
            idle: limit(self.idle),
            absolute: limit(self.absolute),
            login_policy,
            user_policy,
            uncounted: self.uncounted.is_some(),
            actor: self.actor.map(Arc::from),
            generation: self.generation.0,
            tombstone_until: self.tombstone_until.map(|AsString(at)| Timestamp::from_millis(at)),
            user: Arc::from(&*self.user),
        })
    }
}

/// Writes a policy. Returns an error if it could not be read again.
pub(super) fn policy_text(policy: Option<&PolicyPatch>) -> Result<Option<String>, OperationError> {
    policy.map(to_text).transpose().map_err(OperationError::Json)
}

fn policy(text: &Option<String>) -> Result<Option<PolicyPatch>, OperationError> {
    text.as_deref().map(serde_json::from_str).transpose().map_err(OperationError::Json)
}

fn client(ip: Option<AsString<IpAddr>>, device: &str) -> Client {
    Client { ip: ip.map(|ip| ip.0), device: device.into() }
}

/// Reads the end of a session. Returns `None` if only one of time and reason is present. A reason
/// that only a newer version defines becomes [`Reason::Unknown`].
fn ended(
    at: Option<AsString<i64>>,
    reason: Option<String>,
    cause: Option<String>,
    by: Option<String>,
) -> Option<Option<Ended>> {
    match (at, reason) {
        (Some(at), Some(reason)) => Some(Some(Ended {
            at: Timestamp::from_millis(at.0),
            reason: Reason::parse(&reason).unwrap_or(Reason::Unknown),
            cause: cause.map(Arc::from),
            by: by.map(Arc::from),
        })),
        (None, None) => Some(None),
        _ => None,
    }
}

fn limit(millis: Option<AsString<i64>>) -> Limit<Duration> {
    let limit = millis.and_then(|AsString(millis)| u64::try_from(millis).ok());
    limit.map_or(Limit::Off, |millis| Limit::At(Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::login::NewLogin;
    use crate::{policy::Policy, time::hours};

    fn record() -> SessionRecord {
        let at = Timestamp::from_millis(1_767_268_800_000);
        let mut login = NewLogin::new("alice", at, &Policy::new());
        login.client = Client::new("2001:db8::1".parse().ok(), "Firefox");
        login.login_policy = Some(Arc::new(PolicyPatch::new().absolute(hours(24))));
        login.uncounted = true;
        login.actor = Some("admin".into());
        login.adopted_until = Some(at.plus(hours(240)));
        let mut record = SessionRecord::new(&login);
        record.last_client = Some(Client::new(None, "curl"));
        record.authenticated_at = at.plus(hours(1));
        record
    }

    #[test]
    fn open_record_round_trips() {
        let record = record();
        let text = serde_json::to_vec(&RecordDto::new(&record, hours(1)).unwrap()).unwrap();
        assert_eq!(RecordDto::read(&text).unwrap(), record);
    }

    #[test]
    fn reason_of_a_newer_version_becomes_unknown() {
        let stored = RecordDto {
            ended: Some(AsString(5)),
            reason: Some("newer_reason".into()),
            cause: Some("maintenance".into()),
            ..RecordDto::new(&record(), hours(1)).unwrap()
        };
        let read = RecordDto::read(&serde_json::to_vec(&stored).unwrap()).unwrap().ended.unwrap();
        assert_eq!((read.reason, read.cause.as_deref()), (Reason::Unknown, Some("maintenance")));
    }

    #[test]
    fn unreadable_record_is_an_error() {
        let text = serde_json::to_string(&RecordDto::new(&record(), hours(1)).unwrap()).unwrap();
        for wrong in [
            text.replace(r#""id":""#, r#""id":"!"#),
            text.replace(r#""signing_key""#, r#""seal""#),
            text.replace(r#""user""#, r#""who""#),
            text.replace(r#""retention""#, r#""ended":"5","retention""#),
            text.replace(r#""device":"Firefox""#, r#""device":3"#),
            "[]".to_owned(),
            String::new(),
        ] {
            assert!(RecordDto::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn listed_record_may_have_a_policy_of_a_newer_version() {
        let record = record();
        let stored = RecordDto {
            user_policy: Some(r#"{"colour":"red"}"#.into()),
            ..RecordDto::new(&record, hours(1)).unwrap()
        };
        let text = serde_json::to_vec(&stored).unwrap();
        assert!(RecordDto::read(&text).is_err());
        assert_eq!(RecordDto::read_listed(&text).unwrap(), record);
    }
}
