//! Descriptions of sessions for the lists on pages.

use std::{fmt, sync::Arc};

use session_expire::{
    PublicId, Reason,
    clock::Timestamp,
    registry::{Client, SessionRecord},
};

use crate::{
    format::{ago, as_date},
    language::Language,
    layout::Appearance,
};

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
    /// `true` if the latest earlier logins came from other devices or networks. It is a hint for the
    /// user.
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
    language: Language,
}

/// Time. Displays a date for users.
pub(crate) struct Moment {
    at: Timestamp,
    language: Language,
}

impl Moment {
    pub(crate) fn new(at: Timestamp, language: Language) -> Self {
        Self { at, language }
    }

    /// Returns the value of the attribute `datetime`.
    pub(crate) fn to_rfc3339(&self) -> String {
        self.at.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&as_date(self.at, self.language))
    }
}

impl Device {
    /// Describes `records` for a request of the session `current`. A device is new if it differs
    /// from those of the earlier sessions in `known`.
    pub(crate) fn list(
        records: &[SessionRecord],
        known: &[SessionRecord],
        now: Timestamp,
        current: Option<PublicId>,
        language: Language,
    ) -> Vec<Self> {
        let new = |record| Self::new(record, now, current, language);
        let device = |record| Self { is_new: is_new(record, known), ..new(record) };
        records.iter().map(device).collect()
    }

    /// Describes `record` for a request of the session `current`.
    pub(crate) fn new(
        record: &SessionRecord,
        now: Timestamp,
        current: Option<PublicId>,
        language: Language,
    ) -> Self {
        Self {
            id: record.id,
            user: record.user.to_string(),
            name: device_name(&record.client, language),
            ip: record.client.ip.map(|ip| ip.to_string()),
            last: last_client(record, language),
            actor: record.actor.as_deref().map(str::to_owned),
            signed_in: Moment::new(record.logged_in_at, language),
            last_seen: Moment::new(record.last_seen, language),
            ago: ago(now.since(record.last_seen), language),
            is_current: current == Some(record.id),
            is_new: false,
            end: End::new(record, now, language),
        }
    }
}

impl Device {
    /// Returns the label of the button that ends the session, for screen readers.
    pub(crate) fn sign_out_label(&self, layout: &Appearance) -> String {
        let text = |text| {
            let address = self.ip.as_deref().unwrap_or_default();
            layout.language.fill(text, [("device", &self.name), ("address", &address)])
        };
        match (self.is_current, &self.ip) {
            (true, _) => text("Sign out on {device}, this device"),
            (false, Some(_)) => text("Sign out on {device}, {address}"),
            (false, None) => text("Sign out on {device}"),
        }
    }
}

/// Returns `true` if some of the `known` logins are earlier than `record`, and all of these came
/// from other devices or networks.
fn is_new(record: &SessionRecord, known: &[SessionRecord]) -> bool {
    let is_earlier = |other: &&SessionRecord| other.logged_in_at < record.logged_in_at;
    let mut earlier = known.iter().filter(is_earlier).peekable();
    earlier.peek().is_some() && !record.seen_before(earlier)
}

pub(crate) fn device_name(client: &Client, language: Language) -> String {
    match &*client.device {
        "" => language.t("Unknown device").to_owned(),
        name => language.device_name(name),
    }
}

/// Returns device and address of the last activity, as far as they differ from the login.
fn last_client(record: &SessionRecord, language: Language) -> Option<String> {
    let last = record.last_client.as_deref()?;
    let device = (last.device != record.client.device).then(|| device_name(last, language));
    let ip = last.ip.filter(|ip| Some(*ip) != record.client.ip).map(|ip| ip.to_string());
    match (device, ip) {
        (Some(device), Some(ip)) => {
            Some(language.fill("{device}, {address}", [("device", &device), ("address", &ip)]))
        }
        (device, ip) => device.or(ip),
    }
}

impl End {
    /// Returns the end of a session that has ended or expired.
    ///
    /// An expired session is open until its next request, but the list must not show it as active.
    fn new(record: &SessionRecord, now: Timestamp, language: Language) -> Option<Self> {
        if let Some(ended) = &record.ended {
            let by = ended.by.as_ref().filter(|by| !by.is_empty());
            let by = by.map(|by| language.device_name(by));
            let (at, cause) = (Moment::new(ended.at, language), ended.cause.clone());
            return Some(Self { at, reason: ended.reason, cause, by, language });
        }
        let reason = record.expiry_reason(now)?;
        let (start, limit) = match reason {
            Reason::Absolute => (record.authenticated_at, record.absolute),
            _ => (record.last_seen, record.idle),
        };
        let at = limit.at().map_or(now, |limit| start.plus(limit));
        Some(Self { at: Moment::new(at, language), reason, cause: None, by: None, language })
    }

    /// Returns the reason as text.
    pub(crate) fn text(&self) -> String {
        let language = self.language;
        match (self.reason, &self.by) {
            (Reason::Idle, _) => language.t("Inactive for too long"),
            (Reason::Absolute, _) => language.t("Time limit reached"),
            (Reason::Evicted, Some(by)) => {
                return language.fill("Replaced by a sign-in on {device}", [("device", by)]);
            }
            (Reason::Evicted, None) => language.t("Replaced by another session"),
            (Reason::Revoked, _) => self.revoked_text(),
            (Reason::LoggedOut, _) => language.t("Signed out"),
            _ => language.t("Ended"),
        }
        .to_owned()
    }

    fn revoked_text(&self) -> &'static str {
        let language = self.language;
        match self.cause.as_deref() {
            Some(ADMINISTRATOR) => language.t("Ended by an administrator"),
            Some(LOST_DEVICE) => language.t("Device reported as lost"),
            Some(PASSWORD_CHANGED | CREDENTIAL_CHANGED) => language.t("Password changed"),
            Some(TOO_MANY_ATTEMPTS) => language.t("Too many wrong passwords"),
            Some(_) => language.t("Ended"),
            None => language.t("Ended from another session"),
        }
    }
}
