//! What the handler, or the place of a request, says about the response.

use super::{RequestContext, access::AccessState};
use crate::request::RequestInfo;

/// What the handler has said about its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Intent {
    /// The request only asks how the session stands.
    pub(crate) queries_status: bool,
    /// The user signs out.
    pub(crate) signs_out: bool,
    /// The response is meant as it is, a 401 included.
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

    /// Takes note of where the user acts: at the login form, or at the application's sign-out, which
    /// cannot see whom it signs out of an expired session, or during an outage.
    pub(crate) fn note_place(&self, info: &RequestInfo, is_refused: bool) {
        if !matches!(*self.access(), AccessState::Expired(_) | AccessState::Unavailable) {
            return;
        }
        if info.acts_at(&self.config().logout_url) && !is_refused {
            self.update_intent(|intent| intent.signs_out = true);
        }
        self.login_page.is_reason_dismissed.set(info.acts_at(&self.policy().login_url));
    }
}
