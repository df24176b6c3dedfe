//! The servers of a Redis registry: connections, attempts, checks, time.

pub(crate) mod acknowledge;
pub(crate) mod channel;
pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod cluster;
mod connect;
pub(crate) mod connection;
mod groups;
pub(crate) mod io_thread;
pub(crate) mod permissions;
pub(crate) mod pipeline;
pub(crate) mod report;
pub(crate) mod retry;
mod run;
pub(crate) mod send;
pub(crate) mod sentinel;
pub(crate) mod servers;
mod start_primaries;
pub(crate) mod subscriber;
