//! Builder options for observers of events.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use super::{SessionExpire, SessionExpireBuilder};
use crate::event::{Event, Observer, OwnedEvent, queue::EventQueue};

impl SessionExpireBuilder {
    /// Sets a function that receives every [`Event`]. Default: none. Events also go to `tracing`.
    ///
    /// It runs on the thread of the request, which it must not block. With an observer, each login
    /// also lists the user's records, for [`Event::LoggedIn`].
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
    /// It does not delay responses. Events go to a queue
    /// ([`event_queue_capacity`](Self::event_queue_capacity)), and a separate thread passes them to
    /// the function, one at a time and in order. If the queue is full, the newest event is dropped
    /// and counted ([`dropped_events`](SessionExpire::dropped_events)). When the process ends, the
    /// events in the queue are lost, unless it calls [`flush_events`](SessionExpire::flush_events).
    ///
    /// The thread starts with the first event, and has a single-threaded Tokio runtime. The future
    /// need not be `Send`. Use a connection pool of another runtime through a channel. With an
    /// observer, each login also lists the user's records, for [`Event::LoggedIn`].
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

    /// Sets how many events may wait for the [`async_observer`](Self::async_observer). Default:
    /// 1,024. An event needs a few hundred bytes.
    pub fn event_queue_capacity(mut self, events: NonZeroUsize) -> Self {
        self.event_queue_capacity = events;
        self
    }
}

impl SessionExpire {
    /// Returns the number of events that the [`async_observer`] did not receive because its queue
    /// was full. A warning (`sys_events_dropped`) with the number is logged at most once a minute.
    ///
    /// [`async_observer`]: SessionExpireBuilder::async_observer
    #[must_use]
    pub fn dropped_events(&self) -> u64 {
        self.config.events.queue.as_ref().map_or(0, EventQueue::dropped)
    }

    /// Waits until the [`async_observer`] has processed all events that were emitted before, for at
    /// most `longest`. Call it after the server has stopped, and before the process ends.
    ///
    /// Returns `false` if the time was too short, or if the thread of the observer has ended.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime with a timer, such as that of Actix Web.
    ///
    /// [`async_observer`]: SessionExpireBuilder::async_observer
    pub async fn flush_events(&self, longest: Duration) -> bool {
        match &self.config.events.queue {
            Some(queue) => queue.flush(longest).await,
            None => true,
        }
    }
}
