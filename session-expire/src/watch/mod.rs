//! Watches, which end open streams with their session.
//!
//! The thread of an application's watcher loads a session again when the registry reports a change,
//! or when a deadline has passed. Between these loads, no stream is polled. The request context
//! opens watches. Guarded streams and event streams own them.

mod chunked_slab;
pub(crate) mod guarded;
mod health;
mod load_queue;
mod running_loads;
pub(crate) mod session_end;
pub(crate) mod slot;
pub(crate) mod stream_end;
mod table;
mod thread;
mod watch_list;
mod watched_changes;
mod watched_session;
pub(crate) mod watcher;
mod work;
