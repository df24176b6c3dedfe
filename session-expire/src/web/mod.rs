//! The Actix side: everything that knows of requests and responses.

pub(crate) mod around;
pub(crate) mod asset;
pub(crate) mod builder;
pub(crate) mod caller;
pub(crate) mod challenge;
pub(crate) mod client;
pub(crate) mod endpoints;
pub(crate) mod farewell;
pub(crate) mod flash;
pub(crate) mod found;
pub(crate) mod gate;
pub(crate) mod handle;
pub(crate) mod layer;
pub(crate) mod ledger;
pub(crate) mod login;
pub(crate) mod messages;
pub(crate) mod middleware;
pub(crate) mod problem;
pub(crate) mod reply;
pub(crate) mod settle;
pub(crate) mod setup;
pub(crate) mod slack;
pub(crate) mod stack;
pub(crate) mod standing;
pub(crate) mod vars;
