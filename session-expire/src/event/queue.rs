//! Queue between the requests and an asynchronous observer.
//!
//! A request never waits for the observer: if the queue is full, the event is dropped and counted.
//! The observer runs on its own thread and runtime, which start with the first event. It therefore
//! depends neither on the runtime of a request nor on the runtime in which the middleware was
//! built. `Config` owns the queue.

use std::{
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use actix_web::rt::{self, Runtime};
use tokio::sync::{
    mpsc::{Receiver, Sender, channel},
    oneshot,
};

use super::OwnedEvent;
use crate::time::{Timestamp, minutes};

/// Future of an observer. It runs on the thread of the queue, so it need not be `Send`.
type ObserverFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Asynchronous observer.
pub(crate) type AsyncObserver = Arc<dyn Fn(OwnedEvent) -> ObserverFuture + Send + Sync>;

/// Default capacity of the queue, in events.
pub(crate) const DEFAULT_CAPACITY: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Bounded queue of events for an asynchronous observer.
pub(crate) struct EventQueue {
    observer: AsyncObserver,
    capacity: NonZeroUsize,
    /// Sender to the thread; `None` if the thread could not be started.
    sender: OnceLock<Option<Sender<Message>>>,
    dropped: AtomicU64,
    /// Time of the last warning about dropped events.
    warned_at: Mutex<Option<Timestamp>>,
}

enum Message {
    Event(Box<OwnedEvent>),
    /// Request for a signal when all earlier events were observed.
    Flush(oneshot::Sender<()>),
}

impl EventQueue {
    pub(crate) fn new(observer: AsyncObserver, capacity: NonZeroUsize) -> Self {
        Self {
            observer,
            capacity,
            sender: OnceLock::new(),
            dropped: AtomicU64::new(0),
            warned_at: Mutex::new(None),
        }
    }

    /// Adds an event, without waiting. Drops and counts it if the queue is full.
    pub(crate) fn push(&self, event: OwnedEvent) {
        let (at, message) = (event.at, Message::Event(Box::new(event)));
        let sent = self.sender().map(|sender| sender.try_send(message).is_ok());
        if sent != Some(true) {
            self.count_dropped(at);
        }
    }

    /// Returns the number of events that were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until the observer has processed all events that were added before, for at most
    /// `longest`. Returns `true` if it has.
    pub(crate) async fn flush(&self, longest: Duration) -> bool {
        let Some(sender) = self.sender.get().and_then(Option::as_ref) else { return true };
        let (observed, is_observed) = oneshot::channel();
        // A full queue accepts the message only after the observer has received an event.
        let flushed = async {
            sender.send(Message::Flush(observed)).await.is_ok() && is_observed.await.is_ok()
        };
        rt::time::timeout(longest, flushed).await.unwrap_or(false)
    }

    fn sender(&self) -> Option<&Sender<Message>> {
        self.sender.get_or_init(|| start(Arc::clone(&self.observer), self.capacity)).as_ref()
    }

    /// Counts a dropped event. The warning is logged at most once a minute.
    fn count_dropped(&self, now: Timestamp) {
        let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        #[cfg(feature = "metrics")]
        metrics::counter!("session_expire_events_dropped_total").increment(1);
        let mut warned_at = self.warned_at.lock().unwrap_or_else(PoisonError::into_inner);
        if warned_at.is_none_or(|at| now.since(at) >= minutes(1)) {
            *warned_at = Some(now);
            tracing::warn!(event = "sys_events_dropped", dropped, "events dropped");
        }
    }
}

fn start(observer: AsyncObserver, capacity: NonZeroUsize) -> Option<Sender<Message>> {
    let (sender, receiver) = channel(capacity.get());
    let run = move || run(observer, receiver);
    let spawned = thread::Builder::new().name("session-events".to_owned()).spawn(run);
    spawned.inspect_err(no_thread).ok().map(|_| sender)
}

fn run(observer: AsyncObserver, receiver: Receiver<Message>) {
    match Runtime::new() {
        Ok(runtime) => runtime.block_on(observe(observer, receiver)),
        Err(error) => no_thread(&error),
    }
}

fn no_thread(error: &std::io::Error) {
    tracing::error!(event = "sys_no_observer", %error, "cannot start the observer thread");
}

/// Passes the events to the observer, one at a time.
async fn observe(observer: AsyncObserver, mut receiver: Receiver<Message>) {
    while let Some(message) = receiver.recv().await {
        match message {
            Message::Event(event) => observe_event(Arc::clone(&observer), *event).await,
            Message::Flush(observed) => drop(observed.send(())),
        }
    }
}

/// Runs the observer in its own task. If it panics, the observer still receives the next event.
async fn observe_event(observer: AsyncObserver, event: OwnedEvent) {
    let word = event.kind.word();
    if rt::spawn(async move { observer(event).await }).await.is_err() {
        tracing::error!(event = "sys_observer_panicked", observed = word, "observer panicked");
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::{
        pin::Pin,
        sync::mpsc::{self, Receiver},
    };

    use actix_web::rt::Runtime;

    use super::*;
    use crate::event::Event;

    fn event(count: u64) -> OwnedEvent {
        OwnedEvent::new(&Event::everyone_ended(count), Timestamp::from_millis(0))
    }

    /// Returns a queue whose observer sends the counts of its events. It waits for a permit before
    /// each event.
    fn queue(capacity: usize) -> (EventQueue, Receiver<u64>, mpsc::Sender<()>) {
        let ((sender, observed), (permits, permitted)) = (mpsc::channel(), mpsc::channel());
        let permitted = Mutex::new(permitted);
        let observer: AsyncObserver = Arc::new(move |event| {
            let _ = permitted.lock().unwrap().recv();
            sender.send(event.count.unwrap()).unwrap();
            Box::pin(async {})
        });
        (EventQueue::new(observer, NonZeroUsize::new(capacity).unwrap()), observed, permits)
    }

    fn flush(queue: &EventQueue) {
        assert!(Runtime::new().unwrap().block_on(queue.flush(minutes(5))));
    }

    #[test]
    fn newest_event_is_dropped_and_counted() {
        let (queue, observed, permits) = queue(2);
        (0..10).for_each(|count| queue.push(event(count)));
        // If the thread has already taken the first event, the queue has one more slot.
        let dropped = queue.dropped();
        assert!((7..=8).contains(&dropped), "{dropped}");
        drop(permits);
        flush(&queue);
        let observed: Vec<_> = observed.try_iter().collect();
        assert_eq!(observed, (0..10 - dropped).collect::<Vec<_>>());
    }

    #[test]
    fn drops_are_logged_once_a_minute() {
        let (queue, _observed, _permits) = queue(1);
        let warnings = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&warnings);
        let subscriber = tracing_subscriber::fmt().with_writer(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            std::io::sink()
        });
        tracing::subscriber::with_default(subscriber.finish(), || {
            (0..3).for_each(|count| queue.push(event(count)));
            for (seconds, expected) in [(0, 1), (59, 1), (60, 2), (61, 2), (120, 3)] {
                queue.count_dropped(Timestamp::from_millis(seconds * 1_000));
                assert_eq!(warnings.load(Ordering::Relaxed), expected, "after {seconds} s");
            }
        });
    }

    #[test]
    fn events_in_the_queue_survive_its_drop() {
        let (queue, observed, permits) = queue(8);
        (0..5).for_each(|count| queue.push(event(count)));
        drop(queue);
        drop(permits);
        assert_eq!(observed.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn observer_that_panics_receives_the_next_event() {
        let (sender, observed) = mpsc::channel();
        let observer: AsyncObserver = Arc::new(move |event: OwnedEvent| {
            let sender = sender.clone();
            let future = async move {
                assert_ne!(event.count, Some(0), "a panic of the observer");
                sender.send(event.count).unwrap();
            };
            Box::pin(future) as Pin<Box<dyn Future<Output = ()>>>
        });
        let queue = EventQueue::new(observer, DEFAULT_CAPACITY);
        (0..2).for_each(|count| queue.push(event(count)));
        flush(&queue);
        assert_eq!(observed.try_iter().collect::<Vec<_>>(), [Some(1)]);
    }

    #[test]
    fn flush_returns_although_the_observer_hangs() {
        for capacity in [1, 8] {
            let (queue, _observed, _permits) = queue(capacity);
            (0..3).for_each(|count| queue.push(event(count)));
            let flushed = queue.flush(Duration::from_millis(1));
            assert!(!Runtime::new().unwrap().block_on(flushed), "{capacity}");
        }
    }

    #[test]
    fn flush_without_events_returns_at_once() {
        flush(&queue(1).0);
    }
}
