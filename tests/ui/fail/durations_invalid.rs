use session_expire::session_policy;

#[session_policy(idle = 600)] //~ ERROR
async fn number() {}

#[session_policy(idle = "600")] //~ ERROR
async fn number_in_quotes() {}

#[session_policy(idle = -5)] //~ ERROR
async fn negative() {}

#[session_policy(idle = 10m)] //~ ERROR
async fn no_quotes() {}

#[session_policy(idle = never)] //~ ERROR
async fn never_without_quotes() {}

#[session_policy(idle = Duration::from_secs(60))] //~ ERROR
async fn expression() {}

#[session_policy(idle = "")] //~ ERROR
async fn empty() {}

#[session_policy(idle = "0s")] //~ ERROR
async fn zero() {}

#[session_policy(idle = "1.5h")] //~ ERROR
async fn fraction() {}

#[session_policy(idle = "1h 30m")] //~ ERROR
async fn space() {}

#[session_policy(idle = "10 minutes")] //~ ERROR
async fn long_unit() {}

#[session_policy(absolute = "2w")] //~ ERROR
async fn unknown_unit() {}

#[session_policy(idle = "1m1m")] //~ ERROR
async fn unit_twice() {}

#[session_policy(idle = "30m1h")] //~ ERROR
async fn small_unit_first() {}

#[session_policy(absolute = "36501d")] //~ ERROR
async fn more_than_a_century() {}

#[session_policy(warn = "unlimited")] //~ ERROR
async fn unlimited() {}

fn main() {}
