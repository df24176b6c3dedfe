//! Messages for a person, kept until a page shows them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// More would not fit a cookie beside the rest of a session; the oldest go first.
const MOST: usize = 12;

/// The longest text of all waiting messages together, in bytes, for the same reason.
const LONGEST: usize = 1_500;

/// How important a message is, as in Django's messages.
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
    /// The word used as a CSS class.
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

/// A message that is shown once. It prints as its text; the template escapes it.
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
    /// A message without extra tags.
    pub fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into(), extra_tags: String::new() }
    }

    /// Adds tags, separated by spaces.
    #[must_use]
    pub fn with_tags(mut self, tags: impl Into<String>) -> Self {
        self.extra_tags = tags.into();
        self
    }

    /// Its level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Its level and its extra tags, separated by spaces: for a `class` attribute.
    #[must_use]
    pub fn tags(&self) -> String {
        format!("{} {}", self.level.as_str(), self.extra_tags).trim_end().to_owned()
    }

    /// Its text, not escaped.
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

/// The messages of one request: those that waited, then those it adds.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: Vec<FlashMessage>,
    /// How many of them came along with the session.
    waited: usize,
    shown: usize,
    changed: bool,
}

impl Queue {
    pub(crate) fn waiting(messages: Vec<FlashMessage>) -> Self {
        Self { waited: messages.len(), messages, ..Self::default() }
    }

    /// Drops those that waited: they were for somebody else.
    pub(crate) fn forget_waiting(&mut self) {
        let waited = std::mem::take(&mut self.waited);
        self.messages.drain(..waited);
        self.shown = self.shown.saturating_sub(waited);
        self.changed |= waited > 0;
    }

    /// Puts messages that wait in front.
    pub(crate) fn bring_back(&mut self, waiting: Vec<FlashMessage>) {
        self.messages.drain(..std::mem::take(&mut self.shown));
        self.waited = waiting.len();
        self.messages.splice(..0, waiting);
    }

    pub(crate) fn push(&mut self, message: FlashMessage) {
        self.messages.push(message);
        self.changed = true;
    }

    /// Everything not shown yet. From here on it counts as shown.
    pub(crate) fn show(&mut self) -> Vec<FlashMessage> {
        let fresh = self.messages[self.shown..].to_vec();
        self.changed |= !fresh.is_empty();
        self.shown = self.messages.len();
        fresh
    }

    /// Takes back that anything was shown.
    pub(crate) fn unshow(&mut self) {
        self.shown = 0;
    }

    /// What must be kept for a later page, if that is not what the session holds already.
    pub(crate) fn to_keep(&self) -> Option<&[FlashMessage]> {
        self.changed.then(|| within_bounds(&self.messages[self.shown..]))
    }

    /// What must be kept in a session that lost everything it held.
    pub(crate) fn unshown(&self) -> &[FlashMessage] {
        within_bounds(&self.messages[self.shown..])
    }
}

/// The newest messages that a cookie can carry. A cookie that grows too large is dropped by the
/// browser without a word, and the person with it.
fn within_bounds(messages: &[FlashMessage]) -> &[FlashMessage] {
    let mut bytes = 0;
    let kept = messages.iter().rev().take(MOST).take_while(|message| {
        bytes += message.text.len() + message.extra_tags.len();
        bytes <= LONGEST
    });
    let dropped = messages.len() - kept.count();
    if dropped > 0 {
        tracing::warn!(dropped, "too many flash messages are waiting; the oldest were dropped");
    }
    &messages[dropped..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(messages: &[FlashMessage]) -> Vec<&str> {
        messages.iter().map(FlashMessage::text).collect()
    }

    #[test]
    fn tags_are_the_level_and_the_extra_ones() {
        let message = FlashMessage::new(Level::Info, "a");
        assert_eq!(message.tags(), "info");
        assert_eq!(message.with_tags("safe tall").tags(), "info safe tall");
    }

    #[test]
    fn messages_are_shown_once_and_in_order() {
        let mut queue = Queue::waiting(vec![FlashMessage::new(Level::Info, "waited")]);
        assert_eq!(queue.to_keep(), None);
        queue.push(FlashMessage::new(Level::Info, "pushed"));
        assert_eq!(texts(queue.to_keep().unwrap()), ["waited", "pushed"]);
        assert_eq!(texts(&queue.show()), ["waited", "pushed"]);
        queue.push(FlashMessage::new(Level::Info, "late"));
        assert_eq!(texts(queue.to_keep().unwrap()), ["late"]);
    }

    #[test]
    fn a_flood_keeps_the_newest_that_a_cookie_can_carry() {
        let many: Vec<_> = (0..40).map(|n| FlashMessage::new(Level::Info, n.to_string())).collect();
        assert_eq!(texts(within_bounds(&many))[0], "28");
        let long = "x".repeat(1_400);
        let heavy: Vec<_> =
            ["a", &long, "b"].map(|text| FlashMessage::new(Level::Info, text)).into();
        assert_eq!(texts(within_bounds(&heavy)), ["a", &long, "b"]);
        let too_heavy: Vec<_> =
            [long.as_str(), &long, "b"].map(|t| FlashMessage::new(Level::Info, t)).into();
        assert_eq!(texts(within_bounds(&too_heavy)), [&long, "b"]);
    }
}
