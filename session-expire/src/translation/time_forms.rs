//! Durations in words, with the plural forms of a language.
//!
//! The script of the dialog selects forms by the same rules (Unicode CLDR).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use icu_locale_core::LanguageIdentifier;
use icu_plurals::{PluralCategory, PluralRules};

use super::entries::Entries;
use crate::{dialog::html::escape, error::TranslationError};

/// Units and their seconds, largest first.
const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];

/// Units that the script of the dialog needs.
const UNITS_OF_SCRIPT: [&str; 2] = ["minute", "second"];

/// Forms of the units of time in one language.
pub(super) struct TimeForms {
    rules: PluralRules,
    /// Forms by unit and plural category, such as `minute_few`. `{n}` is the number.
    forms: BTreeMap<String, String>,
    /// Text that joins a larger unit and a smaller one.
    join: String,
}

impl TimeForms {
    /// Reads the forms of all plural categories of the language.
    pub(super) fn read(
        entries: &mut Entries,
        language: &LanguageIdentifier,
    ) -> Result<Self, TranslationError> {
        let rules = PluralRules::try_new_cardinal(language.into())
            .map_err(|_| TranslationError::Language { value: language.to_string() })?;
        let join = entries.take("duration_join", &BTreeSet::from(["larger", "smaller"]))?;
        let mut forms = BTreeMap::new();
        for (unit, _) in UNITS {
            for category in rules.categories() {
                let key = form_key(unit, category);
                // "One minute" needs no number. A form for both 1 and 21 needs it.
                let is_optional = entries.is_plain(&key) && is_one_number(&rules, category);
                let required = if is_optional { BTreeSet::new() } else { BTreeSet::from(["n"]) };
                let form = entries.take(&key, &required)?;
                forms.insert(key, form);
            }
        }
        Ok(Self { rules, forms, join })
    }

    /// Returns the attributes of the dialog with the forms of its units.
    pub(super) fn attributes(&self) -> String {
        let forms = self
            .forms
            .iter()
            .filter(|(key, _)| UNITS_OF_SCRIPT.iter().any(|unit| key.starts_with(unit)));
        let attribute = |(key, form): (&String, &String)| {
            format!(" data-{}=\"{}\"", key.replace('_', "-"), escape(form))
        };
        forms.map(attribute).collect()
    }

    /// Returns a duration in words, rounded up to whole seconds.
    pub(super) fn duration(&self, duration: Duration) -> String {
        let mut rest = duration.as_secs().saturating_add((duration.subsec_nanos() > 0).into());
        let mut words: Option<String> = None;
        for (unit, size) in UNITS {
            let count = rest / size;
            rest %= size;
            if count > 0 {
                let form = self.form(unit, count);
                words = Some(match words {
                    Some(larger) => self.join(&larger, &form),
                    None => form,
                });
            }
        }
        words.unwrap_or_else(|| self.form("second", 0))
    }

    fn form(&self, unit: &str, count: u64) -> String {
        let key = form_key(unit, self.rules.category_for(count));
        let form = self.forms.get(&key).map(String::as_str).unwrap_or_default();
        form.replace("{n}", &count.to_string())
    }

    fn join(&self, larger: &str, smaller: &str) -> String {
        self.join.replace("{larger}", larger).replace("{smaller}", smaller)
    }
}

/// Returns `true` if the category contains exactly one of the numbers up to 200.
fn is_one_number(rules: &PluralRules, category: PluralCategory) -> bool {
    (0_u8..=200).filter(|n| rules.category_for(*n) == category).count() == 1
}

fn form_key(unit: &str, category: PluralCategory) -> String {
    let category = match category {
        PluralCategory::Zero => "zero",
        PluralCategory::One => "one",
        PluralCategory::Two => "two",
        PluralCategory::Few => "few",
        PluralCategory::Many => "many",
        PluralCategory::Other => "other",
    };
    format!("{unit}_{category}")
}
