//! Descriptions of sessions for the lists on pages.

use std::{fmt, sync::Arc};

use session_expire::{
    PublicId, Reason,
    clock::Timestamp,
    registry::{Client, SessionRecord},
};

use crate::format::{ago, as_date};

/// Cause of an end by an administrator.
pub(crate) const ADMINISTRATOR: &str = "administrator";
/// Cause of an end because a device was reported as lost.
pub(crate) const LOST_DEVICE: &str = "lost_device";
/// Cause of an end because the user changed the password.
pub(crate) const PASSWORD_CHANGED: &str = "password_changed";
/// Cause of an end because the security stamp is outdated. The library sets it.
const CREDENTIAL_CHANGED: &str = "credential_changed";
/// Cause of an end after too many wrong passwords on the confirmation page. The library sets it.
const TOO_MANY_ATTEMPTS: &str = "too_many_attempts";

/// Session in a list.
pub(crate) struct Device {
    pub(crate) id: PublicId,
    pub(crate) user: String,
    pub(crate) name: String,
    /// Address of the client at the login, if it is known.
    pub(crate) ip: Option<String>,
    /// Client of the last activity, if it differs from that of the login.
    pub(crate) last: Option<String>,
    /// Superuser who impersonates the user in this session, if any.
    pub(crate) actor: Option<String>,
    pub(crate) signed_in: Moment,
    pub(crate) last_seen: Moment,
    /// Time since the last activity, such as `3 minutes ago`.
    pub(crate) ago: String,
    /// `true` for the session of the request.
    pub(crate) is_current: bool,
    /// `true` if all earlier logins came from other devices or networks. It is a hint for the user.
    pub(crate) is_new: bool,
    pub(crate) end: Option<End>,
}

/// When and why the session ended.
pub(crate) struct End {
    pub(crate) at: Moment,
    pub(crate) reason: Reason,
    /// Cause, in addition to the reason.
    pub(crate) cause: Option<Arc<str>>,
    /// Device whose login evicted the session, if it is known.
    pub(crate) by: Option<String>,
}

/// Time. Displays a date for users.
pub(crate) struct Moment(pub(crate) Timestamp);

impl Moment {
    /// Returns the value of the attribute `datetime`.
    pub(crate) fn to_rfc3339(&self) -> String {
        self.0.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&as_date(self.0))
    }
}

impl Device {
    /// Returns all sessions of a user, for a request of the session `current`.
    pub(crate) fn list(
        all: &[SessionRecord],
        now: Timestamp,
        current: Option<PublicId>,
    ) -> Vec<Self> {
        let device =
            |record| Self { is_new: is_new(record, all), ..Self::new(record, now, current) };
        all.iter().map(device).collect()
    }

    /// Describes `record` for a request of the session `current`.
    pub(crate) fn new(record: &SessionRecord, now: Timestamp, current: Option<PublicId>) -> Self {
        Self {
            id: record.id,
            user: record.user.to_string(),
            name: device_name(&record.client),
            ip: record.client.ip.map(|ip| ip.to_string()),
            last: last_client(record),
            actor: record.actor.as_deref().map(str::to_owned),
            signed_in: Moment(record.logged_in_at),
            last_seen: Moment(record.last_seen),
            ago: ago(now.since(record.last_seen)),
            is_current: current == Some(record.id),
            is_new: false,
            end: End::new(record, now),
        }
    }
}

/// Returns `true` if the user has signed in before `record`, and only from other devices or
/// networks.
fn is_new(record: &SessionRecord, all: &[SessionRecord]) -> bool {
    let is_earlier = |other: &&SessionRecord| other.logged_in_at < record.logged_in_at;
    all.iter().any(|other| is_earlier(&other)) && !record.seen_before(all.iter().filter(is_earlier))
}

pub(crate) fn device_name(client: &Client) -> String {
    match &*client.device {
        "" => "Unknown device".to_owned(),
        name => name.to_owned(),
    }
}

/// Returns device and address of the last activity, as far as they differ from the login.
fn last_client(record: &SessionRecord) -> Option<String> {
    let last = record.last_client.as_deref()?;
    let device = (last.device != record.client.device).then(|| device_name(last));
    let ip = last.ip.filter(|ip| Some(*ip) != record.client.ip).map(|ip| ip.to_string());
    let parts: Vec<_> = device.into_iter().chain(ip).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

impl End {
    /// Returns the end of a session that has ended or expired.
    ///
    /// An expired session is open until its next request, but the list must not show it as active.
    fn new(record: &SessionRecord, now: Timestamp) -> Option<Self> {
        if let Some(ended) = &record.ended {
            let by = ended.by.as_ref().filter(|by| !by.is_empty()).map(ToString::to_string);
            let (at, cause) = (Moment(ended.at), ended.cause.clone());
            return Some(Self { at, reason: ended.reason, cause, by });
        }
        let reason = record.expiry_reason(now)?;
        let (start, limit) = match reason {
            Reason::Absolute => (record.authenticated_at, record.absolute),
            _ => (record.last_seen, record.idle),
        };
        let at = limit.at().map_or(now, |limit| start.plus(limit));
        Some(Self { at: Moment(at), reason, cause: None, by: None })
    }

    /// Returns the reason as text.
    pub(crate) fn text(&self) -> String {
        match (self.reason, &self.by) {
            (Reason::Idle, _) => "Inactive for too long".to_owned(),
            (Reason::Absolute, _) => "Time limit reached".to_owned(),
            (Reason::Evicted, Some(by)) => format!("Replaced by a sign-in on {by}"),
            (Reason::Evicted, None) => "Replaced by another session".to_owned(),
            (Reason::Revoked, _) => self.revoked_text().to_owned(),
            (Reason::LoggedOut, _) => "Signed out".to_owned(),
            _ => "Ended".to_owned(),
        }
    }

    fn revoked_text(&self) -> &'static str {
        match self.cause.as_deref() {
            Some(ADMINISTRATOR) => "Ended by an administrator",
            Some(LOST_DEVICE) => "Device reported as lost",
            Some(PASSWORD_CHANGED) => "Password changed",
            Some(CREDENTIAL_CHANGED) => "Password changed",
            Some(TOO_MANY_ATTEMPTS) => "Too many wrong passwords",
            Some(_) => "Ended",
            None => "Ended from another session",
        }
    }
}
