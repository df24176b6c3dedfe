//! Event stream, which sends the state of a session to the script of a page.
//!
//! The server sends the first event at once, so a page that reconnects needs no earlier events. An
//! event stream is not activity. Its request is checked like a status request.

use std::{
    convert::Infallible,
    ops::RangeInclusive,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{CACHE_CONTROL, CONTENT_ENCODING, HeaderName, X_CONTENT_TYPE_OPTIONS},
    },
    web::{self, Bytes},
};
use futures_core::Stream;
use rand::RngExt;

use super::status::{
    CORP, PageFacts, PageParams, PageState, StatusBody, apply_page_policy, belongs_to_other_user,
    refuse,
};
use crate::{
    context::RequestContext,
    error::SetupError,
    session::{
        reason::Reason,
        record::SessionRecord,
        verdict::{Verdict, judge_limits},
    },
    time::clock::MonotonicClock,
    watch::{
        slot::{CloseReason, PageNews, WatchKind},
        stream_end::StreamEnd,
        watcher::{LimitsFn, Watch},
    },
};

/// Header that turns off the buffering of the response in nginx.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Delay before a page reconnects, in milliseconds. It is random, so that pages do not reconnect
/// all at once after a restart.
const RETRY: RangeInclusive<u16> = 1_000..=3_000;

/// Delay before a page reconnects if its stream was surplus or could not be opened.
const RETRY_LATER: &str = "retry: 30000\n\n";

const HEARTBEAT: &str = ":\n\n";

pub(super) async fn events(
    req: HttpRequest,
    page: Option<web::Query<PageParams>>,
) -> Result<HttpResponse, SetupError> {
    let context = RequestContext::get(&req)?;
    if let Some(refusal) = refuse(&context, &req) {
        return Ok(refusal);
    }
    let page = page.map(web::Query::into_inner).unwrap_or_default();
    let facts = PageFacts::new(&context, apply_page_policy(&context, &page, &req)?);
    let verdict = context.verdict();
    // The client does not reconnect after a 204. A signed-out session has no further state, even if
    // the client still sends its key.
    if matches!(verdict, Verdict::Anonymous | Verdict::Expired(Reason::LoggedOut)) {
        return Ok(HttpResponse::NoContent().finish());
    }
    // The client reads no body after HEAD, so a stream would stay open unread.
    if *req.method() == Method::HEAD {
        return Ok(respond(EventStream::empty()));
    }
    if belongs_to_other_user(&context, &page) {
        return Ok(respond(EventStream::single(&StatusBody::from_state(PageState::Replaced))));
    }
    let status = facts.status(verdict, context.cause());
    Ok(respond(match context.watch(WatchKind::Page) {
        Ok(watch) => EventStream::open(&status, watch, OpenPage::new(&context, facts)),
        Err(_) if matches!(verdict, Verdict::Active(_)) => EventStream::retry_later(&status),
        Err(_) => EventStream::single(&status),
    }))
}

fn respond(stream: EventStream) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // A compressor would hold each event back until a block is full.
        .insert_header((CONTENT_ENCODING, "identity"))
        .insert_header((X_ACCEL_BUFFERING, "no"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CORP, "same-origin"))
        .streaming(stream)
}

/// Response body that sends events until the session ends.
struct EventStream {
    /// First data of the body, until it is sent.
    next: Option<Bytes>,
    /// `None` after the last event.
    open: Option<(Watch, OpenPage)>,
}

/// Page whose stream is open.
struct OpenPage {
    clock: Arc<MonotonicClock>,
    limits: LimitsFn,
    facts: PageFacts,
}

impl OpenPage {
    fn new(context: &RequestContext, facts: PageFacts) -> Self {
        Self { clock: Arc::clone(&context.config().clock), limits: context.limits_fn(), facts }
    }

    /// Returns the data to send, and `true` if the stream continues.
    fn event(&self, news: PageNews) -> (Option<Bytes>, bool) {
        match news {
            PageNews::Changed(record) => {
                let verdict = self.verdict(&record);
                let status = self.facts.status(verdict, None);
                (Some(event(&status)), matches!(verdict, Verdict::Active(_)))
            }
            PageNews::Heartbeat => (Some(Bytes::from_static(HEARTBEAT.as_bytes())), true),
            PageNews::Ended(StreamEnd::Ended { reason, cause }) => {
                let status = self.facts.status(Verdict::Expired(reason), cause.as_deref());
                (Some(event(&status)), false)
            }
            PageNews::Closed(CloseReason::TooMany) => {
                (Some(Bytes::from_static(RETRY_LATER.as_bytes())), false)
            }
            PageNews::Ended(StreamEnd::Unavailable | StreamEnd::ShuttingDown)
            | PageNews::Closed(CloseReason::Changed) => (None, false),
        }
    }

    fn verdict(&self, record: &SessionRecord) -> Verdict {
        judge_limits(&record.facts(), (self.limits)(record), self.clock.now())
    }
}

impl EventStream {
    fn open(status: &StatusBody, watch: Watch, page: OpenPage) -> Self {
        Self { next: Some(first_event(status)), open: Some((watch, page)) }
    }

    /// Returns a stream without events.
    fn empty() -> Self {
        Self { next: None, open: None }
    }

    /// Returns a stream of one event.
    fn single(status: &StatusBody) -> Self {
        Self { next: Some(first_event(status)), open: None }
    }

    /// Returns a stream of one event, for an active session that cannot be watched.
    fn retry_later(status: &StatusBody) -> Self {
        let next = [RETRY_LATER.as_bytes(), &event(status)].concat();
        Self { next: Some(next.into()), open: None }
    }
}

fn first_event(status: &StatusBody) -> Bytes {
    let retry = format!("retry: {}\n\n", rand::rng().random_range(RETRY));
    [retry.as_bytes(), &event(status)].concat().into()
}

fn event(status: &StatusBody) -> Bytes {
    // Serializing a status cannot fail, and JSON contains no line break.
    let json = serde_json::to_string(status).unwrap_or_default();
    format!("data: {json}\n\n").into()
}

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(Ok(next)));
        }
        let Some((watch, page)) = &self.open else { return Poll::Ready(None) };
        let (data, continues) = page.event(ready!(watch.poll_news(cx)));
        if !continues {
            self.open = None;
        }
        Poll::Ready(data.map(Ok))
    }
}
