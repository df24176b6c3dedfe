//! Builder options for texts and languages.
//!
//! The functions run in requests, so they must not block the thread.

use std::sync::Arc;

use actix_web::HttpRequest;

use super::SessionExpireBuilder;
#[cfg(feature = "translations")]
use crate::translation::Translation;
use crate::{
    dialog::texts::DialogTexts,
    messages::notice::{Languages, Notice},
};

impl SessionExpireBuilder {
    /// Sets the function that returns the text about an ended session, by reason, cause and
    /// language. Default: [`Notice::default_text`], which is English, or in the language of the
    /// user with the feature `translations`.
    ///
    /// A policy's [`message`](crate::Policy::message) takes precedence. If the text is empty, no
    /// message is shown. A text that is stored for the next page stays in the language of the
    /// request that stored it.
    ///
    /// ```
    /// use session_expire::{Policy, Reason, SessionExpire};
    ///
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .ended_texts(|notice| match notice.reason {
    ///         Reason::LoggedOut => "See you soon.".to_owned(),
    ///         Reason::Idle => "You were away for a while.".to_owned(),
    ///         _ => "Please sign in again.".to_owned(),
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn ended_texts<F>(mut self, texts: F) -> Self
    where
        F: Fn(&Notice<'_>) -> String + Send + Sync + 'static,
    {
        self.texts = Some(Arc::new(texts));
        self
    }

    /// Sets the text about a session that ended with `cause`, such as `password_changed`, for all
    /// languages. Default: the text of this crate for the cause, else for the reason. An empty text
    /// shows no message.
    ///
    /// [`Notice::default_text`] returns this text. For several languages, set
    /// [`ended_texts`](Self::ended_texts), which receives the cause and takes precedence. A
    /// policy's [`message`](crate::Policy::message) takes precedence over both.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, error::RegistryError};
    ///
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .cause_text("account_closed", "Your account was closed. Write to us to open it again.")
    ///     .build()?;
    ///
    /// async fn close_account(expire: &SessionExpire, user: &str) -> Result<usize, RegistryError> {
    ///     expire.sessions().with_cause("account_closed").end_all(user).await
    /// }
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn cause_text(mut self, cause: impl Into<Box<str>>, text: impl Into<Box<str>>) -> Self {
        self.cause_texts.insert(cause.into(), text.into());
        self
    }

    /// Sets the function that returns the texts of the
    /// [warning dialog](crate::SessionVars::warning_dialog), by language. Default: English texts,
    /// or texts in the language of the user with the feature `translations`.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, page::DialogTexts};
    ///
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .dialog_texts(|_languages| {
    ///         let mut texts = DialogTexts::default();
    ///         texts.idle = "For your safety, the bank signs you out in {time}.".into();
    ///         texts
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn dialog_texts<F>(mut self, texts: F) -> Self
    where
        F: Fn(&Languages) -> DialogTexts + Send + Sync + 'static,
    {
        self.dialog_texts = Some(Arc::new(texts));
        self
    }

    /// Sets the function that returns the language that the user has chosen, such as `de`, for
    /// example from a cookie. Default: none; the texts follow `Accept-Language`.
    ///
    /// The chosen language takes precedence over the languages of the browser. This applies to
    /// [`ended_texts`](Self::ended_texts), to [`dialog_texts`](Self::dialog_texts) and, with the
    /// feature `translations`, to the default texts. An invalid tag is ignored. The middleware may
    /// call the function several times in a request, so it should only read the request.
    ///
    /// The middleware also calls the function before the identity is available, so the function
    /// must not extract `Identity`: `get_identity` would panic. It can read entries of `Session`,
    /// but none remain after the session has ended. A cookie remains, and the text about the end is
    /// then in the chosen language, too.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    ///
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .user_language(|req| Some(req.cookie("language")?.value().to_owned()))
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn user_language<F>(mut self, language: F) -> Self
    where
        F: Fn(&HttpRequest) -> Option<String> + Send + Sync + 'static,
    {
        self.user_language = Some(Arc::new(language));
        self
    }

    /// Adds a language, or replaces texts of a language. Call it once per language. Default: the
    /// six languages of [`Translation`].
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, page::Translation};
    ///
    /// let german = Translation::parse(r#"{ "lang": "de", "stay": "Weiterarbeiten" }"#)?;
    /// let expire = SessionExpire::builder(Policy::new()).translation(german).build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    #[cfg(feature = "translations")]
    #[cfg_attr(docsrs, doc(cfg(feature = "translations")))]
    pub fn translation(mut self, translation: Translation) -> Self {
        self.translations.push(translation);
        self
    }
}
