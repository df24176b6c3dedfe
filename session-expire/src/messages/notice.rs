//! Texts about ended sessions, and the languages of a user.
//!
//! The default texts contain no user input. The device name is composed of fixed words.

use std::iter;

use super::ended_texts::{ENGLISH, EndedTexts};
use crate::{session::reason::Reason, time::Timestamp};

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

    /// Returns the language of `available` that the user prefers, or `None` if none matches (lookup,
    /// RFC 4647 §3.4). `de` matches a user who prefers `de-at`.
    #[must_use]
    pub fn best_of<'a>(&self, available: &[&'a str]) -> Option<&'a str> {
        let find = |tag: &str| available.iter().find(|language| language.eq_ignore_ascii_case(tag));
        self.lookup(find).copied()
    }

    /// Returns the first result of `find` for a language of the user, or for a prefix of its tag.
    pub(crate) fn lookup<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.iter().find_map(|wanted| {
            let prefixes = iter::successors(Some(wanted), |tag| Some(tag.rsplit_once('-')?.0));
            prefixes.into_iter().find_map(&find)
        })
    }

    /// Adds `tag` as the most preferred language. Ignores an invalid tag.
    pub(crate) fn prefer(&mut self, tag: &str) {
        if is_tag(tag) {
            self.0.insert(0, tag.to_ascii_lowercase());
        }
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
    /// Texts in the language of the user.
    pub(crate) texts: &'a EndedTexts,
}

impl<'a> Notice<'a> {
    /// Returns a notice without cause, device and time, for tests of
    /// [`ended_texts`](crate::SessionExpireBuilder::ended_texts). The fields can be set. Its
    /// [`default_text`](Self::default_text) is English.
    #[must_use]
    pub fn new(reason: Reason, languages: &'a Languages) -> Self {
        Self {
            reason,
            cause: None,
            languages,
            device: None,
            at: None,
            cause_text: None,
            texts: &ENGLISH,
        }
    }

    /// Returns the default text: the application's
    /// [`cause_text`](crate::SessionExpireBuilder::cause_text), else the text of this crate for the
    /// cause, else its text for the reason.
    ///
    /// This crate has texts for the causes `administrator`, `credential_changed`,
    /// `password_changed` and `too_many_attempts`. Its texts are English. With the feature
    /// `translations`, they are in the language of the user.
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
        match self.cause_text {
            Some(text) => text.to_owned(),
            None => self.texts.text(self),
        }
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
