use session_expire::session_policy;

#[session_policy] //~ ERROR
async fn no_arguments() {}

#[session_policy()] //~ ERROR
async fn empty_parentheses() {}

#[session_policy("10m")] //~ ERROR
async fn value_without_key() {}

#[session_policy(idel = "10m")] //~ ERROR
async fn misspelled() {}

#[session_policy(requires_login)] //~ ERROR
async fn misspelled_flag() {}

#[session_policy(at_ends = "lock")] //~ ERROR
async fn misspelled_at_end() {}

#[session_policy(timeout = "10m")] //~ ERROR
async fn unknown() {}

#[session_policy(idle = "10m", max_sessions = 1, idle = "1h")] //~ ERROR
async fn duplicate() {}

#[session_policy(idle = "10m",, passive)] //~ ERROR
async fn two_commas() {}

fn main() {}
