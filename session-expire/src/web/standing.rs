//! How a request is treated, and what is hidden while it is.

use actix_web::HttpRequest;

use super::{
    brought::Brought,
    caller::Caller,
    ledger::{Aside, Ledger},
};
use crate::{facts::Reason, judge::Deadlines};

/// How the request is treated, for now: a layer further in may judge otherwise.
pub(crate) enum Standing {
    Anonymous,
    Active(Deadlines),
    /// Expired: those further in see an anonymous visitor.
    Masked(Reason, Aside, Caller),
    /// Not trusted and not signed out, until the registry can be asked again.
    Unreachable,
}

/// The standing of a request, and what it takes to change it.
pub(crate) struct Treatment {
    pub(crate) standing: Standing,
    /// What lay hidden for a while and was put back.
    pub(crate) restored: Option<Aside>,
    /// Where everything lay when the request came in.
    pub(crate) brought: Brought,
}

impl Treatment {
    pub(crate) fn is_masked(&self) -> bool {
        matches!(self.standing, Standing::Masked(..))
    }

    pub(crate) fn admit(&mut self, deadlines: Deadlines, ledger: &Ledger) {
        if let Standing::Masked(_, aside, _) = &self.standing {
            // Somebody signed in while the old session lay hidden: it must not come back.
            if ledger.place_of_user().is_some() || ledger.is_purged() {
                return;
            }
            ledger.unmask(aside);
            self.brought = ledger.brought();
        }
        let before = std::mem::replace(&mut self.standing, Standing::Active(deadlines));
        if let Standing::Masked(_, aside, _) = before {
            self.restored = Some(aside);
        }
    }

    pub(crate) fn mask(&mut self, reason: Reason, ledger: &Ledger, req: &HttpRequest) {
        match &mut self.standing {
            Standing::Masked(old, ..) => *old = reason,
            _ => {
                let mut aside = ledger.mask();
                // What was put back once counts as untouched if it was untouched at first.
                if let Some(first) = self.restored.take() {
                    aside = first;
                }
                self.standing = Standing::Masked(reason, aside, Caller::of(req));
            }
        }
    }
}
