// 2 errors: the compiler has one of its own, which names no cure.
use session_expire::session_policy;

#[session_policy(idle = "1m")]
mod vault;

fn main() {}
