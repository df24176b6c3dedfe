//! Texts about ended sessions in one language.
//!
//! The default is English. [`Notice`] chooses the text.

use std::borrow::Cow;

use super::notice::Notice;
use crate::session::{ended::Ended, reason::Reason};

/// Texts about ended sessions. The names of the fields are the keys of a translation.
///
/// An eviction has four texts: with and without the device (`{device}`) and the time (`{time}`).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EndedTexts {
    pub(crate) reason_idle: Cow<'static, str>,
    pub(crate) reason_absolute: Cow<'static, str>,
    pub(crate) reason_evicted: Cow<'static, str>,
    pub(crate) reason_evicted_at: Cow<'static, str>,
    pub(crate) reason_evicted_by: Cow<'static, str>,
    pub(crate) reason_evicted_by_at: Cow<'static, str>,
    pub(crate) reason_revoked: Cow<'static, str>,
    pub(crate) reason_revoked_for_cause: Cow<'static, str>,
    pub(crate) reason_logged_out: Cow<'static, str>,
    pub(crate) reason_unknown: Cow<'static, str>,
    pub(crate) cause_administrator: Cow<'static, str>,
    pub(crate) cause_credential_changed: Cow<'static, str>,
    pub(crate) cause_password_changed: Cow<'static, str>,
    pub(crate) cause_too_many_attempts: Cow<'static, str>,
    #[cfg(feature = "translations")]
    pub(crate) device_on_system: Cow<'static, str>,
    #[cfg(feature = "translations")]
    pub(crate) device_unknown: Cow<'static, str>,
}

/// The default texts.
pub(crate) static ENGLISH: EndedTexts = EndedTexts::english();

impl EndedTexts {
    /// Returns the default texts.
    pub(crate) const fn english() -> Self {
        const fn text(text: &'static str) -> Cow<'static, str> {
            Cow::Borrowed(text)
        }
        Self {
            reason_idle: text("You were signed out because you had not been active for a while."),
            reason_absolute: text(
                "You were signed out because your session had reached its time limit.",
            ),
            reason_evicted: text(
                "You were signed out because your account is in use on another device.",
            ),
            reason_evicted_at: text(
                "You were signed out because your account is in use on another device ({time}).",
            ),
            reason_evicted_by: text(
                "You were signed out because you signed in on another device ({device}).",
            ),
            reason_evicted_by_at: text(
                "You were signed out because you signed in on another device ({device}, {time}).",
            ),
            reason_revoked: text("You were signed out from another device."),
            reason_revoked_for_cause: text("You were signed out. Please sign in again."),
            reason_logged_out: text("You have signed out."),
            reason_unknown: text("Your session is no longer valid. Please sign in again."),
            cause_administrator: text("An administrator has signed you out. Please sign in again."),
            cause_credential_changed: text(
                "You were signed out because your sign-in details have changed. \
                 Please sign in again.",
            ),
            cause_password_changed: text(
                "You were signed out because your password was changed. Please sign in again.",
            ),
            cause_too_many_attempts: text(
                "You were signed out after too many failed attempts to confirm your identity. \
                 Please sign in again.",
            ),
            #[cfg(feature = "translations")]
            device_on_system: text("{browser} on {system}"),
            #[cfg(feature = "translations")]
            device_unknown: text(crate::session::device_name::UNKNOWN_DEVICE),
        }
    }

    /// Returns the translatable texts with their keys.
    #[cfg(feature = "translations")]
    pub(crate) fn fields(&mut self) -> Vec<(&'static str, &mut Cow<'static, str>)> {
        super::fields!(self:
            reason_idle, reason_absolute, reason_evicted, reason_evicted_at, reason_evicted_by,
            reason_evicted_by_at, reason_revoked, reason_revoked_for_cause, reason_logged_out,
            reason_unknown, cause_administrator, cause_credential_changed, cause_password_changed,
            cause_too_many_attempts, device_on_system, device_unknown
        )
    }

    /// Returns the text for the cause of `notice`, else for its reason.
    pub(super) fn text(&self, notice: &Notice<'_>) -> String {
        if let Some(text) = notice.cause.and_then(|cause| self.text_of_cause(cause)) {
            return text.clone().into_owned();
        }
        let text = match notice.reason {
            Reason::Idle => &self.reason_idle,
            Reason::Absolute => &self.reason_absolute,
            Reason::Evicted => return self.evicted_text(notice),
            // Any device or administrator may have ended the session: only the application knows.
            Reason::Revoked if notice.cause.is_some() => &self.reason_revoked_for_cause,
            // A login with a ticket took the slot.
            Reason::Revoked if notice.device.is_some() => return self.evicted_text(notice),
            Reason::Revoked => &self.reason_revoked,
            Reason::LoggedOut => &self.reason_logged_out,
            Reason::Unknown | Reason::Renewed => &self.reason_unknown,
        };
        text.clone().into_owned()
    }

    /// Returns the text for a cause that the library or most applications use.
    fn text_of_cause(&self, cause: &str) -> Option<&Cow<'static, str>> {
        Some(match cause {
            "administrator" => &self.cause_administrator,
            Ended::CREDENTIAL_CHANGED => &self.cause_credential_changed,
            "password_changed" => &self.cause_password_changed,
            "too_many_attempts" => &self.cause_too_many_attempts,
            _ => return None,
        })
    }

    /// Returns the text about an evicted session.
    ///
    /// Times are in UTC, because the server does not know the user's time zone. Without a device,
    /// the text names no login: a page with a lower session limit may have evicted the session.
    fn evicted_text(&self, notice: &Notice<'_>) -> String {
        let device = notice.device.filter(|device| !device.is_empty());
        let text = match (device, notice.at) {
            (Some(_), Some(_)) => &self.reason_evicted_by_at,
            (Some(_), None) => &self.reason_evicted_by,
            (None, Some(_)) => &self.reason_evicted_at,
            (None, None) => &self.reason_evicted,
        };
        let time = notice.at.map(|at| at.to_utc().format("%H:%M UTC").to_string());
        let device = device.unwrap_or_default();
        #[cfg(feature = "translations")]
        let device = &self.device_name(device);
        // The device is inserted last, because its name may contain a placeholder.
        text.replace("{time}", time.as_deref().unwrap_or_default()).replace("{device}", device)
    }

    /// Translates a name that [`device_name`](crate::request::device_name) has returned. Returns
    /// any other text unchanged.
    #[cfg(feature = "translations")]
    pub(crate) fn device_name(&self, name: &str) -> String {
        use crate::session::device_name::{UNKNOWN_DEVICE, browser_and_system};
        match browser_and_system(name) {
            Some((browser, system)) => {
                self.device_on_system.replace("{browser}", browser).replace("{system}", system)
            }
            None if name == UNKNOWN_DEVICE => self.device_unknown.clone().into_owned(),
            None => name.to_owned(),
        }
    }
}
