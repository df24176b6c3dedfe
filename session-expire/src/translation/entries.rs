//! Texts of a translation by key.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::TranslationError;

/// Texts that have not been read yet, and the keys of missing texts.
pub(super) struct Entries {
    texts: BTreeMap<String, String>,
    missing: Vec<String>,
}

impl Entries {
    /// Parses a JSON object of texts.
    pub(super) fn parse(json: &str) -> Result<Self, TranslationError> {
        let texts = serde_json::from_str(json);
        let texts = texts.map_err(|error| TranslationError::Json { problem: error.to_string() })?;
        Ok(Self { texts, missing: vec![] })
    }

    /// Adds the texts of `base` whose keys are missing.
    pub(super) fn complete_with(&mut self, base: Self) {
        for (key, text) in base.texts {
            self.texts.entry(key).or_insert(text);
        }
    }

    /// Removes and returns the text of `key`, which may be missing.
    pub(super) fn take_optional(&mut self, key: &str) -> Option<String> {
        self.texts.remove(key)
    }

    /// Removes and returns the text of `key`, which must have exactly the `required` placeholders.
    /// If it is missing, records the key and returns an empty text.
    pub(super) fn take(
        &mut self,
        key: &str,
        required: &BTreeSet<&str>,
    ) -> Result<String, TranslationError> {
        let Some(text) = self.texts.remove(key) else {
            self.missing.push(key.to_owned());
            return Ok(String::new());
        };
        check(key, &text, required)?;
        Ok(text)
    }

    /// Returns `true` if the text of `key` has no placeholder.
    pub(super) fn is_plain(&self, key: &str) -> bool {
        self.texts.get(key).is_some_and(|text| placeholders(text).is_empty())
    }

    /// Returns an error if a text was missing, or if one has not been read: its key is unknown.
    pub(super) fn finish(self, lang: &str) -> Result<(), TranslationError> {
        let lang = lang.to_owned();
        match self.texts.into_keys().next() {
            _ if !self.missing.is_empty() => {
                Err(TranslationError::MissingKeys { lang, keys: self.missing })
            }
            Some(key) => Err(TranslationError::UnknownKey { lang, key }),
            None => Ok(()),
        }
    }
}

/// Checks that a text is not blank, and has each of the `required` placeholders once and no other.
fn check(key: &str, text: &str, required: &BTreeSet<&str>) -> Result<(), TranslationError> {
    if text.trim().is_empty() {
        return Err(TranslationError::EmptyText { key: key.to_owned() });
    }
    let error = |name: &str| (key.to_owned(), name.to_owned());
    let mut found = BTreeSet::new();
    for name in names(text) {
        let (key, placeholder) = error(name);
        if !required.contains(name) {
            return Err(TranslationError::UnknownPlaceholder { key, placeholder });
        }
        // The script replaces only the first one.
        if !found.insert(name) {
            return Err(TranslationError::RepeatedPlaceholder { key, placeholder });
        }
    }
    match required.difference(&found).map(|name| error(name)).next() {
        Some((key, placeholder)) => Err(TranslationError::MissingPlaceholder { key, placeholder }),
        None => Ok(()),
    }
}

/// Returns the set of the names in braces.
pub(super) fn placeholders(text: &str) -> BTreeSet<&str> {
    names(text).collect()
}

/// Returns the names in braces. The name of an unclosed brace is the rest of the text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split('{').skip(1);
    parts.map(|part| part.split_once('}').map_or(part, |(name, _)| name))
}
