//! Texts and markup of the warning dialog.
//!
//! Applications can replace the texts. All texts are escaped.

use std::borrow::Cow;

use super::{
    assets::STYLE,
    html::{Markup, escape},
};

/// Texts of the warning dialog. Set them with
/// [`dialog_texts`](crate::SessionExpireBuilder::dialog_texts). Default: English texts, or texts in
/// the language of the user with the feature `translations`.
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
    /// Title of a locked page (see [`AtEnd::Lock`](crate::AtEnd::Lock)).
    pub locked_title: Cow<'static, str>,
    /// Text of a locked page. It must not name the user.
    pub locked: Cow<'static, str>,
    /// Button of a locked page. It opens the login page in a new tab.
    pub sign_in_again: Cow<'static, str>,
    /// Error message of a locked page if the browser does not open a new tab.
    pub tab_blocked: Cow<'static, str>,
    /// Text and title of `signed-in`, the last page of the sign-in for a locked page.
    pub signed_in: Cow<'static, str>,
    /// Text and title of `signed-in` for a visitor who is not signed in.
    pub not_signed_in: Cow<'static, str>,
    /// Link of `signed-in` to the login page.
    pub sign_in: Cow<'static, str>,
    /// Language of `signed-in`, such as `en` (WCAG 3.1.1).
    pub lang: Cow<'static, str>,
    /// Direction of `signed-in`: `ltr` or `rtl`.
    pub dir: Cow<'static, str>,
    /// Button that tries again.
    pub retry: Cow<'static, str>,
    /// Error message if the server cannot be reached to extend the session.
    pub failed: Cow<'static, str>,
    /// Button that signs out.
    pub sign_out: Cow<'static, str>,
    /// Attributes of a translated dialog: language, direction, and the forms of the units of time.
    pub(crate) attributes: Cow<'static, str>,
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
            ok: "Continue working".into(),
            ended_title: "Your session has ended".into(),
            ended:
                "This page is hidden because you have probably been signed out. The site can't be \
                   reached. Check your connection and try again."
                    .into(),
            locked_title: "This page is locked".into(),
            locked: "You were not active for a while and have been signed out. This page and \
                     your input are kept. Sign in again to continue."
                .into(),
            sign_in_again: "Sign in again".into(),
            tab_blocked:
                "Your browser did not open a new tab. Allow pop-ups for this site and try \
                          again, or sign in in another tab."
                    .into(),
            signed_in: "You are signed in. You can close this tab.".into(),
            not_signed_in: "You are not signed in.".into(),
            sign_in: "Sign in".into(),
            lang: "en".into(),
            dir: "ltr".into(),
            retry: "Try again".into(),
            failed: "Your session could not be extended. Check your connection and try again."
                .into(),
            sign_out: "Sign out".into(),
            attributes: "".into(),
        }
    }
}

impl DialogTexts {
    /// Returns the translatable texts with their keys.
    #[cfg(feature = "translations")]
    pub(crate) fn fields(&mut self) -> Vec<(&'static str, &mut Cow<'static, str>)> {
        crate::messages::fields!(self:
            dir, idle_title, idle, stay, session_title, session, ok, ended_title, ended,
            locked_title, locked, sign_in_again, tab_blocked, signed_in, not_signed_in, sign_in,
            retry, failed, sign_out
        )
    }

    /// Returns the link to the style, and the closed dialog. If `locks` is `true`, the dialog
    /// contains the texts of a locked page.
    pub(crate) fn markup(&self, prefix: &str, locks: bool) -> Markup {
        let (prefix, style) = (escape(prefix), STYLE.path());
        let states = |idle, session, ended, locked: &str| {
            state_attributes(idle, session, ended, locks.then_some(locked))
        };
        let text = states(&self.idle, &self.session, &self.ended, &self.locked);
        let blocked = match locks {
            true => format!(" data-blocked=\"{}\"", escape(&self.tab_blocked)),
            false => String::new(),
        };
        Markup::new(format!(
            "<link rel=\"stylesheet\" href=\"{prefix}/{style}\">\
             <dialog class=\"session-expire\" role=\"alertdialog\" \
             aria-labelledby=\"session-expire-title\" aria-describedby=\"session-expire-text\"{}>\
             <h2 id=\"session-expire-title\"{}>{}</h2>\
             <p aria-hidden=\"true\"{text}></p>\
             <p id=\"session-expire-text\" aria-live=\"assertive\"{text}></p>\
             <p role=\"alert\" data-text=\"{}\"{blocked}></p>\
             <form method=\"post\" action=\"{prefix}/logout\">\
             <button type=\"button\" autofocus{}></button><button>{}</button></form></dialog>",
            self.attributes,
            states(&self.idle_title, &self.session_title, &self.ended_title, &self.locked_title),
            escape(&self.idle_title), // a heading must not be empty; the script replaces the text
            escape(&self.failed),
            states(&self.stay, &self.ok, &self.retry, &self.sign_in_again),
            escape(&self.sign_out),
        ))
    }
}

/// Returns the attributes with the texts of one element in the states of the dialog.
fn state_attributes(idle: &str, session: &str, ended: &str, locked: Option<&str>) -> String {
    let attribute = |state, text| format!(" data-when-{state}=\"{}\"", escape(text));
    let states = [("idle", idle), ("session", session), ("ended", ended)];
    let states = states.into_iter().chain(locked.map(|text| ("locked", text)));
    states.map(|(state, text)| attribute(state, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_without_a_translation_have_no_language() {
        let markup = DialogTexts::default().markup("/session", true).to_string();
        assert!(markup.contains("describedby=\"session-expire-text\"><h2"), "{markup}");
    }

    #[test]
    fn texts_are_escaped() {
        let hostile = Cow::Borrowed("</dialog><script>\"'&{time}");
        let texts = DialogTexts {
            tab_blocked: hostile.clone(),
            sign_out: hostile,
            ..DialogTexts::default()
        };
        let markup = texts.markup("/session", true).to_string();
        assert!(!markup.contains("<script>") && !markup.contains("\"'&{"), "{markup}");
        assert_eq!(markup.matches("</dialog>").count(), 1);
    }
}
