//! The state of one request: what is known, what was judged, what is hidden.

use std::{
    cell::{Ref, RefCell},
    rc::Rc,
    sync::Arc,
};

use actix_web::{HttpMessage, HttpRequest};

use super::{
    flash::Queue,
    found::{Found, find},
    ledger::Ledger,
    registered::Registered,
    setup::Setup,
    slack::lay,
    standing::{Standing, Treatment},
};
use crate::{
    choice::under_choice,
    error::StackError,
    judge::{Verdict, judge},
    policy::{Policy, PolicyPatch},
    registry::{key::RecordKey, record::SessionRecord, room::SessionLimit},
    time::Timestamp,
};

/// Everything that the layers, the extractors and the settling of one request share.
pub(crate) struct Gate {
    pub(crate) setup: Arc<Setup>,
    pub(crate) ledger: Ledger,
    pub(crate) now: Timestamp,
    found: Found,
    pub(super) state: RefCell<State>,
    pub(super) flash: RefCell<Option<Queue>>,
}

pub(super) struct State {
    /// The policy of the innermost layer so far.
    layered: Arc<Policy>,
    /// The layers so far without the app's policy; kept only for a login with a choice to lie under them.
    layers: PolicyPatch,
    /// What holds for the present user: their choice and their own rule included.
    policy: Arc<Policy>,
    pub(super) treatment: Treatment,
    pub(super) reason_told: bool,
    /// Nobody has to be told why a session ended that they are just leaving.
    pub(super) leaving: bool,
    /// The handler has said all there is to say.
    answered: bool,
    /// It only asks how the session stands.
    asking: bool,
    /// The login that was registered in this request.
    pub(super) registered: Option<Registered>,
    /// What somebody else had left in the session has gone.
    pub(super) handed_over: bool,
}

impl Gate {
    /// Reads the session, loads the record and judges it under the app's policy.
    pub(crate) async fn open(
        setup: Arc<Setup>,
        ledger: Ledger,
        req: &HttpRequest,
    ) -> Result<Rc<Self>, StackError> {
        let now = setup.now();
        let found = find(&setup, &ledger, req, now).await?;
        let gate = Rc::new(Self::new(setup, ledger, now, found));
        gate.rejudge(req);
        match req.extensions_mut().insert(Rc::clone(&gate)) {
            Some(_) => Err(StackError::Twice),
            None => Ok(gate),
        }
    }

    /// The gate of a request, made on demand for visitors without a session.
    pub(crate) fn of(req: &HttpRequest) -> Result<Rc<Self>, StackError> {
        if let Some(gate) = Self::existing(req) {
            return Ok(gate);
        }
        let setup = Arc::clone(req.app_data::<Arc<Setup>>().ok_or(StackError::NoSessionExpire)?);
        let (ledger, now) = (Ledger::of(req, setup.identity_key), setup.now());
        let gate = Rc::new(Self::new(setup, ledger, now, Found::Nobody));
        req.extensions_mut().insert(Rc::clone(&gate));
        Ok(gate)
    }

    pub(crate) fn existing(req: &HttpRequest) -> Option<Rc<Self>> {
        req.extensions().get::<Rc<Self>>().cloned()
    }

    pub(crate) fn exists(req: &HttpRequest) -> bool {
        req.extensions().contains::<Rc<Self>>()
    }

    fn new(setup: Arc<Setup>, ledger: Ledger, now: Timestamp, found: Found) -> Self {
        let state = State {
            layered: Arc::clone(&setup.policy),
            layers: PolicyPatch::new(),
            policy: match found.choice() {
                Some(choice) => found.topped(&Arc::new(choice.over(&setup.policy))),
                None => found.topped(&setup.policy),
            },
            treatment: Treatment {
                standing: Standing::Anonymous,
                restored: None,
                brought: ledger.brought(),
            },
            reason_told: false,
            leaving: false,
            answered: false,
            asking: false,
            registered: None,
            handed_over: false,
        };
        Self { setup, ledger, now, found, state: RefCell::new(state), flash: RefCell::new(None) }
    }

