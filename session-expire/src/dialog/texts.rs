//! The dialog that warns before a session ends: its texts and its markup.

use std::borrow::Cow;

use super::{
    assets::STYLE,
    html::{Markup, escape},
};

/// Texts of the warning dialog. Default: English. Set them with
/// [`dialog_texts`](crate::SessionExpireBuilder::dialog_texts).
///
/// `{time}` becomes the time left, such as "2 minutes" or "45 seconds", in the language of the page
/// (its nearest `lang` attribute) and with its plural forms.
///
/// ```
/// use session_expire::{Policy, SessionExpire, page::DialogTexts};
/// let expire = SessionExpire::builder(Policy::new())
///     .dialog_texts(|languages| match languages.best_of(&["en", "de"]) {
///         Some("de") => DialogTexts {
///             stay: "Angemeldet bleiben".into(),
///             sign_out: "Abmelden".into(),
///             ..DialogTexts::default()
///         },
///         _ => DialogTexts::default(),
///     })
///     .build()?;
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogTexts {
    /// Title before the idle timeout.
    pub idle_title: Cow<'static, str>,
    /// Text before the idle timeout, which is `{time}` away.
    pub idle: Cow<'static, str>,
    /// Button that extends the session.
    pub stay: Cow<'static, str>,
    /// Title before the absolute timeout, which cannot be extended.
    pub session_title: Cow<'static, str>,
    /// Text before the absolute timeout, which is `{time}` away.
    pub session: Cow<'static, str>,
    /// Button that closes this notice.
    pub understood: Cow<'static, str>,
    /// Title when the session has ended and the server cannot be reached.
    pub over_title: Cow<'static, str>,
    /// Text for that case.
    pub over: Cow<'static, str>,
    /// Button that tries again.
    pub retry: Cow<'static, str>,
    /// Error message when the session could not be extended, because the server cannot be reached.
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
            understood: "OK".into(),
            over_title: "Your session is over".into(),
            over: "This page is hidden, because you have probably been signed out. The site can't \
                   be reached right now: check your connection, then try again."
                .into(),
            retry: "Try again".into(),
            failed: "That did not work: the site can't be reached. Check your connection and try \
                     again."
                .into(),
            sign_out: "Sign out".into(),
        }
    }
}

impl DialogTexts {
    /// The style and the dialog, closed; the script opens it.
    pub(crate) fn markup(&self, prefix: &str) -> Markup {
        let (prefix, style) = (escape(prefix), STYLE.path());
        let text = three(&self.idle, &self.session, &self.over);
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
            three(&self.idle_title, &self.session_title, &self.over_title),
            escape(&self.failed),
            three(&self.stay, &self.understood, &self.retry),
            escape(&self.sign_out),
        ))
    }
}

/// The texts of one part in each of the three states.
fn three(idle: &str, session: &str, over: &str) -> String {
    let [idle, session, over] = [idle, session, over].map(escape);
    format!(" data-when-idle=\"{idle}\" data-when-session=\"{session}\" data-when-over=\"{over}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_text_holds_stays_text() {
        let nasty = Cow::Borrowed("</dialog><script>\"'&{time}");
        let texts = DialogTexts { idle: nasty.clone(), sign_out: nasty, ..DialogTexts::default() };
        let markup = texts.markup("/session").to_string();
        assert!(!markup.contains("<script>") && !markup.contains("\"'&{"), "{markup}");
        assert_eq!(markup.matches("</dialog>").count(), 1);
    }
}
