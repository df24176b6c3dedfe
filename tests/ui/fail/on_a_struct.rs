use session_expire::session_policy;

#[session_policy(idle = "1m")]
struct Vault;

fn main() {}