    pub(crate) fn login(&self) -> Option<(RecordKey, &SessionRecord)> {
        self.found.login()
    }

    /// Whether the user has more sessions open than the policy of this request allows.
    pub(crate) fn is_crowded(&self) -> bool {
        SessionLimit::of(&self.state.borrow().policy).is_exceeded_by(self.found.open())
    }

    pub(crate) fn found(&self) -> &Found {
        &self.found
    }

    /// The policy for whoever signs in here, without what the present user has of their own.
    pub(crate) fn layered(&self) -> Arc<Policy> {
        Arc::clone(&self.state.borrow().layered)
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.state.borrow().policy)
    }

    pub(crate) fn standing(&self) -> Ref<'_, Standing> {
        Ref::map(self.state.borrow(), |state| &state.treatment.standing)
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match &*self.standing() {
            Standing::Active(deadlines) => Verdict::Active(*deadlines),
            Standing::Masked(reason, ..) => Verdict::Expired(*reason),
            Standing::Anonymous | Standing::Unreachable => Verdict::Anonymous,
        }
    }

    /// Lays a patch over the policy and judges again.
    pub(crate) fn refine(&self, patch: &PolicyPatch, req: &HttpRequest) -> Result<(), StackError> {
        self.refine_with(patch, |below| lay(patch, below), req)
    }

    /// The same, when the caller may know already what results from the policy below.
    pub(crate) fn refine_with(
        &self,
        patch: &PolicyPatch,
        lay_over: impl FnOnce(&Arc<Policy>) -> Arc<Policy>,
        req: &HttpRequest,
    ) -> Result<(), StackError> {
        if self.setup.cannot_count_for(patch) {
            return Err(StackError::CannotCount);
        }
        let layered = lay_over(&self.state.borrow().layered);
        let mut state = self.state.borrow_mut();
        state.policy = match self.found.choice() {
            Some(choice) => {
                state.layers = patch.on_top_of(&state.layers);
                let policy = under_choice(&self.setup.policy, choice, &state.layers);
                self.found.topped(&Arc::new(policy))
            }
            None => self.found.topped(&layered),
        };
        state.layered = layered;
        drop(state);
        self.rejudge(req);
        Ok(())
    }

    fn rejudge(&self, req: &HttpRequest) {
        let Some(facts) = self.found.facts() else { return self.hide_if_unreachable() };
        let verdict = judge(&facts, &self.state.borrow().policy, self.now);
        let mut state = self.state.borrow_mut();
        let was_masked = state.treatment.is_masked();
        match verdict {
            Verdict::Anonymous => {}
            Verdict::Active(deadlines) => state.treatment.admit(deadlines, &self.ledger),
            Verdict::Expired(reason) => state.treatment.mask(reason, &self.ledger, req),
        }
        let is_masked = state.treatment.is_masked();
        drop(state);
        if was_masked != is_masked {
            self.hide_waiting(is_masked);
        }
    }

    fn hide_if_unreachable(&self) {
        let mut state = self.state.borrow_mut();
        if !matches!(state.treatment.standing, Standing::Unreachable) {
            self.ledger.mask();
            state.treatment.standing = Standing::Unreachable;
        }
    }

    /// The person signs out in this request: whatever ended before needs no explaining.
    pub(crate) fn set_leaving(&self) {
        self.state.borrow_mut().leaving = true;
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.state.borrow().leaving
    }

    /// The answer of this request is meant as it is, a 401 included.
    pub(crate) fn set_answered(&self) {
        self.state.borrow_mut().answered = true;
    }

    /// The request only asks how the session stands, and its answer is meant as it is.
    pub(crate) fn set_asking(&self) {
        self.set_answered();
        self.state.borrow_mut().asking = true;
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.state.borrow().asking
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.state.borrow().answered
    }
}
