//! Texts about ended sessions, and the languages of a user.
//!
//! The default texts contain no user input. The device name is composed of fixed words.

use crate::{
    session::{ended::Ended, reason::Reason},
    time::Timestamp,
};

/// Languages of a user, most preferred first, in lower case, such as `["de-at", "en"]`.
///
/// ```
/// use session_expire::page::Languages;
///
/// let languages = Languages::parse("de-AT, en;q=0.8");
/// assert_eq!(languages.iter().collect::<Vec<_>>(), ["de-at", "en"]);
/// assert_eq!(languages.best_of(&["en", "fr"]), Some("en"));
/// assert_eq!(languages.best_of(&["fr"]), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Languages(Vec<String>);

/// More languages than any browser sends. The limit bounds the time for a long header.
const MAX_LANGUAGES: usize = 16;

impl Languages {
    /// Parses an `Accept-Language` header (RFC 9110 §12.5.4). Skips invalid parts, and reads at
    /// most 16 languages.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        let mut wanted: Vec<(f32, String)> = header
            .split(',')
            .take(MAX_LANGUAGES)
            .filter_map(parse_language)
            .filter(|(q, _)| *q > 0.0)
            .collect();
        wanted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        Self(wanted.into_iter().map(|(_, tag)| tag).collect())
    }

    /// Returns the languages, most preferred first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Returns the language of `available` that the user prefers, or `None` if none matches. `de`
    /// matches a user who prefers `de-at`.
    #[must_use]
    pub fn best_of<'a>(&self, available: &[&'a str]) -> Option<&'a str> {
        self.iter().find_map(|wanted| {
            let primary = wanted.split('-').next().unwrap_or(wanted);
            let exact = available.iter().find(|language| language.eq_ignore_ascii_case(wanted));
            exact
                .or_else(|| {
                    available.iter().find(|language| language.eq_ignore_ascii_case(primary))
                })
                .copied()
        })
    }
}

fn parse_language(part: &str) -> Option<(f32, String)> {
    let mut fields = part.split(';').map(str::trim);
    let tag = fields.next().filter(|tag| is_tag(tag))?.to_ascii_lowercase();
    let quality = match fields.find_map(|field| field.strip_prefix("q=")) {
        None => 1.0,
        Some(q) => q.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q))?,
    };
    Some((quality, tag))
}

fn is_tag(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !text.is_empty() && text.len() <= 35 && text.chars().all(letters)
}

/// Details of an ended session, for a text that the user reads.
///
/// ```
/// use session_expire::{Policy, Reason, SessionExpire, page::Notice};
///
/// fn text(notice: &Notice<'_>) -> String {
///     let german = notice.languages.best_of(&["en", "de"]) == Some("de");
///     match (notice.reason, notice.device) {
///         (Reason::Evicted, Some(device)) => format!("Signed out: you signed in with {device}."),
///         _ if german => "Sie wurden abgemeldet.".to_owned(),
///         _ => "You were signed out.".to_owned(),
///     }
/// }
///
/// let expire = SessionExpire::builder(Policy::new()).ended_texts(text).build()?;
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Notice<'a> {
    /// The reason.
    pub reason: Reason,
    /// The cause, which is a word of the application such as `password_changed`.
    pub cause: Option<&'a str>,
    /// Preferred languages of the user.
    pub languages: &'a Languages,
    /// Device whose login evicted the session or took its slot, such as `Firefox on Linux`. `None`
    /// if it is unknown, or if no login ended the session.
    pub device: Option<&'a str>,
    /// The time of the end, if it is known.
    pub at: Option<Timestamp>,
    /// Text of the application for the cause.
    pub(crate) cause_text: Option<&'a str>,
}

impl<'a> Notice<'a> {
    /// Returns a notice without cause, device and time, for tests of
    /// [`ended_texts`](crate::SessionExpireBuilder::ended_texts). The fields can be set.
    #[must_use]
    pub fn new(reason: Reason, languages: &'a Languages) -> Self {
        Self { reason, cause: None, languages, device: None, at: None, cause_text: None }
    }

