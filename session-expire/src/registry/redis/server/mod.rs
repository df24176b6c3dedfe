//! The server of a Redis registry: connection, attempts, checks, time.

pub(crate) mod acknowledge;
pub(crate) mod channel;
pub(crate) mod check;
pub(crate) mod clock;
mod connect;
pub(crate) mod connection;
pub(crate) mod io_thread;
pub(crate) mod permissions;
pub(crate) mod pipeline;
pub(crate) mod report;
pub(crate) mod retry;
mod run;
pub(crate) mod send;
pub(crate) mod subscriber;
