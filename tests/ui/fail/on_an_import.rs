use session_expire::session_policy;

#[session_policy(idle = "1m")]
pub use std::fmt;

fn main() {}
