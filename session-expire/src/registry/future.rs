//! Response future of a registry operation.
//!
//! An operation without I/O completes at once and allocates nothing. All methods of
//! [`Registry`](super::Registry) return this type.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use crate::error::RegistryError;

type OperationResult<T> = Result<T, RegistryError>;
type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = OperationResult<T>> + Send + 'a>>;

/// Response future of a [`Registry`](super::Registry) operation.
///
/// A registry that needs no I/O returns [`ready`](Self::ready), which allocates nothing.
///
/// ```
/// use session_expire::{error::RegistryError, registry::RegistryFuture};
///
/// fn count_in_memory<'a>() -> RegistryFuture<'a, u32> {
///     RegistryFuture::ready(Ok(7))
/// }
///
/// fn count_on_server<'a>() -> RegistryFuture<'a, u32> {
///     RegistryFuture::boxed(async {
///         Err(RegistryError::new("load a record", std::io::Error::other("timed out")))
///     })
/// }
/// # let _ = (count_in_memory(), count_on_server());
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct RegistryFuture<'a, T>(FutureState<'a, T>);

enum FutureState<'a, T> {
    Ready(Option<OperationResult<T>>),
    Pending(BoxedFuture<'a, T>),
}

impl<'a, T> RegistryFuture<'a, T> {
    /// Returns a future that is complete. It allocates nothing.
    pub fn ready(outcome: Result<T, RegistryError>) -> Self {
        Self(FutureState::Ready(Some(outcome)))
    }

    /// Returns a future that runs `work`. It allocates once.
    pub fn boxed(work: impl Future<Output = Result<T, RegistryError>> + Send + 'a) -> Self {
        Self(FutureState::Pending(Box::pin(work)))
    }

    /// Returns the outcome of a future that is complete.
    ///
    /// # Errors
    ///
    /// Returns the future itself if it must be awaited.
    pub fn try_ready(mut self) -> Result<Result<T, RegistryError>, Self> {
        match &mut self.0 {
            FutureState::Ready(outcome) => outcome.take().ok_or(self),
            FutureState::Pending(_) => Err(self),
        }
    }
}

// No field is pinned structurally: the outcome is moved out, and a `Pin<Box<_>>` is `Unpin`.
impl<T> Unpin for RegistryFuture<'_, T> {}

impl<T> Future for RegistryFuture<'_, T> {
    type Output = Result<T, RegistryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            // Polled after completion.
            FutureState::Ready(outcome) => outcome.take().map_or(Poll::Pending, Poll::Ready),
            FutureState::Pending(work) => work.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for RegistryFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            FutureState::Ready(_) => "RegistryFuture(ready)",
            FutureState::Pending(_) => "RegistryFuture(pending)",
        })
    }
}
