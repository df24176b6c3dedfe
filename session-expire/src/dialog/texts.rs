//! Texts and markup of the warning dialog.
//!
//! Applications can replace the texts. All texts are escaped.

use std::borrow::Cow;

use super::{
    assets::STYLE,
    html::{Markup, escape},
};

/// Texts of the warning dialog. Default: English. Set them with
/// [`dialog_texts`](crate::SessionExpireBuilder::dialog_texts).
///
/// The script replaces `{time}` with the remaining time, such as "2 minutes" or "45 seconds". Its
/// language is that of the nearest `lang` attribute.
///
/// ```
/// use session_expire::{Policy, SessionExpire, page::DialogTexts};
///
/// let expire = SessionExpire::builder(Policy::new())
///     .dialog_texts(|languages| {
///         let mut texts = DialogTexts::default();
///         if languages.best_of(&["en", "de"]) == Some("de") {
///             texts.stay = "Angemeldet bleiben".into();
///             texts.sign_out = "Abmelden".into();
///         }
///         texts
///     })
///     .build()?;
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialogTexts {
    /// Title of the warning before the idle timeout.
    pub idle_title: Cow<'static, str>,
    /// Text of the warning before the idle timeout. `{time}` is the remaining time.
    pub idle: Cow<'static, str>,
    /// Button that extends the session.
    pub stay: Cow<'static, str>,
    /// Title of the warning before the absolute timeout, which cannot be extended.
    pub session_title: Cow<'static, str>,
    /// Text of the warning before the absolute timeout. `{time}` is the remaining time.
    pub session: Cow<'static, str>,
    /// Button that closes the warning before the absolute timeout.
    pub ok: Cow<'static, str>,
    /// Title if the session has ended and the server cannot be reached.
    pub ended_title: Cow<'static, str>,
    /// Text if the session has ended and the server cannot be reached.
    pub ended: Cow<'static, str>,
    /// Button that tries again.
    pub retry: Cow<'static, str>,
    /// Error message if the session cannot be extended, because the server cannot be reached.
    pub failed: Cow<'static, str>,
    /// Button that signs out.
    pub sign_out: Cow<'static, str>,
}

impl Default for DialogTexts {
    fn default() -> Self {
        Self {
            idle_title: "Are you still there?".into(),
            idle: "You have not been active for a while. To protect your account, you will be \
                   signed out in {time}."
                .into(),
            stay: "Stay signed in".into(),
            session_title: "Your session is about to end".into(),
            session:
                "Every session ends after a fixed time, and yours ends in {time}. It can't be \
                      extended: save your work, then sign in again."
                    .into(),
            ok: "OK".into(),
            ended_title: "Your session has ended".into(),
            ended:
                "This page is hidden because you have probably been signed out. The site can't be \
                   reached. Check your connection and try again."
                    .into(),
            retry: "Try again".into(),
            failed: "Your session could not be extended. Check your connection and try again."
                .into(),
            sign_out: "Sign out".into(),
        }
    }
}

impl DialogTexts {
    /// Returns the link to the style, and the closed dialog.
    pub(crate) fn markup(&self, prefix: &str) -> Markup {
        let (prefix, style) = (escape(prefix), STYLE.path());
        let text = state_attributes(&self.idle, &self.session, &self.ended);
        Markup::new(format!(
            "<link rel=\"stylesheet\" href=\"{prefix}/{style}\">\
             <dialog class=\"session-expire\" role=\"alertdialog\" \
             aria-labelledby=\"session-expire-title\" aria-describedby=\"session-expire-text\">\
             <h2 id=\"session-expire-title\"{}></h2>\
             <p aria-hidden=\"true\"{text}></p>\
             <p id=\"session-expire-text\" aria-live=\"assertive\"{text}></p>\
             <p role=\"alert\" data-text=\"{}\"></p>\
             <form method=\"post\" action=\"{prefix}/logout\">\
             <button type=\"button\" autofocus{}></button><button>{}</button></form></dialog>",
            state_attributes(&self.idle_title, &self.session_title, &self.ended_title),
            escape(&self.failed),
            state_attributes(&self.stay, &self.ok, &self.retry),
            escape(&self.sign_out),
        ))
    }
}

/// Returns the attributes with the texts of one element in the three states of the dialog.
fn state_attributes(idle: &str, session: &str, ended: &str) -> String {
    let [idle, session, ended] = [idle, session, ended].map(escape);
    format!(
        " data-when-idle=\"{idle}\" data-when-session=\"{session}\" data-when-ended=\"{ended}\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let hostile = Cow::Borrowed("</dialog><script>\"'&{time}");
        let texts =
            DialogTexts { idle: hostile.clone(), sign_out: hostile, ..DialogTexts::default() };
        let markup = texts.markup("/session").to_string();
        assert!(!markup.contains("<script>") && !markup.contains("\"'&{"), "{markup}");
        assert_eq!(markup.matches("</dialog>").count(), 1);
    }
}
