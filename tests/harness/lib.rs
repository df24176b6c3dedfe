//! Harness of the HTTP tests: a [`Site`] on a free port with a manual clock, and a [`Browser`].

mod browser;
mod live;
mod pages;
mod redis_server;
mod registry;
mod server;
mod site;
mod socket;
mod switch_proxy;

pub use browser::{Browser, RequestBuilder, TestResponse};
pub use live::{BodyEnd, StreamClient, Watched, watch_session};
pub use pages::{Barrier, configure as pages};
pub use redis_server::{RedisServer, find_free_port};
pub use registry::{KeyFault, TestRegistry};
pub use server::{CONNECTION_TIMEOUT, Server, block_on};
pub use site::{Site, SiteBuilder, describe_event, seal_anonymous_cookie};
pub use socket::{Frame, Socket};
pub use switch_proxy::SwitchProxy;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
