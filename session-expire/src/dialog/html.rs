//! HTML that templates render without escaping.
//!
//! [`escape`] escapes all texts and paths in the markup of this crate.

use std::fmt;

use serde::Serialize;

/// HTML that is safe to render without escaping.
///
/// ```
/// use session_expire::SessionVars;
///
/// fn footer(session: &SessionVars) -> String {
///     format!("<footer>Imprint</footer>{}", session.warning_dialog)
/// }
///
/// // The default is that of an anonymous visitor.
/// assert_eq!(footer(&SessionVars::default()), "<footer>Imprint</footer>");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Markup(String);

impl Markup {
    /// Returns `html` as markup.
    ///
    /// # Security
    ///
    /// Nothing is escaped: it must not contain user input.
    pub fn new(html: impl Into<String>) -> Self {
        Self(html.into())
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "askama")]
impl askama::filters::HtmlSafe for Markup {}

/// Returns the attribute with the name of the channel over which the tabs of a browser notify each
/// other. All scripts of an application must use the same one.
pub(crate) fn channel_attribute(prefix: &str) -> String {
    format!(" data-channel=\"session-expire{}\"", escape(prefix))
}

/// Escapes a text for HTML content and for attributes in double quotes.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
