//! Behaviour of an open page when the idle timeout has passed.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::ConfigError;

/// Behaviour of an open page when the idle timeout has passed. Default: [`Leave`](Self::Leave).
///
/// ```
/// use session_expire::{AtEnd, Policy};
///
/// let at_end: AtEnd = "lock".parse()?;
/// assert_eq!(Policy::new().at_end(at_end).at_end.as_str(), "lock");
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AtEnd {
    /// The page opens the login page.
    #[default]
    Leave,
    /// The page stays covered until the same user signs in again or re-authenticates in another
    /// tab. Activity on other pages does not uncover it.
    ///
    /// # Security
    ///
    /// The content of the page stays in the memory of the browser, contrary to ASVS 5.0 14.3.1.
    Lock,
}

impl AtEnd {
    pub(super) const WORDS: &'static str = "\"leave\" or \"lock\"";

    /// Returns `leave` or `lock`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Lock => "lock",
        }
    }
}

impl fmt::Display for AtEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AtEnd {
    type Err = ConfigError;

    /// Parses `leave` or `lock`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Value`] for any other text.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "leave" => Ok(Self::Leave),
            "lock" => Ok(Self::Lock),
            _ => Err(ConfigError::Value {
                key: "at_end",
                value: format!("{text:?}"),
                expected: Self::WORDS,
            }),
        }
    }
}

impl<'de> Deserialize<'de> for AtEnd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for AtEnd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
