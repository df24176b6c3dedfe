//! Variables of a page: countdowns, and the markup of the warning.

use std::{
    fmt,
    future::{Ready, ready},
    time::Duration,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, http::Method};
use serde::Serialize;

use crate::{
    claim,
    context::{RequestContext, facts::RequestFacts},
    dialog::{
        assets::SCRIPT,
        html::{Markup, escape},
        texts::DialogTexts,
    },
    judge::{Deadlines, Verdict, judge},
    limit::Limit,
    registry::record::SessionUpdate,
};

/// A number of whole seconds for a page. Prints as `null` when there is none, so that it can stand
/// in a script or a data block as it is.
///
/// ```
/// use session_expire::Seconds;
/// assert_eq!(format!("const left = {};", Seconds(Some(583))), "const left = 583;");
/// assert_eq!(serde_json::to_string(&Seconds(None))?, "null");
/// # Ok::<(), serde_json::Error>(())
/// ```
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

#[cfg(feature = "askama")]
mod safe {
    impl askama::filters::HtmlSafe for super::Seconds {}
}

/// The variables of a page, under the names of django-auto-logout. Extract it in the handler and hand
/// it to the template as `session`.
///
/// For an anonymous visitor, and for a limit that is off, the numbers print as `null`. The markup prints
/// as nothing for an anonymous visitor, the first one also where both limits are off.
///
/// Extracting it fails with 500 where [`SessionExpire`](crate::SessionExpire) is missing.
///
/// ```
/// use actix_web::{Responder, get};
/// use session_expire::SessionVars;
///
/// #[get("/")]
/// async fn page(session: SessionVars) -> impl Responder {
///     format!("idle: {}, all: {}", session.seconds_until_idle_end, session.seconds_until_session_end)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SessionVars {
    /// Whole seconds until the session has lasted too long.
    pub seconds_until_session_end: Seconds,
    /// Whole seconds until it has been idle for too long, if nothing happens from now on.
    pub seconds_until_idle_end: Seconds,
    /// A `<script>` that leaves for the login page when the session is over, whichever limit comes
    /// first; until then it keeps the session alive while somebody works on the page. It comes from the
    /// [endpoints](crate::endpoints), so it needs no inline code.
    pub redirect_to_login_immediately: Markup,
    /// A closed `<dialog>` with its style, and the same script, which then warns in time. Print it
    /// anywhere in the body. What it says is up to [`Builder::dialog_texts`](crate::Builder::dialog_texts), how it
    /// looks up to the custom properties of its style.
    pub warning_dialog: Markup,
}

impl SessionVars {
    fn new(context: &RequestContext, req: &HttpRequest) -> Self {
        let Verdict::Active(deadlines) = context.verdict() else { return Self::default() };
        let deadlines = after_this_request(context, req).unwrap_or(deadlines);
        Self {
            seconds_until_session_end: Seconds::of(deadlines.session_end),
            seconds_until_idle_end: Seconds::of(deadlines.idle_end),
            redirect_to_login_immediately: match deadlines.nearest() {
                Limit::At(_) => Markup(script(context, req, deadlines)),
                Limit::Off => Markup::default(),
            },
            warning_dialog: warning_dialog(context, req, deadlines),
        }
    }
}

/// The deadlines that will hold once this request is settled: what is going to be stored counts, not
/// what one might wish.
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
    let texts = match &context.config().dialog_texts {
        Some(texts) => texts(&context.info(req).languages),
        None => DialogTexts::default(),
    };
    Markup(format!("{}{}", texts.markup(&context.config().prefix), script(context, req, deadlines)))
}

fn script(context: &RequestContext, req: &HttpRequest, deadlines: Deadlines) -> String {
    let Some(record) = context.record().map(|loaded| &loaded.record) else { return String::new() };
    context.config().diagnostics.warn_missing_endpoints(&context.config().prefix, req);
    let (policy, prefix, source) =
        (context.policy(), escape(&context.config().prefix), SCRIPT.path());
    let claim = claim::issue(&policy, &context.mounted.policy_digest, record.signing_key());
    let page = claim::made_for(record.id, &record.user);
    let (login, warn) = (escape(&policy.login_url), policy.warning().unwrap_or_default());
    // A page that answered a form can't be read again: the way back is the page of the form.
    let next = match *req.method() {
        Method::GET | Method::HEAD => String::new(),
        _ => {
            format!(" data-next=\"{}\"", escape(&context.info(req).return_path.unwrap_or_default()))
        }
    };
    let seconds = |limit| Seconds::of(limit).0.map(|left| left.to_string()).unwrap_or_default();
    let (idle, session) = (seconds(deadlines.idle_end), seconds(deadlines.session_end));
    format!(
        "<script src=\"{prefix}/{source}\" data-status=\"{prefix}/status?policy={claim}&amp;login={page}\" \
         data-keep-alive=\"{prefix}/keep-alive\" data-channel=\"session-expire{prefix}\" \
         data-idle-end=\"{idle}\" data-session-end=\"{session}\" data-warn=\"{}\" data-login=\"{login}\"{next} defer></script>",
        warn.as_secs_f32(),
    )
}

impl FromRequest for SessionVars {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(RequestContext::get(req).map(|context| Self::new(&context, req)).map_err(Error::from))
    }
}
