//! Harness of the HTTP tests: a [`Site`] on a free port with a manual clock, and a [`Browser`].

mod authority;
mod browser;
mod cluster_node;
mod live;
mod load;
mod moving_slots;
mod pages;
mod records;
mod redis_cluster;
mod redis_sentinel;
mod redis_server;
mod registry;
mod server;
mod site;
mod slot_migration;
mod socket;
mod switch_proxy;

pub use authority::{Authority, Certificates};
pub use browser::{Browser, RequestBuilder, TestResponse};
pub use live::{BodyEnd, StreamClient, Watched, watch_session};
pub use load::{Counts, Load, Measured, Progress, Recovery};
pub use moving_slots::Moves;
pub use pages::{Barrier, configure as pages};
pub use records::{
    NOON, committed, is_open, load_when_available, login, revoked, session, sign_in,
};
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::SentinelTrio;
pub use redis_server::{RedisServer, find_free_port, read_pages};
pub use registry::{KeyFault, TestRegistry};
pub use server::{CONNECTION_TIMEOUT, Server, block_on};
pub use site::{Site, SiteBuilder, describe_event, seal_anonymous_cookie};
pub use socket::{Frame, Socket};
pub use switch_proxy::SwitchProxy;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
