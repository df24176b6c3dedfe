//! The state of one request: what is known, what was judged, what is hidden.

use std::{
    cell::{Ref, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_identity::IdentityExt;
use actix_web::{HttpMessage, HttpRequest};

use super::{
    caller::{Caller, Kind},
    client::client,
    flash::{FlashMessage, Level, Queue},
    ledger::{Aside, Ledger, Place, Signed},
    setup::Setup,
};
use crate::{
    error::StackError,
    event::Event,
    facts::{Facts, Reason},
    judge::{Deadlines, Verdict, judge},
    policy::{Limit, Policy, PolicyPatch},
    registry::{Admission, Loaded, key::RecordKey, login::Login, record::Record, room::Room},
    text::Notice,
    time::Timestamp,
};

pub(crate) struct Gate {
    pub(crate) setup: Arc<Setup>,
    pub(crate) ledger: Ledger,
    pub(crate) now: Timestamp,
    found: Found,
    state: RefCell<State>,
    flash: RefCell<Option<Queue>>,
}

/// What the session and the registry say about who is asking.
pub(crate) enum Found {
    Nobody,
    /// A key that no living or dead login has.
    Unknown,
    /// The record, and how many the user has that are open.
    Login(RecordKey, Record, u32),
    /// The registry could not be asked, perhaps about this key.
    Unreachable(Option<RecordKey>),
}

struct State {
    /// The policy of the innermost layer so far.
    layered: Arc<Policy>,
    /// The same, with what the user has of their own on top.
    policy: Arc<Policy>,
    standing: Standing,
    /// What lay hidden for a while and was put back.
    restored: Option<Aside>,
    /// Where the user's name lay when the request came in.
    place: Option<Place>,
    reason_told: bool,
    /// Nobody has to be told why a session ended that they are just leaving.
    leaving: bool,
    /// The handler has said all there is to say.
    answered: bool,
    /// The login that a handler has already registered itself.
    registered: Option<RecordKey>,
}

/// How the request is treated, for now: a layer further in may judge otherwise.
pub(crate) enum Standing {
    Anonymous,
    Active(Deadlines),
    /// Expired: those further in see an anonymous visitor.
    Masked(Reason, Aside, Caller),
    /// Not trusted and not signed out, until the registry can be asked again.
    Unreachable,
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
            policy: found.topped(&setup.policy),
            standing: Standing::Anonymous,
            restored: None,
            place: ledger.place_of_user(),
            reason_told: false,
            leaving: false,
            answered: false,
            registered: None,
        };
        Self { setup, ledger, now, found, state: RefCell::new(state), flash: RefCell::new(None) }
    }

    pub(crate) fn login(&self) -> Option<(RecordKey, &Record)> {
        match &self.found {
            Found::Login(key, record, _) => Some((*key, record)),
            _ => None,
        }
    }

    /// Whether the user has more sessions open than the policy of this request allows.
    pub(crate) fn is_crowded(&self) -> bool {
        let Found::Login(.., open) = &self.found else { return false };
        let places = Room::of(&self.state.borrow().policy).places();
        places.is_some_and(|places| usize::try_from(*open).is_ok_and(|open| open > places))
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
        Ref::map(self.state.borrow(), |state| &state.standing)
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
        if matches!(patch.max_sessions, Some(Limit::At(_))) && !self.setup.registry.counts() {
            return Err(StackError::CannotCount);
        }
        let layered = lay_over(&self.state.borrow().layered);
        let mut state = self.state.borrow_mut();
        state.policy = self.found.topped(&layered);
        state.layered = layered;
        drop(state);
        self.rejudge(req);
        Ok(())
    }

    fn rejudge(&self, req: &HttpRequest) {
        let facts = match &self.found {
            Found::Nobody => return,
            Found::Unreachable(_) => return self.hide_if_unreachable(),
            Found::Unknown => Facts::Unknown,
            Found::Login(_, record, _) => record.facts(),
        };
        let verdict = judge(&facts, &self.state.borrow().policy, self.now);
        let mut state = self.state.borrow_mut();
        match verdict {
            Verdict::Anonymous => {}
            Verdict::Active(deadlines) => state.admit(deadlines, &self.ledger),
            Verdict::Expired(reason) => state.mask(reason, &self.ledger, req),
        }
    }

    fn hide_if_unreachable(&self) {
        let mut state = self.state.borrow_mut();
        if !matches!(state.standing, Standing::Unreachable) {
            self.ledger.mask();
            state.standing = Standing::Unreachable;
        }
    }

    /// Whether the user who lies at `place` was written there during this request.
    pub(crate) fn is_fresh_user(&self, place: Place) -> bool {
        let state = self.state.borrow();
        match (&state.standing, self.login()) {
            (Standing::Active(_), Some((_, record))) => {
                // The text counts, too: memory that was freed in between may be used again.
                state.place != Some(place) || self.ledger.is_user(&record.owner) != Some(true)
            }
            _ => true,
        }
    }

    /// Whether masking and unmasking is all that happened to the session.
    pub(crate) fn session_is_as_it_was(&self) -> bool {
        self.state.borrow().restored.as_ref().is_some_and(|aside| self.ledger.is_as_it_was(aside))
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

    pub(crate) fn is_answered(&self) -> bool {
        self.state.borrow().answered
    }

    /// Whether an expired request came from no person, and has neither said nor written anything.
    ///
    /// Such a request leaves the session alone. A poll that is answered late could otherwise put an
    /// anonymous session in the place of a login that came in between; and the reason waits for the
    /// next page that a person sees.
    pub(crate) fn goes_unnoticed(&self) -> Option<Kind> {
        let standing = self.standing();
        let Standing::Masked(_, _, caller) = &*standing else { return None };
        let by_itself = matches!(caller.kind, Kind::Program | Kind::Resource);
        (by_itself && self.ledger.is_bare() && !self.has_flash()).then_some(caller.kind)
    }

    /// Whether the caller may wonder why their session has ended. Whoever is just leaving, or at the
    /// login form, does not.
    pub(crate) fn explains(&self, caller: &Caller) -> bool {
        let acts =
            caller.acts_at(&self.policy().login_url) || caller.acts_at(&self.setup.logout_url);
        !acts && !self.state.borrow().leaving && self.ledger.place_of_user().is_none()
    }

    pub(crate) fn text(&self, reason: Reason, caller: &Caller) -> String {
        let ended = self.login().and_then(|(_, record)| record.ended.as_ref());
        let notice = Notice {
            reason,
            languages: &caller.languages,
            device: ended.and_then(|ended| ended.by.as_deref()),
            at: ended.map(|ended| ended.at),
        };
        self.setup.text(&notice, &self.policy())
    }

    pub(crate) fn set_registered(&self, key: RecordKey) {
        self.state.borrow_mut().registered = Some(key);
    }

    pub(crate) fn registered(&self) -> Option<RecordKey> {
        self.state.borrow().registered
    }

    /// Puts the reason why the session ended into the messages, once, if it is due.
    pub(crate) fn tell_reason(&self) {
        let message = match &*self.standing() {
            Standing::Masked(reason, _, caller) if self.explains(caller) => {
                let level = if *reason == Reason::LoggedOut { Level::Info } else { Level::Warning };
                FlashMessage::new(level, self.text(*reason, caller)).with_tags(reason.as_str())
            }
            _ => return,
        };
        if !std::mem::replace(&mut self.state.borrow_mut().reason_told, true) {
            self.push(message);
        }
    }

    pub(crate) fn push(&self, message: FlashMessage) {
        self.with_flash(|queue| queue.push(message));
    }

    pub(crate) fn with_flash<T>(&self, act: impl FnOnce(&mut Queue) -> T) -> T {
        let mut flash = self.flash.borrow_mut();
        act(flash.get_or_insert_with(|| Queue::waiting(self.ledger.flash().unwrap_or_default())))
    }

    /// The page on which messages were shown is not going to be seen.
    pub(crate) fn unshow(&self) {
        if self.has_flash() {
            self.with_flash(Queue::unshow);
        }
    }

    /// Whether anyone has read or written messages in this request.
    pub(crate) fn has_flash(&self) -> bool {
        self.flash.borrow().is_some()
    }

    /// The activity to note for this request, if that needs noting: it is when `last_seen` lags behind
    /// by more than the policy's slack, or lies in the future.
    pub(crate) fn activity(&self, record: &Record, req: &HttpRequest) -> Option<Timestamp> {
        let in_future = record.last_seen.max(record.logged_in_at) > self.now;
        let slack = self.state.borrow().policy.slack().min(tightest_slack());
        let lags = self.now.since(record.last_seen) > slack;
        match (in_future || lags) && !self.is_passive(req) {
            true => Some(self.now),
            false => in_future.then_some(record.last_seen),
        }
    }

    pub(crate) fn is_passive(&self, req: &HttpRequest) -> bool {
        self.policy().passive || self.setup.is_passive(req)
    }
}

impl Found {
    /// `policy` with what the user of this login has of their own on top.
    fn topped(&self, policy: &Arc<Policy>) -> Arc<Policy> {
        match self {
            Self::Login(_, Record { patch: Some(patch), .. }, _) => Arc::new(patch.over(policy)),
            _ => Arc::clone(policy),
        }
    }
}

impl State {
    fn admit(&mut self, deadlines: Deadlines, ledger: &Ledger) {
        if let Standing::Masked(_, aside, _) = &self.standing {
            // Somebody signed in while the old session lay hidden: it must not come back.
            if ledger.place_of_user().is_some() || ledger.is_purged() {
                return;
            }
            ledger.unmask(aside);
            self.place = ledger.place_of_user();
        }
        let before = std::mem::replace(&mut self.standing, Standing::Active(deadlines));
        if let Standing::Masked(_, aside, _) = before {
            self.restored = Some(aside);
        }
    }

    fn mask(&mut self, reason: Reason, ledger: &Ledger, req: &HttpRequest) {
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

/// The policy that results when `patch` lies over `below`.
pub(crate) fn lay(patch: &PolicyPatch, below: &Policy) -> Arc<Policy> {
    let policy = patch.over(below);
    note_slack(&policy);
    Arc::new(policy)
}

/// The smallest slack of all policies that this process has met, in milliseconds. Activity must be
/// noted finely enough for the strictest of them, whichever page it happens on.
static TIGHTEST_SLACK: AtomicU64 = AtomicU64::new(u64::MAX);

pub(crate) fn note_slack(policy: &Policy) {
    let slack = u64::try_from(policy.slack().as_millis()).unwrap_or(u64::MAX);
    if slack < TIGHTEST_SLACK.load(Ordering::Relaxed) {
        TIGHTEST_SLACK.fetch_min(slack, Ordering::Relaxed);
    }
}

fn tightest_slack() -> Duration {
    Duration::from_millis(TIGHTEST_SLACK.load(Ordering::Relaxed))
}

async fn find(
    setup: &Setup,
    ledger: &Ledger,
    req: &HttpRequest,
    now: Timestamp,
) -> Result<Found, StackError> {
    if ledger.place_of_user().is_none() {
        return match req.get_identity() {
            Ok(_) => Err(StackError::IdentityKey),
            Err(_) => Ok(Found::Nobody),
        };
    }
    Ok(match ledger.key() {
        Signed::With(key) => load(setup, ledger, key).await,
        Signed::Missing if setup.adopt_until.is_some_and(|end| now < end) => {
            adopt(setup, ledger, req, now).await
        }
        Signed::Missing | Signed::Garbage => Found::Unknown,
    })
}

async fn load(setup: &Setup, ledger: &Ledger, key: RecordKey) -> Found {
    match setup.registry.load(key).await {
        Ok(Some(Loaded { record, open })) if ledger.is_user(&record.owner) == Some(true) => {
            Found::Login(key, record, open)
        }
        Ok(_) => Found::Unknown,
        Err(error) => {
            setup.registry_failed(&error);
            Found::Unreachable(Some(key))
        }
    }
}

/// A session from before this middleware was installed counts as a login that happens now.
async fn adopt(setup: &Setup, ledger: &Ledger, req: &HttpRequest, now: Timestamp) -> Found {
    let Some(owner) = ledger.user() else { return Found::Unknown };
    let patch = setup.patch_of(&owner, PolicyPatch::new()).await;
    let policy =
        patch.as_deref().map_or_else(|| (*setup.policy).clone(), |patch| patch.over(&setup.policy));
    let mut login = Login::new(owner, now, &policy);
    (login.client, login.patch) = (client(req, &setup.proxies), patch);
    let key = login.key;
    let admission = setup.registry.login(login).await;
    match admission {
        Ok(Admission::Admitted { record, .. }) if ledger.set_key(key).is_ok() => {
            setup.tell(&Event::LoggedIn { owner: &record.owner, id: record.id });
            Found::Login(key, record, 1)
        }
        Ok(_) => Found::Unknown,
        Err(error) => {
            setup.registry_failed(&error);
            Found::Unreachable(None)
        }
    }
}
