//! Standards of the flag `--comply`. All policies are checked before the site starts.

use session_expire::{
    AtEnd, Policy, SessionExpireBuilder,
    compliance::{Standard, breaches},
};

use crate::{
    error::SiteError,
    pages::{self, PageOptions},
    settings::Settings,
};

/// Returns the behaviour of the editor at its idle timeout. A locked page stays in the memory of
/// the browser, which OWASP ASVS does not allow (5.0 14.3.1).
pub(crate) fn editor_at_end(standards: &[Standard]) -> AtEnd {
    let is_asvs = |standard: &Standard| {
        matches!(standard, Standard::AsvsL1 | Standard::AsvsL2 | Standard::AsvsL3)
    };
    if standards.iter().any(is_asvs) { AtEnd::Leave } else { AtEnd::Lock }
}

/// Declared standards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared(Vec<Standard>);

impl Declared {
    /// Checks the policies of the application and of its pages.
    ///
    /// # Errors
    ///
    /// Returns [`SiteError::NotCompliant`] with all breaches.
    pub(crate) fn check(settings: &Settings) -> Result<Self, SiteError> {
        let declared = Self(settings.standards.clone());
        let app = declared.breaches(&settings.policy);
        let mut lines = app.clone();
        for (path, patch) in pages::patches(PageOptions::new(settings)) {
            let mut page = declared.breaches(&patch.over(&settings.policy));
            // The page inherits the other values.
            page.retain(|line| !app.contains(line));
            lines.extend(page.iter().map(|line| format!("{path}: {line}")));
        }
        match lines.is_empty() {
            true => Ok(declared),
            false => Err(SiteError::NotCompliant { lines }),
        }
    }

    /// Declares the standards to the middleware. The site has no TLS, so it declares deviations.
    pub(crate) fn declare(&self, builder: SessionExpireBuilder) -> SessionExpireBuilder {
        const REASON: &str = "a demonstration on this machine, without TLS";
        let about_cookies = [
            "ASVS 5.0 3.3.1 plain_http",
            "ASVS 5.0 3.3.3",
            "NIST SP 800-63B-4 5.1.1 (1)",
            "NIST SP 800-63B-4 5.1.1 (5)",
        ];
        let builder = builder.complies_with(self.0.iter().copied());
        about_cookies.into_iter().fold(builder, |builder, name| builder.deviates_from(name, REASON))
    }

    /// Returns `true` if users may choose to stay signed in for longer than the policies allow.
    pub(crate) fn offers_long_sessions(&self) -> bool {
        self.0.is_empty()
    }

    fn breaches(&self, policy: &Policy) -> Vec<String> {
        let breaches = breaches(self.0.iter().copied(), policy);
        breaches.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use session_expire::{Limit, days, hours, minutes, seconds};

    use super::*;

    fn lines(standard: Standard, policy: Policy) -> Vec<String> {
        let settings = Settings { policy, standards: vec![standard], ..Settings::default() };
        match Declared::check(&settings) {
            Ok(_) => vec![],
            Err(SiteError::NotCompliant { lines }) => lines,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn default_flags_meet_the_standards_that_their_figures_allow() {
        use Standard::*;
        for (standard, expected) in [
            (AsvsL1, vec![]),
            (AsvsL2, vec![]),
            (AsvsL3, vec![]),
            (NistAal1, vec![]),
            (NistAal2, vec![]),
            (
                NistAal3,
                vec!["/editor: `idle` (1h) is longer than 15m (NIST SP 800-63B-4 2.3.3, should)"],
            ),
            (PciDss4, vec!["/editor: `idle` (1h) is longer than 15m (PCI DSS 4.0.1 8.2.8)"]),
            (
                Psd2,
                vec![
                    "`idle` (10m) is longer than 5m (RTS (EU) 2018/389 Art. 4(3)(d))",
                    "/editor: `idle` (1h) is longer than 5m (RTS (EU) 2018/389 Art. 4(3)(d))",
                ],
            ),
            (Hipaa, vec![]),
        ] {
            assert_eq!(lines(standard, Settings::default().policy), expected, "{standard}");
        }
        let error = lines(Standard::Wcag22, Settings::default().policy);
        assert!(error[0].starts_with("`absolute` (8h) is neither longer than 20h"), "{error:?}");
        let longer = Settings::default().policy.absolute(hours(21));
        assert!(lines(Wcag22, longer).is_empty());
    }

    #[test]
    fn inherited_breach_is_one_line() {
        let policy = Policy::new().idle(seconds(901)).absolute(Limit::Off);
        let editor = Some(Limit::At(minutes(15)));
        let idles = crate::PageIdles { editor, ..<_>::default() };
        let standards = vec![Standard::PciDss4];
        let settings = Settings { policy, idles, standards, ..Settings::default() };
        let Err(SiteError::NotCompliant { lines }) = Declared::check(&settings) else { panic!() };
        assert_eq!(lines, ["`idle` (901s) is longer than 15m (PCI DSS 4.0.1 8.2.8)"]);
        let absolute = Policy::new().absolute(days(31));
        assert_eq!(self::lines(Standard::NistAal1, absolute).len(), 1);
    }
}
