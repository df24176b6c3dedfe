//! Parser of translations.
//!
//! The English texts in Rust define the keys, and the placeholders of each text.

use std::borrow::Cow;

use icu_locale_core::LanguageIdentifier;

use super::{
    Translation,
    entries::{Entries, placeholders},
    time_forms::TimeForms,
};
use crate::{
    dialog::{html::escape, texts::DialogTexts},
    error::TranslationError,
    messages::ended_texts::EndedTexts,
};

/// The languages of this crate and their files. The first is English.
pub(super) const FILES: [(&str, &str); 6] = [
    ("en", include_str!("../../translations/en.json")),
    ("de", include_str!("../../translations/de.json")),
    ("fr", include_str!("../../translations/fr.json")),
    ("es", include_str!("../../translations/es.json")),
    ("pl", include_str!("../../translations/pl.json")),
    ("ar", include_str!("../../translations/ar.json")),
];

/// Parses a translation. The file of this crate for the same language provides missing texts.
pub(super) fn parse(json: &str) -> Result<Translation, TranslationError> {
    let mut entries = Entries::parse(json)?;
    let language = parse_language(entries.take_optional("lang").unwrap_or_default())?;
    if let Some((_, file)) = FILES.iter().find(|(lang, _)| *lang == language.language.as_str()) {
        entries.complete_with(Entries::parse(file)?);
    }
    // The file of this crate contains these keys, too. They are not texts.
    for key in ["lang", "reviewer"] {
        entries.take_optional(key);
    }
    read(entries, &language)
}

fn parse_language(value: String) -> Result<LanguageIdentifier, TranslationError> {
    value.parse().map_err(|_| TranslationError::Language { value })
}

/// Returns the translation with the texts of `entries`.
fn read(
    mut entries: Entries,
    language: &LanguageIdentifier,
) -> Result<Translation, TranslationError> {
    let (mut dialog, mut ended) = (DialogTexts::default(), EndedTexts::english());
    for (key, text) in dialog.fields().into_iter().chain(ended.fields()) {
        let translated = entries.take(key, &placeholders(text))?;
        *text = Cow::Owned(translated);
    }
    let lang = language.to_string();
    let time = TimeForms::read(&mut entries, language)?;
    entries.finish(&lang)?;
    if !["ltr", "rtl"].contains(&&*dialog.dir) {
        return Err(TranslationError::Direction { value: dialog.dir.into_owned() });
    }
    let attributes = format!(" lang=\"{}\" dir=\"{}\"", escape(&lang), escape(&dialog.dir));
    dialog.attributes = Cow::Owned(attributes + &time.attributes());
    dialog.lang = Cow::Owned(lang);
    Ok(Translation { dialog, ended, time })
}
