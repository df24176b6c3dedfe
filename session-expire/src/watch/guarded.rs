//! Stream or body that ends with its session.

use std::{
    error::Error as StdError,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    body::{BodySize, MessageBody},
    web::Bytes,
};
use futures_core::Stream;
use pin_project_lite::pin_project;

use super::session_end::SessionEnd;

/// Error of a guarded stream: a [`StreamEnd`](crate::live::StreamEnd), or an error of the inner
/// stream.
type GuardError = Box<dyn StdError>;

pin_project! {
    /// Stream or body that ends with an error when its session ends.
    /// [`SessionHandle::guard`](crate::SessionHandle::guard) returns it.
    ///
    /// The error is a [`StreamEnd`](crate::live::StreamEnd). Actix then closes the connection, so
    /// the client can tell that the body is incomplete. Actix may still send items that the stream
    /// produced before the end.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Guarded<T> {
        #[pin]
        inner: T,
        end: SessionEnd,
        is_complete: bool,
    }
}

impl<T> Guarded<T> {
    pub(crate) fn new(inner: T, end: SessionEnd) -> Self {
        Self { inner, end, is_complete: false }
    }

    /// Returns the next item of the inner stream, or the end as an error. The stream is complete
    /// after an error.
    fn poll_item<I, E: Into<GuardError>>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_inner: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<Option<Result<I, E>>>,
    ) -> Poll<Option<Result<I, GuardError>>> {
        let this = self.project();
        if *this.is_complete {
            return Poll::Ready(None);
        }
        let item = match Pin::new(this.end).poll(cx) {
            Poll::Ready(end) => Some(Err(end.into())),
            Poll::Pending => {
                ready!(poll_inner(this.inner, cx)).map(|item| item.map_err(Into::into))
            }
        };
        *this.is_complete = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl<S, I, E> Stream for Guarded<S>
where
    S: Stream<Item = Result<I, E>>,
    E: Into<Box<dyn StdError>>,
{
    type Item = Result<I, Box<dyn StdError>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx, Stream::poll_next)
    }
}

impl<B: MessageBody> MessageBody for Guarded<B> {
    type Error = Box<dyn StdError>;

    fn size(&self) -> BodySize {
        self.inner.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.poll_item(cx, MessageBody::poll_next)
    }
}
