//! Extractor for flash messages.
//!
//! Handlers add messages and show them. The request context stores them.

use std::{
    cell::RefCell,
    fmt,
    future::{Ready, ready},
    rc::Rc,
    vec,
};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};

use crate::{
    context::RequestContext,
    messages::flash::{FlashLevel, FlashMessage},
};

/// Flash messages of the user, to add to and to show in a template.
///
/// Iterating consumes the messages. Until then they survive redirects and polls. At most 12
/// messages and 2,900 bytes (JSON-escaped, as stored) can be pending. Beyond that, the oldest are
/// discarded.
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
///
/// For unit tests of a template or a handler, [`FlashMessages::default`] is empty, and an iterator
/// of [`FlashMessage`] collects into one.
#[derive(Default)]
pub struct FlashMessages {
    /// Messages of a request; `None` if they were constructed directly.
    request: Option<(Rc<RequestContext>, HttpRequest)>,
    by_hand: RefCell<Vec<FlashMessage>>,
}

impl FlashMessages {
    /// Adds a message.
    pub fn push(&self, message: FlashMessage) {
        match &self.request {
            Some((context, _)) => context.push_message(message),
            None => self.by_hand.borrow_mut().push(message),
        }
    }

    /// Adds a message of level [`FlashLevel::Info`].
    pub fn info(&self, text: impl Into<String>) {
        self.push(FlashMessage::new(FlashLevel::Info, text));
    }

    /// Adds a message of level [`FlashLevel::Success`].
    pub fn success(&self, text: impl Into<String>) {
        self.push(FlashMessage::new(FlashLevel::Success, text));
    }

    /// Adds a message of level [`FlashLevel::Warning`].
    pub fn warning(&self, text: impl Into<String>) {
        self.push(FlashMessage::new(FlashLevel::Warning, text));
    }

    /// Adds a message of level [`FlashLevel::Error`].
    pub fn error(&self, text: impl Into<String>) {
        self.push(FlashMessage::new(FlashLevel::Error, text));
    }

    /// Returns all pending messages, oldest first, and consumes them. The notice that the previous
    /// session has ended is one of them.
    #[must_use]
    pub fn show(&self) -> Vec<FlashMessage> {
        match &self.request {
            Some((context, req)) => context.show_messages(req),
            None => self.by_hand.take(),
        }
    }
}

impl FromIterator<FlashMessage> for FlashMessages {
    /// Constructs messages directly, for unit tests.
    fn from_iter<I: IntoIterator<Item = FlashMessage>>(messages: I) -> Self {
        Self { by_hand: RefCell::new(messages.into_iter().collect()), ..Self::default() }
    }
}

impl IntoIterator for FlashMessages {
    type Item = FlashMessage;
    type IntoIter = vec::IntoIter<FlashMessage>;

    fn into_iter(self) -> Self::IntoIter {
        self.show().into_iter()
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
        let messages = |context| Self { request: Some((context, req.clone())), ..Self::default() };
        ready(context.map(messages).map_err(Error::from))
    }
}

impl fmt::Debug for FlashMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlashMessages(…)")
    }
}
