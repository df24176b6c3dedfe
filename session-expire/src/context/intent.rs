//! Intent of a request, as stated by its handler or its URL.
//!
//! Extractors and endpoints set it, and the settle decision reads it.

use super::{RequestContext, access::AccessState};
use crate::request::RequestInfo;

/// Intent of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Intent {
    /// The request queries the state of the session and changes nothing.
    pub(crate) queries_status: bool,
    /// The response offers to continue a refused login.
    pub(crate) offers_takeover: bool,
    /// The user signs out.
    pub(crate) signs_out: bool,
    /// The user has re-authenticated.
    pub(crate) confirms: bool,
    /// The user has failed to re-authenticate.
    pub(crate) fails_to_confirm: bool,
    /// The response is sent unchanged, even if it is an empty 401.
    pub(crate) keeps_response: bool,
}

impl RequestContext {
    pub(crate) fn intent(&self) -> Intent {
        self.intent.get()
    }

    pub(crate) fn update_intent(&self, update: impl FnOnce(&mut Intent)) {
        let mut intent = self.intent.get();
        update(&mut intent);
        self.intent.set(intent);
    }

    /// Records a post to the login form or to the application's sign-out. The sign-out handler sees
    /// no user if the session has expired or the registry is unavailable.
    pub(crate) fn record_form_target(&self, info: &RequestInfo, is_refused: bool) {
        if !matches!(*self.access(), AccessState::Expired(_) | AccessState::Unavailable) {
            return;
        }
        if info.submits_to(&self.config().logout_url) && !is_refused {
            self.update_intent(|intent| intent.signs_out = true);
        }
        self.login_page.is_reason_dismissed.set(self.submits_login(info));
    }
}
