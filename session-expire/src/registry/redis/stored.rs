//! A record, and what is asked of a script, as they travel: JSON in which every value is a text.
//!
//! Scripts compare times as floating-point numbers, which are exact until the year 287396, and hand on
//! the texts, which always are.

use std::{fmt::Display, net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::error::Failure;
use crate::{
    facts::Reason,
    limit::{Limit, Limits, Overflow},
    policy::PolicyPatch,
    registry::{
        key::{PublicId, SigningKey},
        record::{Client, Ended, SessionRecord},
        room::SessionLimit,
    },
    time::Timestamp,
    words::to_text,
};

/// A number that is written as a text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| de::Error::custom("a value cannot be read"))
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A record on the server. What is absent is not set, or off.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    id: String,
    seal: String,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<Text<IpAddr>>,
    device: String,
    logged_in_at: Text<i64>,
    last_seen: Text<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<Text<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absolute: Option<Text<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Text<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text<Reason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// How long it is kept after its last use, unless it ends.
    keep: Text<i64>,
}

impl Stored {
    /// A living record.
    pub(super) fn new(record: &SessionRecord, keep: Duration) -> Result<Self, Failure> {
        let written = |patch: &Option<Arc<PolicyPatch>>| {
            patch.as_deref().map(to_text).transpose().map_err(Failure::Garbage)
        };
        Ok(Self {
            id: record.id.as_str().into(),
            seal: record.seal.expose(),
            user: record.user.to_string(),
            ip: record.client.ip.map(Text),
            device: record.client.device.to_string(),
            logged_in_at: Text(record.logged_in_at.as_millis()),
            last_seen: Text(record.last_seen.as_millis()),
            idle: record.limits.idle.at().map(millis).map(Text),
            absolute: record.limits.absolute.at().map(millis).map(Text),
            choice: written(&record.choice)?,
            patch: written(&record.patch)?,
            ended: None,
            reason: None,
            by: None,
            keep: Text(millis(keep)),
        })
    }

    /// Reads a record back.
    pub(super) fn read(text: &[u8]) -> Result<SessionRecord, Failure> {
        let stored: Self = serde_json::from_slice(text).map_err(Failure::Garbage)?;
        let patches = [patch(&stored.choice)?, patch(&stored.patch)?];
        stored.into_record(patches).ok_or(Failure::Strange)
    }

    /// The same for a list. By a policy that a newer version may have written nobody could be judged, but
    /// whose session it is can be told, and that must not be left out where all are to be ended.
    pub(super) fn list(text: &[u8]) -> Result<SessionRecord, Failure> {
        let stored: Self = serde_json::from_slice(text).map_err(Failure::Garbage)?;
        let patches = [&stored.choice, &stored.patch].map(|text| patch(text).unwrap_or_default());
        stored.into_record(patches).ok_or(Failure::Strange)
    }

    fn into_record(self, [choice, patch]: [Option<PolicyPatch>; 2]) -> Option<SessionRecord> {
        Some(SessionRecord {
            id: PublicId::parse(&self.id)?,
            seal: SigningKey::parse(&self.seal)?,
            user: self.user.into(),
            client: Client { ip: self.ip.map(|ip| ip.0), device: self.device.into() },
            logged_in_at: Timestamp::from_millis(self.logged_in_at.0),
            last_seen: Timestamp::from_millis(self.last_seen.0),
            ended: match (self.ended, self.reason) {
                (Some(at), Some(reason)) => Some(Ended {
                    at: Timestamp::from_millis(at.0),
                    reason: reason.0,
                    by: self.by.map(Arc::from),
                }),
                (None, None) => None,
                _ => return None,
            },
            limits: Limits { idle: limit(self.idle), absolute: limit(self.absolute) },
            choice: choice.map(Arc::new),
            patch: patch.map(Arc::new),
        })
    }
}

fn patch(text: &Option<String>) -> Result<Option<PolicyPatch>, Failure> {
    text.as_deref().map(serde_json::from_str).transpose().map_err(Failure::Garbage)
}

fn limit(millis: Option<Text<i64>>) -> Limit<Duration> {
    let limit = millis.and_then(|Text(millis)| u64::try_from(millis).ok());
    limit.map_or(Limit::Off, |millis| Limit::At(Duration::from_millis(millis)))
}

/// What is asked of a script that writes. What is absent doesn't concern it.
#[derive(Default, Serialize)]
pub(super) struct Ask {
    /// The time now.
    pub(super) at: Text<i64>,
    pub(super) keep_logged: Text<i64>,
    pub(super) keep_unlogged: Text<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log_limit: Option<Text<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    /// The only one to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Text<PublicId>>,
    /// The only one not to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) but: Option<Text<PublicId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record: Option<Stored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replaces: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replaces_for: Option<Text<Reason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) places: Option<Text<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) overflow: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Text<Reason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<Text<i64>>,
    /// The new patch; an empty text for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) patch: Option<String>,
}

impl Ask {
    pub(super) fn ends(self, ended: &Ended) -> Self {
        Self {
            reason: Some(Text(ended.reason)),
            by: ended.by.as_ref().map(ToString::to_string),
            ..self
        }
    }

    pub(super) fn room(self, room: SessionLimit) -> Self {
        let overflow = match room.overflow {
            Overflow::Refuse if !room.may_refuse() => Overflow::Evict,
            overflow => overflow,
        };
        Self { places: Some(Text(room.places())), overflow: Some(overflow.as_str()), ..self }
    }
}
