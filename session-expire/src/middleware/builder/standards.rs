//! Builder options for declared standards.

use std::sync::Arc;

use super::SessionExpireBuilder;
use crate::compliance::Standard;

impl SessionExpireBuilder {
    /// Declares the standards that the application meets. Default: none.
    ///
    /// - [`build`](Self::build) fails if the application's policy or an option of the builder does
    ///   not meet them. A limit that a standard only recommends is checked, too.
    /// - Mounting fails if the policy of a mounted layer does not. A policy that is only known at
    ///   its first request is logged as an error and reported as an
    ///   [event](crate::Event::PolicyBreach), and the limits of the standards apply.
    /// - A login fails with 503 if its login policy or its user policy does not.
    ///   [`refresh_policy`](crate::SessionHandle::refresh_policy) fails likewise.
    ///
    /// Code cannot check all requirements. `build` logs a question to the operator for each of the
    /// others. The [guide](crate::guide::standards) lists all requirements.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, compliance::Standard, minutes};
    ///
    /// let expire = SessionExpire::builder(Policy::new().idle(minutes(15)))
    ///     .complies_with([Standard::AsvsL2, Standard::PciDss4])
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn complies_with(mut self, standards: impl IntoIterator<Item = Standard>) -> Self {
        self.standards.extend(standards);
        self
    }

    /// Declares a deviation from one requirement of a declared standard, with the reason for it.
    /// Default: none. Call it once per requirement.
    ///
    /// The requirement is then not checked. `requirement` is a document and a section as errors and
    /// the [guide](crate::guide::standards) write them. The deviation holds for all policies.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, compliance::Standard, hours};
    ///
    /// let expire = SessionExpire::builder(Policy::new().idle(hours(2)))
    ///     .complies_with([Standard::NistAal2])
    ///     .deviates_from("NIST SP 800-63B-4 2.2.3", "managed devices lock after 10 minutes")
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn deviates_from(
        mut self,
        requirement: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        self.deviations.push((requirement.into(), reason.into()));
        self
    }

    /// Declares that the absolute timeout is essential, with the reason for it. Same as
    /// [`Policy::absolute_is_essential`](crate::Policy::absolute_is_essential).
    pub fn absolute_is_essential(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.policy = self.policy.absolute_is_essential(reason);
        self
    }
}
