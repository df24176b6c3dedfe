//! Watches: open streams that end with their session.
//!
//! A stream is not polled. One thread per process has the deadlines of all watched sessions, and
//! loads a session again when its registry reports a change or its deadline has passed. The request
//! context opens watches; guarded streams and the event stream own them.

pub(crate) mod guarded;
pub(crate) mod session_end;
pub(crate) mod slot;
pub(crate) mod stream_end;
mod table;
mod thread;
mod watched_session;
pub(crate) mod watcher;
mod work;
