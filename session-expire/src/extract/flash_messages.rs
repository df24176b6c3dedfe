//! Flash messages, as a handler adds and shows them.

use std::{
    fmt,
    future::{Ready, ready},
    rc::Rc,
    vec,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};

use crate::{
    context::RequestContext,
    messages::flash::{FlashMessage, Level},
};

/// The flash messages of the user: to add to, and to show in a template.
///
/// Iterating consumes the messages; they survive redirects and polls until then. At most 12 wait,
/// and 2,900 bytes of them as stored (JSON-escaped); beyond that the oldest are dropped.
///
/// Extracting it fails with 500 if [`SessionExpire`](crate::SessionExpire) is not mounted.
///
/// ```
/// use actix_web::{HttpResponse, Responder, get, post};
/// use session_expire::FlashMessages;
///
/// #[post("/save")]
/// async fn save(messages: FlashMessages) -> impl Responder {
///     messages.success("Saved.");
///     HttpResponse::SeeOther().insert_header(("location", "/")).finish()
/// }
///
/// #[get("/")]
/// async fn page(messages: FlashMessages) -> String {
///     let shown = messages.into_iter();
///     shown.map(|message| format!("<p class=\"{}\">{message}</p>", message.tags())).collect()
/// }
/// ```
pub struct FlashMessages {
    context: Rc<RequestContext>,
    req: HttpRequest,
}

impl FlashMessages {
    /// Adds a message.
    pub fn push(&self, message: FlashMessage) {
        self.context.push_message(message);
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

    /// Returns all messages that have not been shown, in order, and consumes them. The reason why
    /// the session has ended is among them.
    #[must_use]
    pub fn show(&self) -> Vec<FlashMessage> {
        self.context.show_messages(&self.req)
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
        let context = RequestContext::get(req);
        ready(context.map(|context| Self { context, req: req.clone() }).map_err(Error::from))
    }
}

impl fmt::Debug for FlashMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlashMessages(…)")
    }
}
