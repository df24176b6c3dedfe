//! What templates print: countdowns, messages, and the script that leaves in time.

use std::{
    fmt,
    future::{Ready, ready},
    rc::Rc,
    time::Duration,
    vec,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, http::Method};
use serde::Serialize;

use super::{
    asset::REDIRECT_SCRIPT,
    caller::Caller,
    flash::{FlashMessage, Level},
    gate::Gate,
    reply::escape,
};
use crate::{
    claim,
    judge::{Deadlines, Verdict, judge},
    limit::Limit,
    registry::record::Change,
};

/// A number of whole seconds for a page. Prints as `null` when there is none, so that it can stand
/// in a script or a data block as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Seconds(pub Option<u64>);

impl Seconds {
    /// Rounded up: a session that lives has at least one second left, for at zero it is over.
    pub(crate) fn of(limit: Limit<Duration>) -> Self {
        Self(limit.at().map(|left| left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seconds) => seconds.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// HTML that is safe to print as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Markup(String);

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "askama")]
mod safe {
    impl askama::filters::HtmlSafe for super::Seconds {}
    impl askama::filters::HtmlSafe for super::Markup {}
}

/// The variables of a page, under the names of django-auto-logout. Extract it in the handler and hand
/// it to the template as `session`.
///
/// For an anonymous visitor, and for a limit that is off, the numbers print as `null`; the markup
/// prints as nothing.
///
/// Extracting it fails with 500 where [`SessionExpire`](crate::SessionExpire) is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SessionVars {
    /// Whole seconds until the session has lasted too long.
    pub seconds_until_session_end: Seconds,
    /// Whole seconds until it has been idle for too long, if nothing happens from now on.
    pub seconds_until_idle_end: Seconds,
    /// A `<script>` that leaves for the login page when the session is over, whichever limit comes
    /// first. It comes from the [endpoints](crate::endpoints), so it needs no inline code.
    pub redirect_to_login_immediately: Markup,
}

impl SessionVars {
    fn of(gate: &Gate, req: &HttpRequest) -> Self {
        let Verdict::Active(deadlines) = gate.verdict() else { return Self::default() };
        let deadlines = after_this_request(gate, req).unwrap_or(deadlines);
        Self {
            seconds_until_session_end: Seconds::of(deadlines.session_end),
            seconds_until_idle_end: Seconds::of(deadlines.idle_end),
            redirect_to_login_immediately: script(gate, req, deadlines),
        }
    }
}

/// The deadlines that will hold once this request is settled: what is going to be stored counts, not
/// what one might wish.
fn after_this_request(gate: &Gate, req: &HttpRequest) -> Option<Deadlines> {
    let (_, record) = gate.login()?;
    let mut record = record.clone();
    let seen = gate.activity(&record, req)?;
    record.touch(&Change { seen, now: gate.now, patch: None });
    match judge(&record.facts(), &gate.policy(), gate.now) {
        Verdict::Active(deadlines) => Some(deadlines),
        _ => None,
    }
}

fn script(gate: &Gate, req: &HttpRequest, deadlines: Deadlines) -> Markup {
    let (Some(seconds), Some((_, record))) = (Seconds::of(deadlines.nearest()).0, gate.login())
    else {
        return Markup::default();
    };
    let (policy, prefix) = (gate.policy(), escape(&gate.setup.prefix));
    let claim = claim::issue(&policy, &record.seal);
    let login = escape(&policy.login_url);
    // A page that answered a form can't be read again: the way back is the page of the form.
    let next = match *req.method() {
        Method::GET | Method::HEAD => String::new(),
        _ => format!(" data-next=\"{}\"", escape(&Caller::of(req).back.unwrap_or_default())),
    };
    let source = REDIRECT_SCRIPT.path();
    Markup(format!(
        "<script src=\"{prefix}/{source}\" data-status=\"{prefix}/status?policy={claim}\" \
         data-seconds=\"{seconds}\" data-login=\"{login}\"{next} defer></script>"
    ))
}

impl FromRequest for SessionVars {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Gate::of(req).map(|gate| Self::of(&gate, req)).map_err(Error::from))
    }
}

/// The messages for a person: to show in a template, and to add to.
///
/// Whoever goes through them shows them; then, and only then, they are gone. Messages survive
/// redirects and requests of scripts. They live in the session, newest first when space is short: at
/// most 12, and 1,500 bytes of text together.
///
/// ```
/// use actix_web::{HttpResponse, Responder};
/// use session_expire::FlashMessages;
/// async fn save(messages: FlashMessages) -> impl Responder {
///     messages.success("Saved.");
///     HttpResponse::SeeOther().insert_header(("location", "/")).finish()
/// }
/// ```
///
/// Extracting it fails with 500 where [`SessionExpire`](crate::SessionExpire) is missing.
pub struct FlashMessages(Rc<Gate>);

impl FlashMessages {
    /// Adds a message.
    pub fn push(&self, message: FlashMessage) {
        self.0.push(message);
    }

    /// Adds a message of level [`Level::Info`].
    pub fn info(&self, text: impl Into<String>) {
        self.push(FlashMessage::new(Level::Info, text));
    }

    /// Adds a message of level [`Level::Success`].
    pub fn success(&self, text: impl Into<String>) {
        self.push(FlashMessage::new(Level::Success, text));
    }

    /// Adds a message of level [`Level::Warning`].
    pub fn warning(&self, text: impl Into<String>) {
        self.push(FlashMessage::new(Level::Warning, text));
    }

    /// Adds a message of level [`Level::Error`].
    pub fn error(&self, text: impl Into<String>) {
        self.push(FlashMessage::new(Level::Error, text));
    }

    /// Shows all messages that have not been shown yet, in order. The reason why a session has just
    /// ended is among them.
    #[must_use]
    pub fn show(&self) -> Vec<FlashMessage> {
        self.0.tell_reason();
        self.0.with_flash(super::flash::Queue::show)
    }
}

impl IntoIterator for &FlashMessages {
    type Item = FlashMessage;
    type IntoIter = vec::IntoIter<FlashMessage>;

    fn into_iter(self) -> Self::IntoIter {
        self.show().into_iter()
    }
}

impl FromRequest for FlashMessages {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Gate::of(req).map(Self).map_err(Error::from))
    }
}

impl fmt::Debug for FlashMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlashMessages(…)")
    }
}
