//! Security stamp of a session: a digest of the user's credential at the login.
//!
//! If the stamp of a session differs from that of the current credential, the session was started
//! with an earlier credential. The application passes the credential; registries store the digest.

use std::{fmt, num::NonZeroU64};

use sha2::{Digest, Sha256};

/// Digest of the credential with which a user signed in, such as the stored password hash.
///
/// It is 64 bits of a SHA-256. This suffices to detect a change, and reveals too little to find the
/// credential. `Debug` does not show it.
///
/// ```
/// use session_expire::registry::Stamp;
/// let stamp = Stamp::new("$argon2id$v=19$m=19456,t=2,p=1$…");
/// assert_eq!(stamp, Stamp::new("$argon2id$v=19$m=19456,t=2,p=1$…"));
/// assert_ne!(stamp, Stamp::new("another hash"));
/// assert_eq!(Stamp::from_number(stamp.to_number()), Some(stamp));
/// assert_eq!(format!("{stamp:?}"), "Stamp(…)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp(NonZeroU64);

impl Stamp {
    /// Returns the stamp of `credential`.
    pub fn new(credential: impl AsRef<[u8]>) -> Self {
        let digest = Sha256::digest(credential.as_ref());
        let number = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }

    /// Returns the number that a registry stores. Do not log it.
    #[must_use]
    pub fn to_number(self) -> u64 {
        self.0.get()
    }

    /// Returns the stamp of a stored number; `None` for zero.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stamp(…)")
    }
}
