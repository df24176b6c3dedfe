use session_expire::session_policy;

#[session_policy(idle = "1m")]
trait Vault {}

fn main() {}
