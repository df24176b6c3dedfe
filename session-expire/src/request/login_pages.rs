//! Pages for expired sessions and refused logins.
//!
//! Like the login page, they are never challenged. The configuration owns them.

use std::sync::Arc;

use super::return_path::is_at;

/// Pages of the application other than the login page. `None` stands for the default response.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoginPages {
    /// Page for a request whose session has ended or expired.
    pub(crate) expired: Option<Arc<str>>,
    /// Page for a login that the session limit refuses.
    pub(crate) refused: Option<Arc<str>>,
}

impl LoginPages {
    /// Returns `true` if `path` is one of the pages.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.all().any(|(_, url)| is_at(path, url))
    }

    /// Returns the pages with the names of their builder options.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &Arc<str>)> {
        let pages = [("expired_url", &self.expired), ("refused_url", &self.refused)];
        pages.into_iter().filter_map(|(key, url)| url.as_ref().map(|url| (key, url)))
    }
}
