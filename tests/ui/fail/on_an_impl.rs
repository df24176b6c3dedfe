use session_expire::session_policy;

struct Vault;

#[session_policy(idle = "1m")]
impl Vault {}

fn main() {}
