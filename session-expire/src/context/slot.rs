//! Slot for a context that is created later.
//!
//! The response future takes the context from it if the request has failed.

use std::{cell::RefCell, rc::Rc};

use super::RequestContext;

/// Slot for the context of a request without cookies. It outlives the request.
#[derive(Clone, Default)]
pub(crate) struct ContextSlot(pub(super) Rc<RefCell<Option<Rc<RequestContext>>>>);

impl ContextSlot {
    pub(crate) fn take(&self) -> Option<Rc<RequestContext>> {
        self.0.take()
    }
}
