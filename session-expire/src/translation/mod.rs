//! Texts of this crate in the languages of users.
//!
//! A translation is complete: parsing fails if a text is missing. The builder parses the files of
//! this crate once, and requests share the parsed translations.

mod choice;
mod entries;
mod parse;
#[cfg(test)]
mod tests;
mod time_forms;

use std::{fmt, time::Duration};

use self::time_forms::TimeForms;
use crate::{dialog::texts::DialogTexts, messages::ended_texts::EndedTexts};

pub(crate) use self::choice::Translations;

/// Texts of the warning dialog, of the reasons, of device names and of durations in one language.
///
/// The crate contains English, German, French, Spanish, Polish and Arabic. The middleware selects
/// the best match for the user's languages (lookup, RFC 4647 §3.4), otherwise English.
/// [`translation`](crate::SessionExpireBuilder::translation) replaces texts and adds languages.
/// [`SessionHandle::translation`](crate::SessionHandle::translation) returns the translation for a
/// request.
///
/// ```
/// use session_expire::{minutes, page::Translation};
///
/// let polish = Translation::parse(r#"{ "lang": "pl" }"#)?;
/// assert_eq!(polish.duration(minutes(22)), "22 minuty");
/// assert_eq!(polish.device_name("Firefox on Linux"), "Firefox, Linux");
/// # Ok::<(), session_expire::error::TranslationError>(())
/// ```
///
/// # Keys
///
/// Each unit of time has a form for each plural category of its language (`zero`, `one`, `two`,
/// `few`, `many`, `other`; Unicode CLDR). These are the keys with their English texts:
///
/// ```json
#[doc = include_str!("../../translations/en.json")]
/// ```
pub struct Translation {
    pub(crate) dialog: DialogTexts,
    pub(crate) ended: EndedTexts,
    time: TimeForms,
}

impl Translation {
    /// Parses a JSON object of texts.
    ///
    /// The object must contain `lang`. A language of this crate, or a regional variant such as
    /// `de-AT`, needs only the texts that differ from those of this crate. Any other language needs
    /// all [keys](Self#keys). `reviewer` is optional and ignored.
    ///
    /// # Errors
    ///
    /// Returns [`TranslationError`](crate::error::TranslationError), which names the key, if:
    ///
    /// - `json` is not an object of texts.
    /// - `lang` or `dir` is invalid.
    /// - a key is missing or unknown.
    /// - a text is empty.
    /// - a text lacks a placeholder of the English text, has it more than once, or has another one.
    ///
    /// ```
    /// use session_expire::page::Translation;
    ///
    /// let error = Translation::parse(r#"{ "lang": "de", "idle": "Gleich ist Schluss." }"#);
    /// assert_eq!(error.unwrap_err().to_string(), "`idle` lacks the placeholder {time}");
    /// ```
    pub fn parse(json: &str) -> Result<Self, crate::error::TranslationError> {
        parse::parse(json)
    }

    /// Returns the language for the attribute `lang`, such as `de` or `pt-BR`.
    #[must_use]
    pub fn lang(&self) -> &str {
        &self.dialog.lang
    }

    /// Returns the direction for the attribute `dir`: `ltr` or `rtl`.
    #[must_use]
    pub fn dir(&self) -> &str {
        &self.dialog.dir
    }

    /// Returns a duration in days, hours, minutes and seconds, rounded up to whole seconds, such as
    /// `1 hour 30 minutes`. The text omits units whose count is zero.
    ///
    /// The units have the grammatical case that the dialog needs. In German, it is the dative: "in
    /// 2 Tagen".
    ///
    /// ```
    /// use session_expire::{minutes, page::Translation};
    ///
    /// let german = Translation::parse(r#"{ "lang": "de" }"#)?;
    /// assert_eq!(german.duration(minutes(90)), "1 Stunde 30 Minuten");
    /// # Ok::<(), session_expire::error::TranslationError>(())
    /// ```
    #[must_use]
    pub fn duration(&self, duration: Duration) -> String {
        self.time.duration(duration)
    }

    /// Translates a name that [`device_name`](crate::request::device_name) has returned, such as
    /// `Firefox on Linux`. Returns any other text unchanged.
    #[must_use]
    pub fn device_name(&self, name: &str) -> String {
        self.ended.device_name(name)
    }
}

impl fmt::Debug for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translation").field("lang", &self.lang()).finish_non_exhaustive()
    }
}
