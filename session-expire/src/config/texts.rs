//! Texts in the language of a user.
//!
//! The functions of the application take precedence over translations. Without the feature
//! `translations`, the default texts are English.

use std::borrow::Cow;

use actix_web::{HttpRequest, http::header};

use super::Config;
use crate::{
    dialog::texts::DialogTexts,
    messages::{
        ended_texts::EndedTexts,
        notice::{Languages, Notice},
    },
    policy::Policy,
    request::{RequestInfo, header_text},
};

impl Config {
    /// Returns the properties of a request, with the languages of the user.
    pub(crate) fn request_info(&self, req: &HttpRequest) -> RequestInfo {
        let info = RequestInfo::new(req, self.is_api(req));
        RequestInfo { languages: self.languages(req), ..info }
    }

    /// Returns the languages of the user: the chosen language, then those of the browser.
    pub(crate) fn languages(&self, req: &HttpRequest) -> Languages {
        let accepted = header_text(req.headers(), header::ACCEPT_LANGUAGE);
        let mut languages = accepted.map(Languages::parse).unwrap_or_default();
        if let Some(chosen) = self.user_language.as_ref().and_then(|language| language(req)) {
            languages.prefer(&chosen);
        }
        languages
    }

    /// Returns the text about an ended session: the policy's message, else the application's text,
    /// else the default.
    pub(crate) fn ended_text(&self, notice: &Notice<'_>, policy: &Policy) -> String {
        match (&policy.message, &self.texts) {
            (Some(message), _) => message.to_string(),
            (None, Some(texts)) => texts(notice),
            (None, None) => notice.default_text(),
        }
    }

    /// Returns the default texts about ended sessions in the best match of `languages`.
    pub(crate) fn ended_texts(&self, languages: &Languages) -> &EndedTexts {
        #[cfg(feature = "translations")]
        return &self.translations.best_of(languages).ended;
        #[cfg(not(feature = "translations"))]
        {
            let _ = languages;
            &crate::messages::ended_texts::ENGLISH
        }
    }

    /// Returns the texts of the dialog: the application's, else the default.
    pub(crate) fn dialog_texts(&self, req: &HttpRequest) -> Cow<'_, DialogTexts> {
        if let Some(texts) = &self.dialog_texts {
            return Cow::Owned(texts(&self.languages(req)));
        }
        #[cfg(feature = "translations")]
        return Cow::Borrowed(&self.translations.best_of(&self.languages(req)).dialog);
        #[cfg(not(feature = "translations"))]
        Cow::Owned(DialogTexts::default())
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use actix_web::test::TestRequest;

    use crate::{Policy, SessionExpire};

    #[cfg(not(feature = "translations"))]
    #[test]
    fn texts_without_the_feature_are_english() {
        use crate::{dialog::texts::DialogTexts, messages::ended_texts::ENGLISH};
        let expire = SessionExpire::builder(Policy::new()).build().unwrap();
        let req = TestRequest::default().insert_header(("accept-language", "de"));
        let (req, config) = (req.to_http_request(), expire.config());
        assert_eq!(*config.dialog_texts(&req), DialogTexts::default());
        assert_eq!(*config.ended_texts(&config.languages(&req)), ENGLISH);
    }

    #[test]
    fn chosen_language_precedes_those_of_the_browser() {
        for (chosen, expected) in
            [("PL", vec!["pl", "de", "en"]), ("", vec!["de", "en"]), ("p\u{142}", vec!["de", "en"])]
        {
            let builder = SessionExpire::builder(Policy::new());
            let expire = builder.user_language(|_| Some(chosen.to_owned())).build().unwrap();
            let req = TestRequest::default().insert_header(("accept-language", "de, en;q=0.5"));
            let info = expire.config().request_info(&req.to_http_request());
            assert_eq!(info.languages.iter().collect::<Vec<_>>(), expected);
        }
    }
}
