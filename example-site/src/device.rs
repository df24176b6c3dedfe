//! Sessions as lists show them.

use std::fmt;

use session_expire::{PublicId, Reason, SessionRecord, Timestamp};

use crate::format::{ago, as_date};

/// One session in a list.
pub(crate) struct Device {
    pub(crate) id: PublicId,
    pub(crate) user: String,
    pub(crate) name: String,
    /// Address of the login, if it is known.
    pub(crate) ip: Option<String>,
    pub(crate) signed_in: Moment,
    pub(crate) last_seen: Moment,
    /// How long ago the user was last active, in words.
    pub(crate) ago: String,
    /// `true` for the session of the request.
    pub(crate) is_current: bool,
    pub(crate) end: Option<End>,
}

/// When and why a session ended.
pub(crate) struct End {
    pub(crate) at: Moment,
    pub(crate) reason: Reason,
    /// The device whose login evicted it, if it is known.
    pub(crate) by: Option<String>,
}

/// A time, displayed as text for users.
pub(crate) struct Moment(Timestamp);

impl Moment {
    /// Returns the value of a `datetime` attribute.
    pub(crate) fn for_machines(&self) -> String {
        self.0.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&as_date(self.0))
    }
}

impl Device {
    /// Describes `record` on a page that was requested with the session `current`.
    pub(crate) fn new(record: &SessionRecord, now: Timestamp, current: Option<PublicId>) -> Self {
        let name = match &*record.client.device {
            "" => "Unknown device",
            name => name,
        };
        Self {
            id: record.id,
            user: record.user.to_string(),
            name: name.to_owned(),
            ip: record.client.ip.map(|ip| ip.to_string()),
            signed_in: Moment(record.logged_in_at),
            last_seen: Moment(record.last_seen),
            ago: ago(now.since(record.last_seen)),
            is_current: current == Some(record.id),
            end: End::new(record, now),
        }
    }
}

impl End {
    /// Returns the end of a session, also of one that has expired without a request since.
    fn new(record: &SessionRecord, now: Timestamp) -> Option<Self> {
        match (&record.ended, record.expiry_reason(now)) {
            (Some(ended), _) => Some(Self {
                at: Moment(ended.at),
                reason: ended.reason,
                by: ended.by.as_ref().filter(|by| !by.is_empty()).map(ToString::to_string),
            }),
            (None, Some(reason)) => {
                let limits = record.limits;
                let at = match reason {
                    Reason::Absolute => {
                        limits.absolute.at().map(|d| record.authenticated_at.plus(d))
                    }
                    _ => limits.idle.at().map(|d| record.last_seen.plus(d)),
                };
                Some(Self { at: Moment(at.unwrap_or(now)), reason, by: None })
            }
            (None, None) => None,
        }
    }

    /// Returns the reason in words.
    pub(crate) fn text(&self) -> String {
        match (self.reason, &self.by) {
            (Reason::Idle, _) => "Not used for too long".to_owned(),
            (Reason::Absolute, _) => "Reached its time limit".to_owned(),
            (Reason::Evicted, Some(by)) => format!("Replaced by a sign-in with {by}"),
            (Reason::Evicted, None) => "Replaced by another session".to_owned(),
            (Reason::Revoked, _) => "Ended from another session".to_owned(),
            (Reason::LoggedOut, _) => "Signed out".to_owned(),
            _ => "Ended".to_owned(),
        }
    }
}
