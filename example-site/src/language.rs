//! Language of a request: a cookie, else `Accept-Language`, else English.
//!
//! The switch in the footer sets the cookie. Pages, messages and the texts of the middleware are in
//! this language.

use std::{
    fmt::Display,
    future::{Ready, ready},
    time::Duration,
};

use actix_web::{
    Error, FromRequest, HttpRequest,
    cookie::{self, Cookie, SameSite},
    dev::Payload,
    http::header::ACCEPT_LANGUAGE,
};
use serde::Deserialize;
use session_expire::page::Languages;

use crate::catalog::{Catalog, fill};

const COOKIE: &str = "language";

/// Language of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(crate) enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "de")]
    German,
    #[serde(rename = "fr")]
    French,
    #[serde(rename = "es")]
    Spanish,
    #[serde(rename = "pl")]
    Polish,
    #[serde(rename = "ar")]
    Arabic,
}

impl Language {
    /// All languages, in the order of the switch.
    pub(crate) const ALL: [Self; 6] =
        [Self::English, Self::German, Self::French, Self::Spanish, Self::Polish, Self::Arabic];

    /// Returns the language of a request.
    pub(crate) fn new(req: &HttpRequest) -> Self {
        Self::chosen(req).unwrap_or_else(|| Self::best_of(&accepted(req)))
    }

    /// Returns the language that the user has chosen in this browser.
    pub(crate) fn chosen(req: &HttpRequest) -> Option<Self> {
        req.cookie(COOKIE).and_then(|cookie| Self::find(cookie.value()))
    }

    /// Returns the best match for `languages`, else English.
    pub(crate) fn best_of(languages: &Languages) -> Self {
        let tags = Self::ALL.map(Self::tag);
        languages.best_of(&tags).and_then(Self::find).unwrap_or_default()
    }

    fn find(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// Returns the language tag, such as `de`.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Polish => "pl",
            Self::Arabic => "ar",
        }
    }

    /// Returns the name of the language in the language itself.
    pub(crate) fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
            Self::French => "Français",
            Self::Spanish => "Español",
            Self::Polish => "Polski",
            Self::Arabic => "العربية",
        }
    }

    /// Returns the direction of the text, for the attribute `dir`.
    pub(crate) fn dir(self) -> &'static str {
        if self == Self::Arabic { "rtl" } else { "ltr" }
    }

    /// Returns the cookie that stores the choice for a year.
    pub(crate) fn to_cookie(self) -> Cookie<'static> {
        let cookie = Cookie::build(COOKIE, self.tag()).path("/").http_only(true);
        cookie.same_site(SameSite::Lax).max_age(cookie::time::Duration::days(365)).finish()
    }

    /// Returns the translation of an English text, or the text itself if there is none.
    pub(crate) fn t(self, text: &str) -> &str {
        Catalog::of(self).text(text).unwrap_or(text)
    }

    /// Returns the translation of an English text, with its placeholders replaced by `values`.
    pub(crate) fn fill<const N: usize>(
        self,
        text: &str,
        values: [(&str, &dyn Display); N],
    ) -> String {
        fill(self.t(text), &self.isolated(values))
    }

    /// Returns the translation of a text about `n` things. `one` is the English text for 1. `other`
    /// is the English text for other numbers, and contains the placeholder `{n}`.
    pub(crate) fn plural(self, n: u64, one: &str, other: &str) -> String {
        let english = if n == 1 { one } else { other };
        let text = Catalog::of(self).plural(other, n);
        fill(text.unwrap_or(english), &[("n", n.to_string())])
    }

    /// Translates a name of a device, such as `Firefox on Linux`.
    pub(crate) fn device_name(self, name: &str) -> String {
        let library = Catalog::of(self).library();
        library.map_or_else(|| name.to_owned(), |library| library.device_name(name))
    }

    /// Returns text such as `1 hour 30 minutes`, rounded up to seconds. The units have the
    /// grammatical case that follows "in".
    pub(crate) fn duration(self, duration: Duration) -> String {
        let library = Catalog::of(self).library();
        library.map_or_else(String::new, |library| library.duration(duration))
    }

    /// Returns the values as text. In a right-to-left language, each value is isolated from the
    /// order of the words around it (Unicode UAX #9, first strong isolate).
    fn isolated<'a, const N: usize>(
        self,
        values: [(&'a str, &dyn Display); N],
    ) -> [(&'a str, String); N] {
        let is_right_to_left = self == Self::Arabic;
        values.map(|(name, value)| match is_right_to_left {
            true => (name, format!("\u{2068}{value}\u{2069}")),
            false => (name, value.to_string()),
        })
    }
}

/// Returns the languages of the header, or none if it is not text.
fn accepted(req: &HttpRequest) -> Languages {
    let header = req.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    header.map(Languages::parse).unwrap_or_default()
}

impl FromRequest for Language {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::new(req)))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn cookie_precedes_header_and_unknown_values_are_ignored() {
        let long = "de,".repeat(10_000);
        for (cookie, header, expected) in [
            (None, "", Language::English),
            (None, "de", Language::German),
            (None, "pl-PL,pl;q=0.9,en;q=0.8", Language::Polish),
            (None, "it, ar-EG;q=0.5, en;q=0.4", Language::Arabic),
            (None, "it", Language::English),
            (None, "*", Language::English),
            (None, "de;q=NaN", Language::English),
            (None, long.as_str(), Language::German),
            (Some("fr"), "de", Language::French),
            (Some("en"), "de", Language::English),
            (Some("xx"), "de", Language::German),
            (Some("\"><script>"), "es", Language::Spanish),
            (Some("DE"), "", Language::English),
        ] {
            let request = TestRequest::default().insert_header((ACCEPT_LANGUAGE, header));
            let request = match cookie {
                Some(value) => request.cookie(Cookie::new(COOKIE, value)),
                None => request,
            };
            assert_eq!(Language::new(&request.to_http_request()), expected, "{cookie:?} {header}");
        }
        let bytes = TestRequest::default().insert_header((ACCEPT_LANGUAGE, &b"de\xff"[..]));
        assert_eq!(Language::new(&bytes.to_http_request()), Language::English);
    }

    #[test]
    fn text_without_translation_is_english() {
        for language in Language::ALL {
            assert_eq!(language.t("No such text"), "No such text");
            assert_eq!(language.plural(1, "one apple", "{n} apples"), "one apple");
            assert_eq!(language.plural(2, "one apple", "{n} apples"), "2 apples");
        }
    }

    #[test]
    fn values_are_isolated_in_right_to_left_text() {
        let values = [("name", &"a<b" as &dyn Display)];
        assert_eq!(Language::English.fill("Hi {name}!", values), "Hi a<b!");
        assert_eq!(Language::Arabic.fill("Hi {name}!", values), "Hi \u{2068}a<b\u{2069}!");
    }
}
