use session_expire::session_policy;

#[session_policy(warn = "10m", idle = "10m")] //~ ERROR
async fn as_long_as_idle() {}

#[session_policy(absolute = "1h", warn = "1h30m")] //~ ERROR
async fn longer_than_absolute() {}

#[session_policy(idle = "never", absolute = "never", warn = "30s")] //~ ERROR
async fn without_limits() {}

fn main() {}