    /// Returns the default text: the application's
    /// [`cause_text`](crate::SessionExpireBuilder::cause_text), else the English text for the
    /// cause, else the English text for the reason.
    ///
    /// The causes `administrator`, `credential_changed`, `password_changed` and `too_many_attempts`
    /// have English texts.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, page::Notice};
    ///
    /// fn text(notice: &Notice<'_>) -> String {
    ///     match notice.cause {
    ///         Some("account_closed") => "Your account was closed.".to_owned(),
    ///         _ => notice.default_text(),
    ///     }
    /// }
    ///
    /// let expire = SessionExpire::builder(Policy::new()).ended_texts(text).build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    #[must_use]
    pub fn default_text(&self) -> String {
        if let Some(text) = self.cause_text.or_else(|| text_of_cause(self.cause?)) {
            return text.to_owned();
        }
        let text = match self.reason {
            Reason::Idle => "You were signed out because you had not been active for a while.",
            Reason::Absolute => {
                "You were signed out because your session had reached its time limit."
            }
            Reason::Evicted => return evicted_text(self),
            // Any device or administrator may have ended it: only the application knows.
            Reason::Revoked if self.cause.is_some() => "You were signed out. Please sign in again.",
            // A login with a ticket took the slot.
            Reason::Revoked if self.device.is_some() => return evicted_text(self),
            Reason::Revoked => "You were signed out from another device.",
            Reason::LoggedOut => "You have signed out.",
            Reason::Unknown | Reason::Renewed => {
                "Your session is no longer valid. Please sign in again."
            }
        };
        text.to_owned()
    }
}

/// Returns the English text for a cause that the library or most applications use.
fn text_of_cause(cause: &str) -> Option<&'static str> {
    Some(match cause {
        "administrator" => "An administrator has signed you out. Please sign in again.",
        Ended::CREDENTIAL_CHANGED => {
            "You were signed out because your sign-in details have changed. Please sign in again."
        }
        "password_changed" => {
            "You were signed out because your password was changed. Please sign in again."
        }
        "too_many_attempts" => {
            "You were signed out after too many failed attempts to confirm your identity. \
             Please sign in again."
        }
        _ => return None,
    })
}

/// Returns the text about an evicted session.
///
/// Times are in UTC, because the server does not know the user's time zone. Without a device, the
/// text names no login: a page with a lower session limit may have evicted the session.
fn evicted_text(notice: &Notice<'_>) -> String {
    let time = notice.at.map(|at| at.to_utc().format("%H:%M UTC").to_string());
    let device = notice.device.filter(|device| !device.is_empty());
    let why = match device {
        Some(_) => "you signed in on another device",
        None => "your account is in use on another device",
    };
    let details: Vec<_> = device.into_iter().chain(time.as_deref()).collect();
    match details.is_empty() {
        true => format!("You were signed out because {why}."),
        false => format!("You were signed out because {why} ({}).", details.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_text_follows_the_cause() {
        let languages = Languages::default();
        for (cause, word) in [
            (None, "another device"),
            (Some("account_closed"), "You were signed out. Please sign in again."),
            (Some("administrator"), "administrator"),
            (Some("password_changed"), "password"),
            (Some("credential_changed"), "sign-in details"),
            (Some("too_many_attempts"), "too many failed attempts"),
        ] {
            let notice = Notice { cause, ..Notice::new(Reason::Revoked, &languages) };
            let text = notice.default_text();
            assert!(text.contains(word), "{cause:?}: {text}");
            assert_eq!(text.contains("device"), cause.is_none(), "{cause:?}: {text}");
        }
    }

    #[test]
    fn text_of_the_application_takes_precedence() {
        let languages = Languages::default();
        let mut notice = Notice::new(Reason::Revoked, &languages);
        notice.cause = Some("administrator");
        notice.cause_text = Some("Call us.");
        assert_eq!(notice.default_text(), "Call us.");
    }

    #[test]
    fn languages_are_sorted_by_preference() {
        for (header, expected) in [
            ("de", vec!["de"]),
            ("en;q=0.8, de-AT, fr;q=0.9", vec!["de-at", "fr", "en"]),
            ("en ; q=0.5 , de", vec!["de", "en"]),
            ("fr;q=0, en", vec!["en"]),
            ("", vec![]),
            ("*", vec![]),
            (",,;;q=1,=,de;q=NaN,en;q=2,it;q=-1,\u{fc}", vec![]),
        ] {
            assert_eq!(Languages::parse(header).iter().collect::<Vec<_>>(), expected, "{header}");
        }
        assert_eq!(Languages::parse(&"a,".repeat(100_000)).iter().count(), MAX_LANGUAGES);
    }

    #[test]
    fn best_language_is_first_available_preference() {
        let languages = Languages::parse("gsw, de-AT;q=0.9, pt-BR;q=0.8");
        assert_eq!(languages.best_of(&["en", "pt-BR", "de"]), Some("de"));
        assert_eq!(languages.best_of(&["pt-br"]), Some("pt-br"));
        assert_eq!(languages.best_of(&["en"]), None);
    }
}
