//! Session variables of a page: countdowns and the markup of the warning dialog.
//!
//! The numbers are the deadlines after this request is settled. Handlers extract [`SessionVars`]
//! and pass them to a template.

use std::{
    fmt,
    future::{Ready, ready},
    time::Duration,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, http::Method};
use serde::Serialize;

use crate::{
    config::EVENTS,
    context::{RequestContext, facts::RequestFacts},
    dialog::{
        assets::SCRIPT,
        html::{Markup, channel_attribute, escape},
    },
    policy::{Policy, at_end::AtEnd, limit::Limit},
    session::{
        page_token,
        update::SessionUpdate,
        verdict::{Deadlines, Verdict, judge},
    },
};

/// Whole seconds until a deadline, for a script or a data block. Renders as `null` if there is no
/// deadline.
///
/// ```
/// use session_expire::page::RemainingSeconds;
/// assert_eq!(format!("const left = {};", RemainingSeconds(Some(583))), "const left = 583;");
/// assert_eq!(RemainingSeconds(None).to_string(), "null");
/// assert_eq!(serde_json::json!(RemainingSeconds(None)), serde_json::Value::Null);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct RemainingSeconds(pub Option<u64>);

impl RemainingSeconds {
    /// Rounds up: an active session has at least one second left.
    pub(crate) fn from_limit(limit: Limit<Duration>) -> Self {
        Self(limit.at().map(|left| left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for RemainingSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seconds) => seconds.fmt(f),
            None => f.write_str("null"),
        }
    }
}

#[cfg(feature = "askama")]
mod safe {
    impl askama::filters::HtmlSafe for super::RemainingSeconds {}
}

/// Session variables of a page, with the names of django-auto-logout. Extract them in the handler
/// and pass them to the template as `session`.
///
/// Numbers render as `null` for an anonymous visitor and for a timeout that is off. Markup renders
/// as an empty string for an anonymous visitor. If both timeouts are off,
/// [`redirect_to_login_immediately`](Self::redirect_to_login_immediately) is empty, too.
///
/// Extracting them fails with 500 if [`SessionExpire`](crate::SessionExpire) is not mounted.
///
/// ```
/// use actix_web::{Responder, get};
/// use session_expire::SessionVars;
///
/// #[get("/")]
/// async fn page(session: SessionVars) -> impl Responder {
///     format!("{} of {} s", session.seconds_until_idle_end, session.seconds_until_session_end)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct SessionVars {
    /// Seconds until the absolute timeout.
    pub seconds_until_session_end: RemainingSeconds,
    /// Seconds until the idle timeout if there is no further activity.
    pub seconds_until_idle_end: RemainingSeconds,
    /// Seconds until the page asks the user to re-authenticate; `null` if its policy does not set
    /// [`fresh`](crate::Policy#structfield.fresh).
    pub seconds_until_confirm: RemainingSeconds,
    /// `<script>` that opens the login page when the session ends. Until then it sends keep-alives
    /// while the user is active on the page. The [endpoints](crate::SessionExpire::endpoints) serve
    /// the script; none of it is inline.
    pub redirect_to_login_immediately: Markup,
    /// Closed `<dialog>` with its style and the same script. The script opens the dialog before the
    /// session ends. Render it anywhere in the body. Texts:
    /// [`dialog_texts`](crate::SessionExpireBuilder::dialog_texts). Styles: the custom properties
    /// in the [guide](crate::guide::dialog).
    pub warning_dialog: Markup,
    /// Actor of an impersonation, for a banner on each page; `None` if the session is not
    /// impersonated.
    pub actor: Option<String>,
}

impl SessionVars {
    /// Returns the countdowns of an active session, without markup, for unit tests of a template.
    /// [`SessionVars::default`] represents an anonymous visitor.
    ///
    /// ```
    /// use session_expire::{Deadlines, SessionVars, hours, minutes, page::Markup};
    /// let mut session = SessionVars::new(Deadlines::new(minutes(10), hours(8)));
    /// session.warning_dialog = Markup::new("<dialog></dialog>");
    /// assert_eq!(session.seconds_until_idle_end.to_string(), "600");
    /// ```
    #[must_use]
    pub fn new(deadlines: Deadlines) -> Self {
        Self {
            seconds_until_session_end: RemainingSeconds::from_limit(deadlines.session_end),
            seconds_until_idle_end: RemainingSeconds::from_limit(deadlines.idle_end),
            ..Self::default()
        }
    }

    fn of_request(context: &RequestContext, req: &HttpRequest) -> Self {
        let Verdict::Active(deadlines) = context.verdict() else { return Self::default() };
        let deadlines = after_this_request(context, req).unwrap_or(deadlines);
        Self {
            redirect_to_login_immediately: match deadlines.nearest() {
                Limit::At(_) => Markup::new(script(context, req, deadlines)),
                Limit::Off => Markup::default(),
            },
            warning_dialog: warning_dialog(context, req, deadlines),
            seconds_until_confirm: seconds_until_confirm(context),
            actor: context.actor().map(|actor| actor.to_string()),
            ..Self::new(deadlines)
        }
    }
}

