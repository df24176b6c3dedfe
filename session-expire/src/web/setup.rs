//! What the application has configured, shared by all its workers.

use std::{fmt, pin::Pin, sync::Arc};

use actix_web::HttpRequest;

use super::{caller::Programs, client::Proxy, dialog::DialogTexts};
use crate::{
    clock::SteadyClock,
    error::{ConfigError, RegistryError},
    event::{Event, Observer},
    limit::Limit,
    policy::{Policy, PolicyPatch},
    registry::{Registry, record::SessionRecord},
    sessions::Sessions,
    text::{Languages, Notice, default_text},
    time::Timestamp,
};

/// Answers what a person is told whose session has ended.
pub(crate) type Texts = Arc<dyn Fn(&Notice<'_>) -> String + Send + Sync>;

/// Answers what the warning dialog says to somebody who reads these languages.
pub(crate) type Dialogs = Arc<dyn Fn(&Languages) -> DialogTexts + Send + Sync>;

/// Answers what a user has of their own.
pub(crate) type UserPolicy = Arc<dyn Fn(String) -> LocalPatch + Send + Sync>;
pub(crate) type LocalPatch = Pin<Box<dyn Future<Output = PolicyPatch>>>;

/// What is kept with a login; nothing, where that would change nothing.
pub(crate) type KeptPatch = Result<Option<Arc<PolicyPatch>>, RegistryError>;

const KEEP: &str = "keep the policy of a user";

/// Tells whether a request is no activity of a person.
pub(crate) type Passive = Arc<dyn Fn(&HttpRequest) -> bool + Send + Sync>;

pub(crate) struct Setup {
    pub(crate) policy: Arc<Policy>,
    pub(crate) registry: Arc<dyn Registry>,
    /// Nobody gave it a registry.
    pub(crate) own_memory: bool,
    pub(crate) clock: Arc<SteadyClock>,
    pub(crate) texts: Option<Texts>,
    pub(crate) dialogs: Option<Dialogs>,
    pub(crate) passive: Option<Passive>,
    pub(crate) programs: Option<Programs>,
    pub(crate) observer: Option<Observer>,
    pub(crate) identity_key: &'static str,
    pub(crate) prefix: Arc<str>,
    pub(crate) logout_url: Arc<str>,
    pub(crate) challenge_anonymous: bool,
    pub(crate) adopt_until: Option<Timestamp>,
    pub(crate) user_policy: Option<UserPolicy>,
    pub(crate) proxies: Vec<Proxy>,
}

impl Setup {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        event.trace();
        #[cfg(feature = "metrics")]
        event.count();
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }

    pub(crate) fn tell_ended(&self, over: &[SessionRecord]) {
        over.iter().for_each(|record| self.tell(&Event::end_of(record)));
    }

    pub(crate) fn sessions(self: &Arc<Self>) -> Sessions {
        let setup = Arc::clone(self);
        let tell = Arc::new(move |event: &Event<'_>| setup.tell(event));
        let (registry, clock) = (Arc::clone(&self.registry), Arc::clone(&self.clock));
        Sessions { registry, clock, tell }
    }

    pub(crate) fn registry_failed(&self, error: &RegistryError) {
        self.tell(&Event::RegistryFailed { error });
    }

    pub(crate) fn is_passive(&self, req: &HttpRequest) -> bool {
        match &self.passive {
            Some(passive) => passive(req),
            None => req.headers().contains_key("x-session-passive"),
        }
    }

    /// What a person is told: the policy's one message, the application's text, or ours.
    pub(crate) fn text(&self, notice: &Notice<'_>, policy: &Policy) -> String {
        match (&policy.message, &self.texts) {
            (Some(message), _) => message.to_string(),
            (None, Some(texts)) => texts(notice),
            (None, None) => default_text(notice),
        }
    }

    /// What `user` has of their own.
    pub(crate) async fn patch_of(&self, user: &str) -> KeptPatch {
        match &self.user_policy {
            Some(rule) => self.kept(rule(user.to_owned()).await),
            None => Ok(None),
        }
    }

    /// Whether `patch` sets a limit that nobody would enforce.
    pub(crate) fn cannot_count_for(&self, patch: &PolicyPatch) -> bool {
        matches!(patch.max_sessions, Some(Limit::At(_))) && !self.registry.counts()
    }

    /// `patch` as it is kept with a login. What contradicts itself is none: a rule that comes from a table
    /// of the application was not there to be checked at the start.
    pub(crate) fn kept(&self, patch: PolicyPatch) -> KeptPatch {
        if self.cannot_count_for(&patch) {
            return Err(RegistryError::new(KEEP, ConfigError::CannotCount));
        }
        patch.validate().map_err(|error| RegistryError::new(KEEP, error))?;
        Ok((patch != PolicyPatch::new()).then(|| Arc::new(patch)))
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionExpire").field("policy", &self.policy).finish_non_exhaustive()
    }
}
