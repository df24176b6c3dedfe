//! Builder options for declared standards.

use std::sync::Arc;

use super::SessionExpireBuilder;
use crate::compliance::Standard;

impl SessionExpireBuilder {
    /// Declares the standards that the application meets. Default: none.
    ///
    /// Recommended limits are checked like required ones.
    ///
    /// - [`build`](Self::build) fails if the application's policy or an option of the builder does
    ///   not meet the standards.
    /// - Mounting fails if the policy of a mounted layer does not meet them. A policy that is only
    ///   known at its first request causes an error in the log and an
    ///   [event](crate::Event::PolicyBreach), and the limits of the standards apply.
    /// - A login fails with 500 if its login policy and its user policy together do not meet them.
    ///   Each breach causes an error in the log and an event.
    ///   [`refresh_policy`](crate::SessionHandle::refresh_policy) fails, too.
    ///
    /// Code cannot check some requirements. For each of them, `build` logs a question to the
    /// operator. An option can declare some of them; `build` then logs no question. The
    /// [guide](crate::guide::standards) lists all requirements.
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
    /// The requirement is then not checked, for any policy. Other requirements of the same section
    /// are still checked.
    ///
    /// `requirement` is a document and a section, as errors and the
    /// [guide](crate::guide::standards) write them, followed by the option: `WCAG 2.2.1 warn`. A
    /// section with one rule needs no option. If several requirements match, `build` fails with an
    /// error that lists their names.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, compliance::Standard, hours};
    ///
    /// let expire = SessionExpire::builder(Policy::new().idle(hours(2)))
    ///     .complies_with([Standard::NistAal2])
    ///     .deviates_from("NIST SP 800-63B-4 2.2.3 idle", "managed devices lock after 10 minutes")
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

    /// Declares that the absolute timeout is essential, and records the reason. It sets
    /// [`Policy::absolute_is_essential`](crate::Policy::absolute_is_essential) in the application's
    /// policy.
    pub fn absolute_is_essential(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.policy = self.policy.absolute_is_essential(reason);
        self
    }
}
