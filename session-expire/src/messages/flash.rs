//! Flash message and its level.
//!
//! The text is not escaped. Templates must escape it.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

/// Level of a message, as in Django's messages.
///
/// ```
/// use session_expire::page::FlashLevel;
///
/// assert!(FlashLevel::Error > FlashLevel::Warning);
/// assert_eq!(FlashLevel::Error.as_str(), "error");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FlashLevel {
    /// Information for developers.
    Debug,
    /// Information for the user.
    Info,
    /// An action succeeded.
    Success,
    /// An action needs attention, or may fail.
    Warning,
    /// An action failed.
    Error,
}

impl FlashLevel {
    /// Returns the lowercase word, for use as a CSS class.
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

impl fmt::Display for FlashLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Message that is shown once. `Display` writes the text, which the template must escape.
///
/// It serializes with the fields `level`, `text` and `tags`, for template engines that take
/// serialized values.
///
/// ```
/// use session_expire::page::{FlashLevel, FlashMessage};
///
/// let message = FlashMessage::new(FlashLevel::Success, "3 < 4").with_tags("sticky wide");
/// assert_eq!(message.tags(), "success sticky wide");
/// assert_eq!((message.text(), message.level()), ("3 < 4", FlashLevel::Success));
/// assert_eq!(format!("{message}"), "3 < 4"); // not escaped
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashMessage {
    level: FlashLevel,
    text: String,
    extra_tags: String,
}

impl FlashMessage {
    /// Returns a message without extra tags.
    pub fn new(level: FlashLevel, text: impl Into<String>) -> Self {
        Self { level, text: text.into(), extra_tags: String::new() }
    }

    /// Sets the extra tags, separated by spaces. Default: none.
    #[must_use]
    pub fn with_tags(mut self, tags: impl Into<String>) -> Self {
        self.extra_tags = tags.into();
        self
    }

    /// Returns the level.
    #[must_use]
    pub fn level(&self) -> FlashLevel {
        self.level
    }

    /// Returns the level and the extra tags, separated by spaces, for a `class` attribute.
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

impl Serialize for FlashMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("FlashMessage", 3)?;
        fields.serialize_field("level", &self.level)?;
        fields.serialize_field("text", &self.text)?;
        fields.serialize_field("tags", &self.tags())?;
        fields.end()
    }
}

/// Compact form of a [`FlashMessage`] for storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredFlash {
    #[serde(rename = "l")]
    level: FlashLevel,
    #[serde(rename = "t")]
    text: String,
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    extra_tags: String,
}

impl From<FlashMessage> for StoredFlash {
    fn from(message: FlashMessage) -> Self {
        let FlashMessage { level, text, extra_tags } = message;
        Self { level, text, extra_tags }
    }
}

impl From<StoredFlash> for FlashMessage {
    fn from(stored: StoredFlash) -> Self {
        let StoredFlash { level, text, extra_tags } = stored;
        Self { level, text, extra_tags }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_level_and_extra_tags() {
        let message = FlashMessage::new(FlashLevel::Info, "a");
        assert_eq!(message.tags(), "info");
        assert_eq!(message.with_tags("safe tall").tags(), "info safe tall");
    }
}
