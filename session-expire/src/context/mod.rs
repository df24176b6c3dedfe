//! State of one request: what was loaded, which policy is in force, and what the session may do.

pub(crate) mod access;
pub(crate) mod activity;
pub(crate) mod adoption;
pub(crate) mod changes;
pub(crate) mod facts;
pub(crate) mod intent;
mod layers;
pub(crate) mod load;
mod login_page;
pub(crate) mod messages;
pub(crate) mod mounted;
pub(crate) mod pending_login;
pub(crate) mod policy_stack;
mod progress;
pub(crate) mod session_data;
pub(crate) mod slot;

use std::{
    cell::{Cell, Ref, RefCell},
    rc::Rc,
    sync::Arc,
};

use actix_web::{HttpMessage, HttpRequest};

use self::{
    access::AccessState,
    facts::RequestFacts,
    intent::Intent,
    layers::Layers,
    load::{LoadedRecord, LoadedSession},
    login_page::LoginPage,
    mounted::Mounted,
    pending_login::PendingLogin,
    policy_stack::PolicyStack,
    progress::Progress,
    session_data::AppSession,
    slot::ContextSlot,
};
use crate::{
    config::Config,
    cookies::RequestCookies,
    error::SetupError,
    messages::queue::MessageQueue,
    policy::limit::Limits,
    request::RequestInfo,
    session::{data::DataChanges, verdict::Verdict},
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
    layers: Layers,
    access: RefCell<AccessState>,
    /// The limits under which `access` was last found, if it could be put into effect.
    checked_under: Cell<Option<Limits>>,
    /// What was written to the record's entries before the session was suspended.
    record_writes: RefCell<DataChanges>,
    messages: RefCell<Option<MessageQueue>>,
    login_page: LoginPage,
    login: RefCell<Option<Box<PendingLogin>>>,
    intent: Cell<Intent>,
    /// The entries of another user were removed when a login was reserved.
    is_handed_over: Cell<bool>,
    /// Memory was allocated for the entries on the way in.
    is_allocated: Cell<bool>,
    progress: Progress,
    /// The session was found to have ended while the body arrived.
    has_ended: Cell<bool>,
    /// Read on the way in where a failure further in may need it.
    facts: RefCell<Option<Box<RequestFacts>>>,
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
        let requires_login = mounted.config.requires_login(req.path());
        // In its place from the start: moving it costs as much as a look-up.
        let context = Rc::new(Self::new(mounted, session, cookies, loaded, requires_login));
        if context.is_sent_to_login(req) {
            context.login_page.is_at_marked.set(true);
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
        let (cookies, loaded) = (RequestCookies::default(), LoadedSession::Anonymous);
        let requires_login = mounted.config.requires_login(req.path());
        let context = Self::new(Rc::clone(mounted), session, cookies, loaded, requires_login);
        let context = Rc::new(context);
        context.read_facts(req);
        let context = context.keep_with(req);
        if let Some(slot) = req.extensions().get::<ContextSlot>() {
            *slot.0.borrow_mut() = Some(Rc::clone(&context));
        }
        Ok(context)
    }

    fn new(
        mounted: Rc<Mounted>,
        session: AppSession,
        cookies: RequestCookies,
        loaded: LoadedSession,
        requires_login: bool,
    ) -> Self {
        let now = mounted.config.now();
        let record = loaded.record().map(|loaded| &*loaded.record);
        if record.is_some() {
            mounted.config.diagnostics.saw_user();
        }
        let policies = PolicyStack::new(&mounted, record);
        let access = AccessState::check(&loaded, policies.effective(), now);
        Self {
            mounted,
            session,
            cookies,
            loaded,
            now,
            checked_under: Cell::new(Some(policies.effective().limits())),
            layers: Layers::new(policies, requires_login),
            access: RefCell::new(access),
            record_writes: RefCell::default(),
            messages: RefCell::default(),
            login_page: LoginPage::default(),
            login: RefCell::default(),
            intent: Cell::default(),
            is_handed_over: Cell::new(false),
            is_allocated: Cell::new(false),
            progress: Progress::new(now),
            has_ended: Cell::new(false),
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

    pub(crate) fn access(&self) -> Ref<'_, AccessState> {
        self.access.borrow()
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.access.borrow().verdict()
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

    /// Returns `true` if another middleware has taken the entries out of the session.
    ///
    /// Where no memory was allocated on the way in, a session that was written and has none is only a
    /// sign: requests are looked at closely from then on.
    pub(crate) fn was_session_taken(&self) -> bool {
        let is_taken = self.session.is_unallocated() && !self.session.is_untouched();
        self.mounted.note_layers(self.is_allocated.get(), is_taken);
        is_taken && self.is_allocated.get()
    }
}
