//! What the tests drive the library with: a [`Site`] on a free port with a clock to turn, and a
//! [`Browser`] with verbs.

mod browser;
mod pages;
mod probe;
mod redis_server;
mod server;
mod site;

pub use browser::{Answer, Browser, Request};
pub use pages::configure as pages;
pub use probe::Probe;
pub use redis_server::RedisServer;
pub use server::{Server, block_on};
pub use site::{Site, SiteBuilder, name_of_event, sealed};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
