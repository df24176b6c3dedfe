//! State of one request: loaded session, policy in force, access, messages and pending login.
//!
//! The middleware creates it before the handler runs. Policy layers, extractors and settling share
//! it.

pub(crate) mod access;
pub(crate) mod activity;
pub(crate) mod changes;
pub(crate) mod facts;
pub(crate) mod intent;
mod layers;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod messages;
pub(crate) mod mounted;
pub(crate) mod policy_stack;
mod progress;
pub(crate) mod session_data;
pub(crate) mod slot;
pub(crate) mod span;
pub(crate) mod watch;

use std::{
    cell::{Cell, OnceCell, Ref, RefCell},
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
    login::{page::LoginPage, pending::PendingLogin},
    mounted::MountedApp,
    policy_stack::PolicyStack,
    progress::Progress,
    session_data::AppSession,
    slot::ContextSlot,
    span::record_session_id,
};
use crate::{
    config::Config,
    cookies::RequestCookies,
    error::SetupError,
    messages::queue::MessageQueue,
    policy::limit::Limits,
    request::RequestInfo,
    session::{data::DataChanges, ended::Ended, login::stamp::Stamp, verdict::Verdict},
    time::Timestamp,
};

/// State that the policy layers, the extractors and the settling of one request share.
pub(crate) struct RequestContext {
    pub(crate) mounted: Rc<MountedApp>,
    pub(crate) session: AppSession,
    pub(crate) cookies: RequestCookies,
    pub(crate) loaded: LoadedSession,
    /// The time of the request.
    pub(crate) now: Timestamp,
    layers: Layers,
    access: RefCell<AccessState>,
    /// Timeouts of the last check, if its result took effect.
    checked_under: Cell<Option<Limits>>,
    /// Changes to the record's entries from before the session was suspended.
    record_writes: RefCell<DataChanges>,
    messages: RefCell<Option<MessageQueue>>,
    login_page: LoginPage,
    login: RefCell<Option<Box<PendingLogin>>>,
    intent: Cell<Intent>,
    /// Attempts to re-authenticate in a row, if this request has counted one.
    pub(crate) confirmation_attempts: Cell<Option<u8>>,
    /// `true` if a reserved login has removed the entries of another user.
    has_switched_user: Cell<bool>,
    /// `true` if memory was allocated for the entries before the handler ran.
    is_allocated: Cell<bool>,
    progress: Progress,
    /// End of the session, if it has ended during this request.
    ended_now: OnceCell<Box<Ended>>,
    /// Security stamp that this request has stored.
    new_stamp: Cell<Option<Stamp>>,
    /// Read before the handler runs if a failure may need it.
    facts: RefCell<Option<Box<RequestFacts>>>,
}

impl RequestContext {
    /// Creates the context of a request that carries cookies, and fills its session.
    pub(crate) fn start(
        mounted: Rc<MountedApp>,
        session: AppSession,
        cookies: RequestCookies,
        loaded: LoadedSession,
        req: &HttpRequest,
    ) -> Rc<Self> {
        let requires_login = mounted.config.requires_login(req.path());
        // Allocate first: moving a context costs as much as a look-up.
        let context = Rc::new(Self::new(mounted, session, cookies, loaded, requires_login));
        if context.is_redirected_to_login(req) {
            context.login_page.is_redirect_followed.set(true);
            *context.access.borrow_mut() = AccessState::Anonymous;
        }
        context.fill(req);
        let is_due =
            context.record().is_some_and(|loaded| context.is_last_seen_stale(&loaded.record));
        if is_due || !context.access().is_active() || !req.method().is_safe() {
            context.read_facts(req);
        }
        context.insert_into(req)
    }

    /// Returns the context of a request. Creates it on demand if the request has no cookies.
    pub(crate) fn get(req: &HttpRequest) -> Result<Rc<Self>, SetupError> {
        if let Some(context) = Self::existing(req) {
            return Ok(context);
        }
        let mounted = req.app_data::<Rc<MountedApp>>().ok_or(SetupError::NotMounted)?;
        let session = AppSession::from_request(req, mounted.config.identity_key);
        let (cookies, loaded) = (RequestCookies::default(), LoadedSession::Anonymous);
        let requires_login = mounted.config.requires_login(req.path());
        let context = Self::new(Rc::clone(mounted), session, cookies, loaded, requires_login);
        let context = Rc::new(context);
        context.read_facts(req);
        let context = context.insert_into(req);
        if let Some(slot) = req.extensions().get::<ContextSlot>() {
            *slot.0.borrow_mut() = Some(Rc::clone(&context));
        }
        Ok(context)
    }

    fn new(
        mounted: Rc<MountedApp>,
        session: AppSession,
        cookies: RequestCookies,
        loaded: LoadedSession,
        requires_login: bool,
    ) -> Self {
        let now = mounted.config.now();
        let record = loaded.record().map(|loaded| &*loaded.record);
        if let Some(record) = record {
            mounted.config.diagnostics.record_user();
            record_session_id(record.id);
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
            confirmation_attempts: Cell::default(),
            has_switched_user: Cell::new(false),
            is_allocated: Cell::new(false),
            progress: Progress::new(now),
            ended_now: OnceCell::new(),
            new_stamp: Cell::default(),
            facts: RefCell::default(),
        }
    }

    fn insert_into(self: Rc<Self>, req: &HttpRequest) -> Rc<Self> {
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
        // Most logins are POST requests. After the first login, other session layers are ruled out.
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

    /// Returns the end of the session; `None` while it is open.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        let before = || self.record()?.record.ended.as_ref();
        self.ended_now.get().map(|ended| &**ended).or_else(before)
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

    /// Returns the facts that were read before the handler ran.
    pub(crate) fn take_facts(&self) -> Option<Box<RequestFacts>> {
        self.facts.take()
    }

    pub(crate) fn info(&self, req: &HttpRequest) -> RequestInfo {
        self.config().request_info(req)
    }

    /// Returns `true` if another middleware has taken the entries out of the session.
    ///
    /// If no memory was allocated before the handler ran, this cannot be determined. From then on,
    /// the middleware allocates memory for every request.
    pub(crate) fn was_session_taken(&self) -> bool {
        let is_taken = self.session.is_unallocated() && !self.session.is_untouched();
        self.mounted.record_layers(self.is_allocated.get(), is_taken);
        is_taken && self.is_allocated.get()
    }
}
