//! State of one request: what was loaded, which policy is in force, and what the session may do.

pub(crate) mod access;
pub(crate) mod activity;
pub(crate) mod adoption;
pub(crate) mod changes;
pub(crate) mod facts;
pub(crate) mod load;
pub(crate) mod messages;
pub(crate) mod mounted;
pub(crate) mod pending_login;
pub(crate) mod policy_stack;
pub(crate) mod session_data;

use std::{
    cell::{Cell, Ref, RefCell},
    rc::Rc,
    sync::Arc,
};

use actix_web::{HttpMessage, HttpRequest};

use self::{
    access::AccessState,
    facts::RequestFacts,
    load::{LoadedRecord, LoadedSession},
    mounted::Mounted,
    pending_login::PendingLogin,
    policy_stack::PolicyStack,
    session_data::{AppSession, NamedUser},
};
use crate::{
    config::Config,
    cookies::RequestCookies,
    error::SetupError,
    judge::Verdict,
    limit::Limits,
    messages::{flash::FlashMessage, queue::MessageQueue},
    policy::{Policy, PolicyPatch},
    registry::data::DataChanges,
    request::{RequestInfo, return_path::is_at},
    time::Timestamp,
};

/// Everything that the layers, the extractors and the settling of one request share.
pub(crate) struct RequestContext {
    pub(crate) mounted: Rc<Mounted>,
    pub(crate) session: AppSession,
    pub(crate) cookies: RequestCookies,
    pub(crate) loaded: LoadedSession,
    /// The time of the request.
    pub(crate) now: Timestamp,
    policies: RefCell<PolicyStack>,
    access: RefCell<AccessState>,
    /// The limits under which `access` was last found, if it could be put into effect.
    checked_under: Cell<Option<Limits>>,
    /// What was written to the record's entries before the session was suspended.
    record_writes: RefCell<DataChanges>,
    /// What was written to the anonymous entries before the session was restored.
    anonymous_writes: RefCell<DataChanges>,
    messages: RefCell<Option<MessageQueue>>,
    /// The text of a challenge, for the next page.
    challenge_reason: RefCell<Option<FlashMessage>>,
    login: RefCell<Option<Box<PendingLogin>>>,
    intent: Cell<Intent>,
    /// The entries of another user were removed when a login was reserved.
    is_handed_over: Cell<bool>,
    /// Memory was allocated for the entries on the way in.
    is_allocated: Cell<bool>,
    is_settled: Cell<bool>,
    /// The handler has waited: time may have passed since the head of the request.
    is_waiting: Cell<bool>,
    /// When the handler was done.
    completed_at: Cell<Timestamp>,
    /// The session was found to have ended while the body arrived.
    has_ended: Cell<bool>,
    /// The user fills in the login form, and need not be told why the old session ended.
    is_reason_dismissed: Cell<bool>,
    /// The request comes from a challenge that has ended nothing.
    is_at_marked_login: Cell<bool>,
    /// The login page that this request is sent to by a challenge that ends nothing.
    marked_login: RefCell<Option<String>>,
    /// A layer has refused the request for want of a login.
    is_refused_by_layer: Cell<bool>,
    /// Read on the way in where a failure further in may need it.
    facts: RefCell<Option<Box<RequestFacts>>>,
}

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
    /// Makes the context of a request that carries cookies, and fills its session.
    pub(crate) fn start(
        mounted: Rc<Mounted>,
        session: AppSession,
        cookies: RequestCookies,
        loaded: LoadedSession,
        req: &HttpRequest,
    ) -> Rc<Self> {
        // In its place from the start: moving it costs as much as a look-up.
        let context = Rc::new(Self::new(mounted, session, cookies, loaded));
        if context.is_sent_to_login(req) {
            context.is_at_marked_login.set(true);
            *context.access.borrow_mut() = AccessState::Anonymous;
        }
        context.fill(req);
        let is_due = context.record().is_some_and(|loaded| context.lags(&loaded.record));
        if is_due || !context.access().is_active() || !req.method().is_safe() {
            context.read_facts(req);
        }
        context.keep_with(req)
    }

    /// Returns the context of a request. It is made on demand for a request without cookies, whose
    /// session may have been written to already.
    pub(crate) fn get(req: &HttpRequest) -> Result<Rc<Self>, SetupError> {
        if let Some(context) = Self::existing(req) {
            return Ok(context);
        }
        let mounted = req.app_data::<Rc<Mounted>>().ok_or(SetupError::NotMounted)?;
        let session = AppSession::of_request(req, mounted.config.identity_key);
        let cookies = RequestCookies::default();
        let loaded = LoadedSession::Anonymous;
        let context = Rc::new(Self::new(Rc::clone(mounted), session, cookies, loaded));
        context.read_facts(req);
        Ok(context.keep_with(req))
    }

    fn new(
        mounted: Rc<Mounted>,
        session: AppSession,
        cookies: RequestCookies,
        loaded: LoadedSession,
    ) -> Self {
        let now = mounted.config.now();
        let record = loaded.record().map(|loaded| &*loaded.record);
        let policies = PolicyStack::new(&mounted, record);
        let access = AccessState::check(&loaded, policies.effective(), now);
        Self {
            mounted,
            session,
            cookies,
            loaded,
            now,
            checked_under: Cell::new(Some(policies.effective().limits())),
            policies: RefCell::new(policies),
            access: RefCell::new(access),
            record_writes: RefCell::default(),
            anonymous_writes: RefCell::default(),
            messages: RefCell::default(),
            challenge_reason: RefCell::default(),
            login: RefCell::default(),
            intent: Cell::default(),
            is_handed_over: Cell::new(false),
            is_allocated: Cell::new(false),
            is_settled: Cell::new(false),
            is_waiting: Cell::new(false),
            completed_at: Cell::new(now),
            has_ended: Cell::new(false),
            is_reason_dismissed: Cell::new(false),
            is_at_marked_login: Cell::new(false),
            marked_login: RefCell::default(),
            is_refused_by_layer: Cell::new(false),
            facts: RefCell::default(),
        }
    }

    fn keep_with(self: Rc<Self>, req: &HttpRequest) -> Rc<Self> {
        req.extensions_mut().insert(Rc::clone(&self));
        self
    }

    /// Fills the session with the entries that the request may see.
    fn fill(&self, req: &HttpRequest) {
        match (&*self.access.borrow(), self.record()) {
            (AccessState::Unavailable, _) => {
                self.session.fill_for_outage();
                return self.is_allocated.set(true);
            }
            (AccessState::Active(_), Some(loaded)) => {
                self.session.fill(&loaded.data, Some(&loaded.record.user));
            }
            _ => self.session.fill(&self.cookies.anonymous.data, None),
        }
        // A login mostly comes by POST. Once one has succeeded, no other layer is mounted inside.
        if !req.method().is_safe() || !self.mounted.is_only_layer() {
            self.session.allocate();
        }
        self.is_allocated.set(!self.session.is_unallocated());
    }

    pub(crate) fn existing(req: &HttpRequest) -> Option<Rc<Self>> {
        req.extensions().get::<Rc<Self>>().cloned()
    }

    pub(crate) fn exists(req: &HttpRequest) -> bool {
        req.extensions().contains::<Rc<Self>>()
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.mounted.config
    }

    pub(crate) fn record(&self) -> Option<&LoadedRecord> {
        self.loaded.record()
    }

    /// Returns the policy in force, that of the user included.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(self.policies.borrow().effective())
    }

    /// Returns the policy for a user who signs in here.
    pub(crate) fn layered_policy(&self) -> Arc<Policy> {
        Arc::clone(self.policies.borrow().layered())
    }

    pub(crate) fn access(&self) -> Ref<'_, AccessState> {
        self.access.borrow()
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.access.borrow().verdict()
    }

    /// Adds a policy layer and checks the session again.
    pub(crate) fn add_layer(
        &self,
        patch: &PolicyPatch,
        merge: impl FnOnce(&Arc<Policy>) -> Arc<Policy>,
        req: &HttpRequest,
    ) -> Result<(), SetupError> {
        if self.config().cannot_enforce(patch) {
            return Err(SetupError::CannotEnforceLimit);
        }
        if patch.require_login == Some(false) && self.policies.borrow().layered().require_login {
            return Err(SetupError::OpenInsideClosed);
        }
        let record = self.record().map(|loaded| &*loaded.record);
        self.policies.borrow_mut().push(patch, merge, record);
        self.check_again();
        if !self.access.borrow().is_active() {
            self.read_facts(req);
        }
        Ok(())
    }

    pub(crate) fn intent(&self) -> Intent {
        self.intent.get()
    }

    pub(crate) fn update_intent(&self, update: impl FnOnce(&mut Intent)) {
        let mut intent = self.intent.get();
        update(&mut intent);
        self.intent.set(intent);
    }

    fn read_facts(&self, req: &HttpRequest) {
        self.facts
            .borrow_mut()
            .get_or_insert_with(|| Box::new(RequestFacts::new(self.config(), req)));
    }

    /// Returns what is known of a request that is gone.
    pub(crate) fn take_facts(&self) -> Option<Box<RequestFacts>> {
        self.facts.take()
    }

    pub(crate) fn info(&self, req: &HttpRequest) -> RequestInfo {
        RequestInfo::new(req, self.config().is_api(req))
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
        self.is_reason_dismissed.set(info.acts_at(&self.policy().login_url));
    }

    /// Returns `true` once the response is on its way: nothing is stored from then on.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled.get()
    }

    pub(crate) fn set_waiting(&self) {
        self.is_waiting.set(true);
    }

    /// The handler is done. A request that took long is activity until its end.
    pub(crate) fn note_completion(&self) {
        if self.is_waiting.get() {
            self.completed_at.set(self.config().now().max(self.now));
        }
    }

    /// Returns `true` if the session was found to have ended while the body arrived.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    pub(crate) fn set_settled(&self) {
        self.is_settled.set(true);
    }

    /// Returns `true` if the policy so far requires a login that the request does not have.
    pub(crate) fn lacks_login(&self) -> bool {
        let requires_login = self.policies.borrow().layered().require_login;
        // A middleware further out may have signed a user in.
        let has_user = || matches!(self.session.user(), NamedUser::Named(_));
        let lacks = requires_login && !self.access.borrow().is_active() && !has_user();
        self.is_refused_by_layer.set(self.is_refused_by_layer.get() || lacks);
        lacks
    }

    pub(crate) fn is_refused_by_layer(&self) -> bool {
        self.is_refused_by_layer.get()
    }

    /// Returns `true` if another middleware has taken the entries out of the session.
    ///
    /// Where no memory was allocated on the way in, a session that was written and has none is only a
    /// sign: requests are looked at closely from then on.
    pub(crate) fn was_session_taken(&self) -> bool {
        let is_taken = self.session.is_unallocated() && !self.session.is_untouched();
        self.mounted.note_layers(self.is_allocated.get(), is_taken);
        is_taken && self.is_allocated.get()
    }

    /// Returns `true` if a challenge that has ended nothing has sent the request to this login page.
    ///
    /// The page may forward users who are signed in. It would send this one back to where the
    /// challenge came from, and so on: so it sees an anonymous visitor, once.
    fn is_sent_to_login(&self, req: &HttpRequest) -> bool {
        let login = self.cookies.anonymous.marked_login.as_deref();
        self.access().is_active()
            && req.method().is_safe()
            && login.is_some_and(|login| is_at(req.path(), login))
    }

    /// Remembers the login page of a challenge that ends nothing.
    pub(crate) fn mark_login(&self) {
        *self.marked_login.borrow_mut() = Some(self.policy().login_url.to_string());
    }
}
