//! What a handler can ask of its session, and do with it.

use std::{
    fmt,
    future::{Ready, ready},
    rc::Rc,
    sync::Arc,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};

use super::gate::Gate;
use crate::{judge::Verdict, policy::Policy, registry::record::PublicId};

/// The session of this request, for handlers that want to know more than who is signed in.
///
/// Extracting it fails with 500 where [`SessionExpire`](crate::SessionExpire) is missing.
pub struct SessionHandle(Rc<Gate>);

impl SessionHandle {
    /// How the session was judged under the policy of this handler. An anonymous visitor is also
    /// whoever cannot be judged because the registry is away.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.0.verdict()
    }

    /// The policy of this handler, all patches applied.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.0.policy()
    }

    /// The public id of the login that this request presented, ended or not.
    #[must_use]
    pub fn id(&self) -> Option<PublicId> {
        self.0.login().map(|(_, record)| record.id)
    }

    /// Leaves the answer of this request as the handler gives it, a 401 included: for a login that an
    /// API offers beside the login page, whose "wrong password" is no challenge.
    pub fn keep_answer(&self) {
        self.0.set_answered();
    }

    /// Signs the person out and empties the session, like `Identity::logout`; and it works where no
    /// identity is left: whoever signs out of a session that has just expired is not told why.
    pub fn sign_out(&self) {
        self.0.set_leaving();
        self.0.ledger.purge();
    }
}

impl FromRequest for SessionHandle {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Gate::of(req).map(Self).map_err(Error::from))
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").field("verdict", &self.verdict()).finish_non_exhaustive()
    }
}
