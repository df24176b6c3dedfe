//! Translations of the site's texts. The English text is the key.
//!
//! The files are in `translations/`. A text without a translation is shown in English.

#[cfg(test)]
mod completeness;

use std::{collections::HashMap, sync::LazyLock};

use icu_locale_core::LanguageIdentifier;
use icu_plurals::{PluralCategory, PluralRules};
use serde::Deserialize;
use session_expire::page::Translation;

use crate::language::Language;

/// Translations into one language.
pub(crate) struct Catalog {
    texts: HashMap<String, Entry>,
    rules: Option<PluralRules>,
    /// Texts of the library in this language.
    library: Option<Translation>,
}

/// Translation of a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Text(String),
    /// Forms by CLDR plural category.
    Plural(HashMap<String, String>),
}

#[derive(Default, Deserialize)]
struct File {
    texts: HashMap<String, Entry>,
}

/// Catalogs in the order of [`Language::ALL`].
static CATALOGS: LazyLock<[Catalog; 6]> = LazyLock::new(|| Language::ALL.map(Catalog::new));

impl Catalog {
    /// Returns the translations into `language`. The first call parses all files.
    pub(crate) fn of(language: Language) -> &'static Self {
        &CATALOGS[language as usize]
    }

    fn new(language: Language) -> Self {
        let File { texts } = serde_json::from_str(file(language)).unwrap_or_default();
        let tag = language.tag();
        let locale = tag.parse::<LanguageIdentifier>().ok();
        Self {
            texts,
            rules: locale.and_then(|locale| PluralRules::try_new_cardinal(locale.into()).ok()),
            library: Translation::parse(&format!(r#"{{"lang":"{tag}"}}"#)).ok(),
        }
    }

    /// Returns the translation of `text`.
    pub(crate) fn text(&self, text: &str) -> Option<&str> {
        match self.texts.get(text)? {
            Entry::Text(text) => Some(text),
            Entry::Plural(_) => None,
        }
    }

    /// Returns the form of `text` for `n`, with the placeholder `{n}` unless the form needs none.
    pub(crate) fn plural(&self, text: &str, n: u64) -> Option<&str> {
        let Entry::Plural(forms) = self.texts.get(text)? else { return None };
        forms.get(self.plural_category(n)).or_else(|| forms.get("other")).map(String::as_str)
    }

    /// Returns the CLDR plural category of `n`.
    fn plural_category(&self, n: u64) -> &'static str {
        match self.rules.as_ref().map(|rules| rules.category_for(n)) {
            Some(PluralCategory::Zero) => "zero",
            Some(PluralCategory::One) => "one",
            Some(PluralCategory::Two) => "two",
            Some(PluralCategory::Few) => "few",
            Some(PluralCategory::Many) => "many",
            Some(PluralCategory::Other) | None => "other",
        }
    }

    /// Returns the texts of the library.
    pub(crate) fn library(&self) -> Option<&Translation> {
        self.library.as_ref()
    }
}

/// Returns the content of the file of `language`.
fn file(language: Language) -> &'static str {
    match language {
        Language::English => r#"{"texts":{}}"#,
        Language::German => include_str!("../translations/de.json"),
        Language::French => include_str!("../translations/fr.json"),
        Language::Spanish => include_str!("../translations/es.json"),
        Language::Polish => include_str!("../translations/pl.json"),
        Language::Arabic => include_str!("../translations/ar.json"),
    }
}

/// Marks an English text that is translated elsewhere. Returns it unchanged.
pub(crate) const fn text(english: &'static str) -> &'static str {
    english
}

/// Replaces the placeholders of `text`, such as `{name}`. Does not replace placeholders in a value.
pub(crate) fn fill(text: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
    {
        filled.push_str(before);
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => filled.push_str(value),
            None => filled.extend(["{", name, "}"]),
        }
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogs_are_in_the_order_of_languages() {
        for language in Language::ALL {
            let catalog = Catalog::of(language);
            assert_eq!(catalog.library().map(Translation::lang), Some(language.tag()));
            assert_eq!(catalog.library().map(Translation::dir), Some(language.dir()));
        }
    }

    #[test]
    fn plural_category_follows_the_language() {
        for (language, n, category) in [
            (Language::German, 1, "one"),
            (Language::German, 0, "other"),
            (Language::French, 0, "one"),
            (Language::Polish, 2, "few"),
            (Language::Polish, 12, "many"),
            (Language::Polish, 22, "few"),
            (Language::Arabic, 0, "zero"),
            (Language::Arabic, 2, "two"),
            (Language::Arabic, 3, "few"),
            (Language::Arabic, 11, "many"),
            (Language::Arabic, 100, "other"),
        ] {
            assert_eq!(Catalog::of(language).plural_category(n), category, "{language:?} {n}");
        }
    }

    #[test]
    fn placeholders_are_replaced_once() {
        let values = [("a", "{b}".to_owned()), ("b", "2".to_owned())];
        for (text, expected) in
            [("{a} and {b}", "{b} and 2"), ("{c} {a}", "{c} {b}"), ("{a", "{a"), ("}{", "}{")]
        {
            assert_eq!(fill(text, &values), expected);
        }
    }
}
