//! One file per promise, over HTTP, with a clock to turn.

mod accounts;
mod challenge;
mod clock;
mod endpoints;
// mod example_site;
mod expiry;
mod handlers;
mod handover;
// mod hostile;
mod limits;
// mod logins;
mod messages;
// mod model;
mod outage;
mod policies;
mod problems;
mod quiet;
// mod revival;
// mod stack;
mod vars;
