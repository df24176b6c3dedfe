use session_expire::session_policy;

#[session_policy(idle = "1m")]
const VAULT: u8 = 1;

fn main() {}
