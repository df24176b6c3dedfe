//! Data of the layout that all pages share.

use std::{
    fmt::Display,
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};
use session_expire::page::RemainingSeconds;

use crate::{
    format::{Limits, as_clock},
    language::Language,
    sign_in_notice,
    text_size::TextSize,
};

/// Data of the layout. Handlers extract it.
pub(crate) struct Layout {
    pub(crate) limits: Limits,
    appearance: Appearance,
}

/// Preferences of the browser. They do not depend on the registry.
#[derive(Clone, Copy)]
pub(crate) struct Appearance {
    pub(crate) text_size: TextSize,
    pub(crate) language: Language,
}

impl Appearance {
    pub(crate) fn new(req: &HttpRequest) -> Self {
        Self { text_size: TextSize::new(req), language: Language::new(req) }
    }

    /// Returns the language tag of the page, such as `de`.
    pub(crate) fn lang(&self) -> &'static str {
        self.language.tag()
    }

    /// Returns the direction of the page: `ltr` or `rtl`.
    pub(crate) fn dir(&self) -> &'static str {
        self.language.dir()
    }

    /// Returns all languages, each with `true` if it is the language of the page.
    pub(crate) fn languages(&self) -> impl Iterator<Item = (Language, bool)> {
        Language::ALL.into_iter().map(|language| (language, language == self.language))
    }

    /// Returns the translation of an English text.
    pub(crate) fn t<'a>(&self, text: &'a str) -> &'a str {
        self.language.t(text)
    }

    /// Returns the translation of an English text, with its placeholder `name` replaced by `value`.
    pub(crate) fn fill(&self, text: &str, name: &str, value: impl Display) -> String {
        self.language.fill(text, [(name, &value)])
    }

    /// Returns the translation of a text about `n` things. See [`Language::plural`].
    pub(crate) fn plural(&self, n: &u32, one: &str, other: &str) -> String {
        self.language.plural((*n).into(), one, other)
    }

    /// Returns the remaining time as `clock.js` formats it.
    pub(crate) fn clock(&self, seconds: &RemainingSeconds) -> String {
        as_clock(seconds, self.language)
    }

    /// Returns the text of a flash message.
    pub(crate) fn message(&self, text: &str) -> String {
        sign_in_notice::translate(text, self.language)
    }

    /// Returns the parts of a translation before and after its placeholder. A template renders an
    /// element between them.
    pub(crate) fn around<'a>(&self, text: &'a str, name: &str) -> (&'a str, &'a str) {
        let text = self.t(text);
        text.split_once(&format!("{{{name}}}")).unwrap_or((text, ""))
    }
}

impl Deref for Layout {
    type Target = Appearance;

    fn deref(&self) -> &Appearance {
        &self.appearance
    }
}

impl FromRequest for Layout {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limits = Limits::from_request(req, payload).into_inner();
        ready(limits.map(|limits| Self { limits, appearance: Appearance::new(req) }))
    }
}
