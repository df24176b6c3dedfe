//! Standards that an application can declare.

use std::{fmt, str::FromStr};

use crate::error::ConfigError;

/// Standard that an application declares to meet. A higher level includes the lower ones.
///
/// ```
/// use session_expire::compliance::Standard;
///
/// let standard: Standard = "asvs-l2".parse()?;
/// assert!(standard == Standard::AsvsL2 && standard.includes(Standard::AsvsL1));
/// assert!("asvs".parse::<Standard>().is_err());
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standard {
    /// OWASP ASVS 5.0, level 1.
    AsvsL1,
    /// OWASP ASVS 5.0, level 2.
    AsvsL2,
    /// OWASP ASVS 5.0, level 3.
    AsvsL3,
    /// NIST SP 800-63B-4, authentication assurance level 1.
    NistAal1,
    /// NIST SP 800-63B-4, authentication assurance level 2.
    NistAal2,
    /// NIST SP 800-63B-4, authentication assurance level 3.
    NistAal3,
    /// PCI DSS 4.0.1.
    PciDss4,
    /// Payment Services Directive 2, with the regulatory technical standards of Delegated
    /// Regulation (EU) 2018/389.
    Psd2,
    /// HIPAA Security Rule, 45 CFR Part 164.
    Hipaa,
    /// WCAG 2.2.
    Wcag22,
}

impl Standard {
    /// All standards.
    pub const ALL: [Self; 10] = [
        Self::AsvsL1,
        Self::AsvsL2,
        Self::AsvsL3,
        Self::NistAal1,
        Self::NistAal2,
        Self::NistAal3,
        Self::PciDss4,
        Self::Psd2,
        Self::Hipaa,
        Self::Wcag22,
    ];

    const WORDS: &'static str = "asvs-l1, asvs-l2, asvs-l3, nist-aal1, nist-aal2, nist-aal3, \
        pci-dss-4, psd2, hipaa or wcag-2.2";

    /// Returns the word that [`FromStr`] parses, such as `asvs-l1`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AsvsL1 => "asvs-l1",
            Self::AsvsL2 => "asvs-l2",
            Self::AsvsL3 => "asvs-l3",
            Self::NistAal1 => "nist-aal1",
            Self::NistAal2 => "nist-aal2",
            Self::NistAal3 => "nist-aal3",
            Self::PciDss4 => "pci-dss-4",
            Self::Psd2 => "psd2",
            Self::Hipaa => "hipaa",
            Self::Wcag22 => "wcag-2.2",
        }
    }

    /// Returns `true` for `other` itself, and if `other` is a lower level of the same standard.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        let ((family, level), (other_family, other_level)) = (self.rank(), other.rank());
        family == other_family && level >= other_level
    }

    const fn rank(self) -> (u8, u8) {
        match self {
            Self::AsvsL1 => (0, 1),
            Self::AsvsL2 => (0, 2),
            Self::AsvsL3 => (0, 3),
            Self::NistAal1 => (1, 1),
            Self::NistAal2 => (1, 2),
            Self::NistAal3 => (1, 3),
            Self::PciDss4 => (2, 0),
            Self::Psd2 => (3, 0),
            Self::Hipaa => (4, 0),
            Self::Wcag22 => (5, 0),
        }
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Standard {
    type Err = ConfigError;

    /// Parses the word of [`as_str`](Self::as_str).
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Value`], which lists the words, for any other text.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|standard| standard.as_str() == text).ok_or_else(|| {
            ConfigError::Value {
                key: "standard",
                value: format!("{text:?}"),
                expected: Self::WORDS,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_is_parsed_and_unknown_word_lists_known_ones() {
        for standard in Standard::ALL {
            assert_eq!(standard.to_string().parse(), Ok(standard));
        }
        let error = "asvs".parse::<Standard>().unwrap_err().to_string();
        for standard in Standard::ALL {
            assert!(error.contains(standard.as_str()), "{error}");
        }
    }

    #[test]
    fn higher_level_includes_lower_levels_of_its_standard() {
        use Standard::*;
        for (standard, included) in [
            (AsvsL1, vec![AsvsL1]),
            (AsvsL3, vec![AsvsL1, AsvsL2, AsvsL3]),
            (NistAal2, vec![NistAal1, NistAal2]),
            (Wcag22, vec![Wcag22]),
        ] {
            let all = Standard::ALL.into_iter().filter(|other| standard.includes(*other));
            assert_eq!(all.collect::<Vec<_>>(), included, "{standard}");
        }
    }
}
