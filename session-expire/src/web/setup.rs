//! What the application has configured, shared by all its workers.

use std::{fmt, sync::Arc};

use actix_web::HttpRequest;

use crate::{
    error::RegistryError,
    event::{Event, Observer},
    facts::Reason,
    policy::Policy,
    registry::Registry,
    text::{Languages, default_text},
    time::{SteadyClock, Timestamp},
};

/// Answers what a person is told, from the reason and the languages they read.
pub(crate) type Texts = Arc<dyn Fn(Reason, &Languages) -> String + Send + Sync>;

/// Tells whether a request is no activity of a person.
pub(crate) type Passive = Arc<dyn Fn(&HttpRequest) -> bool + Send + Sync>;

pub(crate) struct Setup {
    pub(crate) policy: Arc<Policy>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) clock: SteadyClock,
    pub(crate) texts: Option<Texts>,
    pub(crate) passive: Option<Passive>,
    pub(crate) observer: Option<Observer>,
    pub(crate) identity_key: &'static str,
    pub(crate) prefix: Arc<str>,
    pub(crate) logout_url: Arc<str>,
    pub(crate) challenge_anonymous: bool,
    pub(crate) adopt_until: Option<Timestamp>,
}

impl Setup {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        event.trace();
        if let Some(observer) = &self.observer {
            observer(event);
        }
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
    pub(crate) fn text(&self, reason: Reason, policy: &Policy, languages: &Languages) -> String {
        match (&policy.message, &self.texts) {
            (Some(message), _) => message.to_string(),
            (None, Some(texts)) => texts(reason, languages),
            (None, None) => default_text(reason).to_owned(),
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionExpire").field("policy", &self.policy).finish_non_exhaustive()
    }
}
