//! Record on the server: JSON in which every value is a text.
//!
//! Scripts compare times as floating-point numbers, which are exact until the year 287396, and hand
//! on the texts, which always are. Fields of a newer version survive the scripts of this one.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    as_string::{AsString, flag, millis, text, time},
    error::OperationError,
};
use crate::{
    policy::{PolicyPatch, limit::Limit, to_text},
    session::{
        client::Client,
        key::{PublicId, SigningKey},
        reason::Reason,
        record::{Ended, SessionRecord},
    },
    time::Timestamp,
};

/// A record on the server. What is absent is not set, or off.
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
    /// How long it is kept after its last use, unless it ends.
    keep: AsString<i64>,
}

impl<'a> RecordDto<'a> {
    /// An open record.
    pub(super) fn new(record: &SessionRecord, keep: Duration) -> Result<Self, OperationError> {
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
            keep: AsString(millis(keep)),
            ..Self::default()
        })
    }

    /// Reads a record back.
    pub(super) fn read(text: &'a [u8]) -> Result<SessionRecord, OperationError> {
        let stored = Self::parse(text)?;
        let policies = [policy(&stored.login_policy)?, policy(&stored.user_policy)?];
        stored.into_record(policies).ok_or(OperationError::Response)
    }

    /// Reads a record back for a list. A policy that a newer version has written is left out: the
    /// record must be found where all sessions of a user are to end.
    pub(super) fn read_listed(text: &'a [u8]) -> Result<SessionRecord, OperationError> {
        let stored = Self::parse(text)?;
        let policies = [&stored.login_policy, &stored.user_policy]
            .map(|text| policy(text).unwrap_or_default());
        stored.into_record(policies).ok_or(OperationError::Response)
    }

    fn parse(text: &'a [u8]) -> Result<Self, OperationError> {
        // Checked as a whole: faster than each of its texts.
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

/// Writes a policy; an error if it could not be read back.
pub(super) fn policy_text(policy: Option<&PolicyPatch>) -> Result<Option<String>, OperationError> {
    policy.map(to_text).transpose().map_err(OperationError::Json)
}

fn policy(text: &Option<String>) -> Result<Option<PolicyPatch>, OperationError> {
    text.as_deref().map(serde_json::from_str).transpose().map_err(OperationError::Json)
}

fn client(ip: Option<AsString<IpAddr>>, device: &str) -> Client {
    Client { ip: ip.map(|ip| ip.0), device: device.into() }
}

/// `None` if an end has no reason, or a reason no end. A word of a newer version is an unknown
/// reason.
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
    fn open_record_reads_back_as_it_was_written() {
        let record = record();
        let text = serde_json::to_vec(&RecordDto::new(&record, hours(1)).unwrap()).unwrap();
        assert_eq!(RecordDto::read(&text).unwrap(), record);
    }

    #[test]
    fn end_with_a_word_of_a_newer_version_is_tolerated() {
        let stored = RecordDto {
            ended: Some(AsString(5)),
            reason: Some("forgotten".into()),
            cause: Some("spring_cleaning".into()),
            ..RecordDto::new(&record(), hours(1)).unwrap()
        };
        let read = RecordDto::read(&serde_json::to_vec(&stored).unwrap()).unwrap().ended.unwrap();
        assert_eq!(
            (read.reason, read.cause.as_deref()),
            (Reason::Unknown, Some("spring_cleaning"))
        );
    }

    #[test]
    fn unreadable_record_is_an_error() {
        let text = serde_json::to_string(&RecordDto::new(&record(), hours(1)).unwrap()).unwrap();
        for wrong in [
            text.replace(r#""id":""#, r#""id":"!"#),
            text.replace(r#""signing_key""#, r#""seal""#),
            text.replace(r#""user""#, r#""who""#),
            text.replace(r#""keep""#, r#""ended":"5","keep""#),
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
