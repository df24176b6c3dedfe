//! Builder options for observers of events.

use std::{num::NonZeroUsize, sync::Arc};

use super::{SessionExpire, SessionExpireBuilder};
use crate::event::{Event, Observer, OwnedEvent, queue::EventQueue};

impl SessionExpireBuilder {
    /// Sets a function that receives every [`Event`]. Default: none. Events also go to `tracing`.
    ///
    /// It runs on the thread of the request, which it must not block. With an observer, a login
    /// costs one more list of the user's records, for [`Event::LoggedIn`].
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use session_expire::{Event, Policy, Reason, SessionExpire};
    ///
    /// static EVICTED: AtomicU64 = AtomicU64::new(0);
    ///
    /// let expire = SessionExpire::builder(Policy::new().max_sessions(1))
    ///     .observer(|event| {
    ///         if let Event::Ended { reason: Reason::Evicted, .. } = event {
    ///             EVICTED.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn observer<F>(mut self, observer: F) -> Self
    where
        F: Fn(&Event<'_>) + Send + Sync + 'static,
    {
        self.observer = Some(Arc::new(observer) as Observer);
        self
    }

    /// Sets an asynchronous function that receives every event as an [`OwnedEvent`], such as one
    /// that writes an audit table or sends mail. Default: none. Events also go to `tracing`.
    ///
    /// No response waits for it. Events go to a queue
    /// ([`event_queue_capacity`](Self::event_queue_capacity)), and a thread of its own passes them
    /// to the function, one after the other and in their order. If the queue is full, the newest
    /// event is dropped and counted: see
    /// [`dropped_events`](SessionExpire::dropped_events). The events in the queue are lost when the
    /// process ends: see [`flush_events`](SessionExpire::flush_events).
    ///
    /// The thread has a single-threaded Tokio runtime and starts with the first event. The future
    /// needs not be `Send`. Pools that are bound to another runtime must be used through a channel.
    /// With an observer, a login costs one more list of the user's records, for
    /// [`Event::LoggedIn`].
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, event::{EventKind, OwnedEvent}};
    ///
    /// async fn audit(event: OwnedEvent) {
    ///     if event.kind == EventKind::LoggedIn && event.seen_before == Some(false) {
    ///         // write to the user
    ///     }
    /// }
    ///
    /// let expire = SessionExpire::builder(Policy::new()).async_observer(audit).build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn async_observer<F, O>(mut self, observer: F) -> Self
    where
        F: Fn(OwnedEvent) -> O + Send + Sync + 'static,
        O: Future<Output = ()> + 'static,
    {
        self.async_observer = Some(Arc::new(move |event| Box::pin(observer(event))));
        self
    }

    /// Sets how many events may wait for the
    /// [`async_observer`](Self::async_observer). Default: 1,024. An event needs a few hundred bytes.
    pub fn event_queue_capacity(mut self, events: NonZeroUsize) -> Self {
        self.event_queue_capacity = events;
        self
    }
}

impl SessionExpire {
    /// Returns the number of events that the [`async_observer`] has not received because its queue
    /// was full. A warning in the log (`sys_events_dropped`) names the number at most once a minute.
    ///
    /// [`async_observer`]: SessionExpireBuilder::async_observer
    #[must_use]
    pub fn dropped_events(&self) -> u64 {
        self.config.events.queue.as_ref().map_or(0, EventQueue::dropped)
    }

    /// Waits until the [`async_observer`] has received all events that were emitted before. Call it
    /// after the server has stopped, and before the process ends.
    ///
    /// [`async_observer`]: SessionExpireBuilder::async_observer
    pub async fn flush_events(&self) {
        if let Some(queue) = &self.config.events.queue {
            queue.flush().await;
        }
    }
}
