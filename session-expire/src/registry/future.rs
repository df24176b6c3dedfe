//! Result of a registry operation, at once or later.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use crate::error::RegistryError;

type Outcome<T> = Result<T, RegistryError>;
type Boxed<'a, T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send + 'a>>;

/// Response future of a [`Registry`](super::Registry) operation.
///
/// A registry that needs no I/O returns [`ready`](Self::ready), which allocates nothing.
///
/// ```
/// use session_expire::{error::RegistryError, registry::RegistryFuture};
///
/// fn in_memory<'a>() -> RegistryFuture<'a, u32> {
///     RegistryFuture::ready(Ok(7))
/// }
///
/// fn on_a_server<'a>() -> RegistryFuture<'a, u32> {
///     RegistryFuture::boxed(async {
///         Err(RegistryError::new("load a record", std::io::Error::other("timed out")))
///     })
/// }
/// # let _ = (in_memory(), on_a_server());
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct RegistryFuture<'a, T>(State<'a, T>);

enum State<'a, T> {
    Ready(Option<Outcome<T>>),
    Pending(Boxed<'a, T>),
}

impl<'a, T> RegistryFuture<'a, T> {
    /// Returns a future that is complete.
    pub fn ready(outcome: Result<T, RegistryError>) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    /// Returns a future that does I/O.
    pub fn boxed(work: impl Future<Output = Result<T, RegistryError>> + Send + 'a) -> Self {
        Self(State::Pending(Box::pin(work)))
    }

    /// Returns the outcome if it is there without I/O, else the future to await.
    ///
    /// # Errors
    ///
    /// Returns the future itself if it does I/O.
    pub fn try_ready(mut self) -> Result<Result<T, RegistryError>, Self> {
        match &mut self.0 {
            State::Ready(outcome) => outcome.take().ok_or(self),
            State::Pending(_) => Err(self),
        }
    }
}

// Nothing is pinned in place: the outcome is moved out, and a box is always `Unpin`.
impl<T> Unpin for RegistryFuture<'_, T> {}

impl<T> Future for RegistryFuture<'_, T> {
    type Output = Result<T, RegistryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            // Polled after completion: stays pending, as a fused future does.
            State::Ready(outcome) => outcome.take().map_or(Poll::Pending, Poll::Ready),
            State::Pending(work) => work.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for RegistryFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "RegistryFuture(ready)",
            State::Pending(_) => "RegistryFuture(pending)",
        })
    }
}
