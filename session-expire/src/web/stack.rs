//! Whether the layers stand in the right order. actix-identity and actix-session say nothing when
//! they don't, and let everyone in or nobody.

use std::{
    any::type_name,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
};

use actix_identity::IdentityExt;
use actix_web::{HttpMessage, HttpRequest};

use super::{advice, ledger::Ledger, setup::Setup};
use crate::error::StackError;

/// What one mounted middleware has learned about the layers around it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Stack {
    identity_is_there: Cell<bool>,
    session: Rc<Cell<SessionLayer>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum SessionLayer {
    #[default]
    Unproven,
    Proven,
    /// A login was left lying: no session layer came to fetch it.
    Missing,
}

/// Finds a layer that should be around us inside of us, by the type of what is inside.
pub(crate) fn inside_out<S>() -> Option<StackError> {
    let inside = type_name::<S>();
    [
        ("InnerIdentityMiddleware", "IdentityMiddleware"),
        ("InnerSessionMiddleware", "SessionMiddleware"),
    ]
    .into_iter()
    .find(|(name, _)| inside.contains(name))
    .map(|(_, layer)| StackError::WrongOrder { layer })
}

impl Stack {
    /// Looks for the identity layer around us, until it has been seen once.
    pub(crate) fn check(&self, req: &HttpRequest) -> Result<(), StackError> {
        if self.identity_is_there.get() {
            return Ok(());
        }
        if req.app_data::<Arc<Setup>>().is_some() {
            return Err(StackError::Twice);
        }
        // actix-identity offers no way to ask; it panics when its layer is missing.
        catch_unwind(AssertUnwindSafe(|| drop(req.get_identity())))
            .map_err(|_| StackError::NoIdentity)?;
        self.identity_is_there.set(true);
        Ok(())
    }

    /// A session that holds something was loaded, so there is a layer that loads sessions.
    pub(crate) fn session_was_loaded(&self) {
        self.session.set(SessionLayer::Proven);
    }

    /// Called when somebody signed in: fails when the last login was lost, and else sets a watch on
    /// this one.
    pub(crate) fn watch_login(&self, req: &HttpRequest, setup: &Setup) -> Result<(), StackError> {
        match self.session.get() {
            SessionLayer::Proven => Ok(()),
            SessionLayer::Missing => Err(StackError::NoSession),
            SessionLayer::Unproven => {
                let ledger = Ledger::of(req, setup.identity_key);
                req.extensions_mut().insert(Watch { ledger, session: Rc::clone(&self.session) });
                Ok(())
            }
        }
    }
}

/// Lies in a request until it is over. actix-session empties the session when it saves it; a login
/// that still lies there then was saved by nobody.
struct Watch {
    ledger: Ledger,
    session: Rc<Cell<SessionLayer>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.ledger.is_blank() {
            self.session.set(SessionLayer::Proven);
        } else if self.session.get() == SessionLayer::Unproven {
            static SAID: AtomicBool = AtomicBool::new(false);
            advice::say(&SAID, &StackError::NoSession.to_string());
            self.session.set(SessionLayer::Missing);
        }
    }
}
