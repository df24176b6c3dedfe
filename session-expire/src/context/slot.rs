//! Access to a context that is made later.

use std::{cell::RefCell, rc::Rc};

use super::RequestContext;

/// The context of a request without cookies, once it is made. It outlives the request.
#[derive(Clone, Default)]
pub(crate) struct ContextSlot(pub(super) Rc<RefCell<Option<Rc<RequestContext>>>>);

impl ContextSlot {
    pub(crate) fn take(&self) -> Option<Rc<RequestContext>> {
        self.0.take()
    }
}