fn seconds_until_confirm(context: &RequestContext) -> RemainingSeconds {
    let fresh = context.policy().fresh.at();
    let left = fresh.map(|fresh| context.fresh_for(fresh).unwrap_or_default());
    RemainingSeconds::from_limit(left.into())
}

/// Returns the deadlines after the activity of this request is stored. Returns `None` if
/// no activity is due.
fn after_this_request(context: &RequestContext, req: &HttpRequest) -> Option<Deadlines> {
    let mut record = context.record()?.record.as_ref().clone();
    let active_at =
        context.due_activity(&record, || RequestFacts::new(context.config(), req).is_passive)?;
    record.update(&SessionUpdate::new(context.now).active(active_at));
    match judge(&record.facts(), &context.policy(), context.now) {
        Verdict::Active(deadlines) => Some(deadlines),
        _ => None,
    }
}

fn warning_dialog(context: &RequestContext, req: &HttpRequest, deadlines: Deadlines) -> Markup {
    let texts = context.config().dialog_texts(req);
    Markup::new(format!(
        "{}{}",
        texts.markup(&context.config().prefix, lock_time(&context.policy()).is_some()),
        script(context, req, deadlines)
    ))
}

/// Returns the time for which a page stays locked; `None` if it does not lock. Only the idle
/// timeout locks a page.
fn lock_time(policy: &Policy) -> Option<Limit<Duration>> {
    let locks = policy.at_end == AtEnd::Lock && policy.idle != Limit::Off;
    locks.then_some(policy.lock_for)
}

/// Returns the attributes of a page that locks, or an empty string: the login page, and the seconds
/// for which the page stays locked. The page for expired sessions may have no sign-in form.
fn lock_attributes(policy: &Policy) -> String {
    let seconds =
        |lock: Limit<Duration>| lock.at().map_or(f64::INFINITY, |lock| lock.as_secs_f64());
    let sign_in = escape(&policy.login_url);
    match lock_time(policy).map(seconds) {
        Some(f64::INFINITY) => format!(" data-sign-in=\"{sign_in}\" data-lock=\"Infinity\""),
        Some(seconds) => format!(" data-sign-in=\"{sign_in}\" data-lock=\"{seconds}\""),
        None => String::new(),
    }
}

fn script(context: &RequestContext, req: &HttpRequest, deadlines: Deadlines) -> String {
    let Some(record) = context.record().map(|loaded| &loaded.record) else { return String::new() };
    context.config().diagnostics.warn_missing_endpoints(&context.config().prefix, req);
    let (policy, prefix, source) =
        (context.policy(), escape(&context.config().prefix), SCRIPT.path());
    let digest = &context.mounted.policy_digest;
    let layers = page_token::PageLayers {
        handler: context.handler_policies(),
        is_exempt: context.is_exempt(),
    };
    let token = page_token::issue(&policy, layers, digest, record.signing_key());
    let page = page_token::page_id(record.id, &record.user, record.actor.as_deref());
    let (login, warn) = (escape(&context.expired_url()), policy.warning().unwrap_or_default());
    // The response to a POST may not exist at the same URL by GET. The return path is the page with
    // the form.
    let next = match *req.method() {
        Method::GET | Method::HEAD => String::new(),
        _ => {
            format!(" data-next=\"{}\"", escape(&context.info(req).return_path.unwrap_or_default()))
        }
    };
    let seconds = |limit| {
        RemainingSeconds::from_limit(limit).0.map(|left| left.to_string()).unwrap_or_default()
    };
    let (idle, session) = (seconds(deadlines.idle_end), seconds(deadlines.session_end));
    let (lock, channel) = (lock_attributes(&policy), channel_attribute(&context.config().prefix));
    let query = format!("policy={token}&amp;login={page}");
    let events = match context.config().live_pages {
        true => format!(" data-events=\"{prefix}{EVENTS}?{query}\""),
        false => String::new(),
    };
    format!(
        "<script src=\"{prefix}/{source}\" data-status=\"{prefix}/status?{query}\"{events} \
         data-keep-alive=\"{prefix}/keep-alive\"{channel} \
         data-idle-end=\"{idle}\" data-session-end=\"{session}\" data-warn=\"{}\" data-login=\"{login}\"{next}{lock} defer></script>",
        warn.as_secs_f32(),
    )
}

impl FromRequest for SessionVars {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(
            RequestContext::get(req)
                .map(|context| Self::of_request(&context, req))
                .map_err(Error::from),
        )
    }
}
