//! Flash message: a text that a page shows once.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Level of a message, as in Django's messages.
///
/// ```
/// use session_expire::{FlashMessage, Level};
/// let messages = [FlashMessage::new(Level::Info, "Saved."), FlashMessage::new(Level::Error, "Full.")];
/// assert!(messages.iter().any(|message| message.level() >= Level::Warning));
/// assert_eq!(Level::Error.as_str(), "error");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For developers.
    Debug,
    /// For information.
    Info,
    /// Something went well.
    Success,
    /// Something needs attention.
    Warning,
    /// Something went wrong.
    Error,
}

impl Level {
    /// Returns the word used as a CSS class.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Message that is shown once. It displays as its text, which the template must escape.
///
/// ```
/// use session_expire::{FlashMessage, Level};
/// let message = FlashMessage::new(Level::Success, "3 < 4").with_tags("sticky wide");
/// assert_eq!(message.tags(), "success sticky wide");
/// assert_eq!((message.text(), message.level()), ("3 < 4", Level::Success));
/// assert_eq!(format!("{message}"), "3 < 4"); // not escaped
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlashMessage {
    #[serde(rename = "l")]
    level: Level,
    #[serde(rename = "t")]
    text: String,
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    extra_tags: String,
}

impl FlashMessage {
    /// Returns a message without extra tags.
    pub fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into(), extra_tags: String::new() }
    }

    /// Adds tags, separated by spaces.
    #[must_use]
    pub fn with_tags(mut self, tags: impl Into<String>) -> Self {
        self.extra_tags = tags.into();
        self
    }

    /// Returns the level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns the level and the extra tags, separated by spaces: for a `class` attribute.
    #[must_use]
    pub fn tags(&self) -> String {
        format!("{} {}", self.level.as_str(), self.extra_tags).trim_end().to_owned()
    }

    /// Returns the text, not escaped.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for FlashMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_the_level_and_the_extra_ones() {
        let message = FlashMessage::new(Level::Info, "a");
        assert_eq!(message.tags(), "info");
        assert_eq!(message.with_tags("safe tall").tags(), "info safe tall");
    }
}
