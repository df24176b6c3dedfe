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
    advice,
    asset::SCRIPT,
    caller::Caller,
    dialog::DialogTexts,
    flash::{FlashMessage, Level},
    gate::Gate,
    markup::{Markup, escape},
};
use crate::{
    claim,
    judge::{Deadlines, Verdict, judge},
    limit::Limit,
    registry::record::ActivityUpdate,
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
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use actix_identity::IdentityMiddleware;
/// # use actix_session::{SessionMiddleware, storage::CookieSessionStore};
/// # use actix_web::{App, cookie::Key, post, test::{self, TestRequest, call_and_read_body, call_service}};
/// # use session_expire::{ManualClock, Policy, SessionExpire, SessionHandle, SignInError};
/// use actix_web::{Responder, get};
/// use session_expire::SessionVars;
///
/// #[get("/")]
/// async fn page(session: SessionVars) -> impl Responder {
///     format!("idle: {}, all: {}", session.seconds_until_idle_end, session.seconds_until_session_end)
/// }
/// # #[post("/login")]
/// # async fn login(session: SessionHandle) -> Result<&'static str, SignInError> {
/// #     session.sign_in("alice").await?;
/// #     Ok("welcome")
/// # }
/// # let expire = SessionExpire::builder(Policy::new()).clock(ManualClock::default()).build()?;
/// # let app = test::init_service(
/// #     App::new().service(login).service(page)
/// #         .wrap(expire.clone())
/// #         .wrap(IdentityMiddleware::default())
/// #         .wrap(SessionMiddleware::new(CookieSessionStore::default(), Key::generate())),
/// # )
/// # .await;
/// # let answer = call_service(&app, TestRequest::post().uri("/login").to_request()).await;
/// # let cookie = answer.response().cookies().next().ok_or("no cookie")?;
/// # let request = TestRequest::get().uri("/").cookie(cookie.clone()).to_request();
/// # let text = call_and_read_body(&app, request).await;
/// # assert_eq!(text, "idle: 1800, all: 43200");
/// # let request = TestRequest::get().uri("/").to_request();
/// # assert_eq!(call_and_read_body(&app, request).await, "idle: null, all: null");
/// # Ok(()) }
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
    fn of(gate: &Gate, req: &HttpRequest) -> Self {
        let Verdict::Active(deadlines) = gate.verdict() else { return Self::default() };
        let deadlines = after_this_request(gate, req).unwrap_or(deadlines);
        Self {
            seconds_until_session_end: Seconds::of(deadlines.session_end),
            seconds_until_idle_end: Seconds::of(deadlines.idle_end),
            redirect_to_login_immediately: match deadlines.nearest() {
                Limit::At(_) => Markup(script(gate, req, deadlines)),
                Limit::Off => Markup::default(),
            },
            warning_dialog: warning_dialog(gate, req, deadlines),
        }
    }
}

/// The deadlines that will hold once this request is settled: what is going to be stored counts, not
/// what one might wish.
fn after_this_request(gate: &Gate, req: &HttpRequest) -> Option<Deadlines> {
    let (_, record) = gate.login()?;
    let mut record = record.clone();
    let seen = gate.activity(&record, req)?;
    record.touch(&ActivityUpdate { seen, now: gate.now, patch: None });
    match judge(&record.facts(), &gate.policy(), gate.now) {
        Verdict::Active(deadlines) => Some(deadlines),
        _ => None,
    }
}

fn warning_dialog(gate: &Gate, req: &HttpRequest, deadlines: Deadlines) -> Markup {
    let texts = match &gate.setup.dialogs {
        Some(texts) => texts(&Caller::of(req).languages),
        None => DialogTexts::default(),
    };
    Markup(format!("{}{}", texts.markup(&gate.setup.prefix), script(gate, req, deadlines)))
}

fn script(gate: &Gate, req: &HttpRequest, deadlines: Deadlines) -> String {
    let Some((_, record)) = gate.login() else { return String::new() };
    advice::notice_page(&gate.setup, req);
    let (policy, prefix, source) = (gate.policy(), escape(&gate.setup.prefix), SCRIPT.path());
    let claim = claim::issue(&policy, &record.seal);
    let page = claim::made_for(record.id, &record.user);
    let (login, warn) = (escape(&policy.login_url), policy.warning().unwrap_or_default());
    // A page that answered a form can't be read again: the way back is the page of the form.
    let next = match *req.method() {
        Method::GET | Method::HEAD => String::new(),
        _ => format!(" data-next=\"{}\"", escape(&Caller::of(req).back.unwrap_or_default())),
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
        ready(Gate::of(req).map(|gate| Self::of(&gate, req)).map_err(Error::from))
    }
}

/// The messages for a person: to show in a template, and to add to.
///
/// Whoever goes through them shows them; then, and only then, they are gone. Messages survive
/// redirects and requests of scripts. They live in the session: at most 12, and 1,500
/// bytes of text together; beyond that the oldest are dropped.
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
    ///
    /// ```
    /// use session_expire::{FlashMessage, FlashMessages, Level};
    /// async fn save(messages: FlashMessages) -> &'static str {
    ///     messages.push(FlashMessage::new(Level::Warning, "The disk is nearly full.").with_tags("sticky"));
    ///     messages.info("Saved."); // `success`, `warning` and `error` are as short
    ///     "saved"
    /// }
    /// ```
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
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use actix_identity::IdentityMiddleware;
    /// # use actix_session::{SessionMiddleware, storage::CookieSessionStore};
    /// # use actix_web::{App, cookie::Key, test::{self, TestRequest, call_and_read_body}};
    /// # use session_expire::{Policy, SessionExpire};
    /// use actix_web::get;
    /// use session_expire::FlashMessages;
    ///
    /// #[get("/")]
    /// async fn page(messages: FlashMessages) -> String {
    ///     messages.success("Saved.");
    ///     let shown = messages.show(); // or `for message in &messages`
    ///     assert!(messages.show().is_empty());
    ///     shown.iter().map(|message| format!("<p class=\"{}\">{message}</p>", message.tags())).collect()
    /// }
    /// # let expire = SessionExpire::builder(Policy::new()).build()?;
    /// # let app = test::init_service(
    /// #     App::new().service(page)
    /// #         .wrap(expire.clone())
    /// #         .wrap(IdentityMiddleware::default())
    /// #         .wrap(SessionMiddleware::new(CookieSessionStore::default(), Key::generate())),
    /// # )
    /// # .await;
    /// # let text = call_and_read_body(&app, TestRequest::get().uri("/").to_request()).await;
    /// # assert_eq!(text, "<p class=\"success\">Saved.</p>");
    /// # Ok(()) }
    /// ```
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
