//! Choice of the translation for a user.

use std::sync::Arc;

use super::{
    Translation,
    parse::{FILES, parse},
};
use crate::{error::TranslationError, messages::notice::Languages};

/// Translations by language. English is the default.
pub(crate) struct Translations {
    english: Arc<Translation>,
    others: Vec<Arc<Translation>>,
}

impl Translations {
    /// Parses the files of this crate, and adds the translations of the application. The last
    /// translation into a language applies.
    pub(crate) fn new(own: Vec<Translation>) -> Result<Self, TranslationError> {
        let [(_, english), others @ ..] = FILES;
        let mut translations = Self { english: Arc::new(parse(english)?), others: vec![] };
        for (_, file) in others {
            translations.add(parse(file)?);
        }
        own.into_iter().for_each(|translation| translations.add(translation));
        Ok(translations)
    }

    fn add(&mut self, translation: Translation) {
        if translation.lang() == self.english.lang() {
            self.english = Arc::new(translation);
        } else {
            self.others.retain(|other| other.lang() != translation.lang());
            self.others.push(Arc::new(translation));
        }
    }

    /// Returns the translation that the user prefers, or the English one if none matches.
    pub(crate) fn best_of(&self, languages: &Languages) -> &Arc<Translation> {
        let all = || self.others.iter().chain([&self.english]);
        let find = |tag: &str| all().find(|other| other.lang().eq_ignore_ascii_case(tag));
        languages.lookup(find).unwrap_or(&self.english)
    }
}
