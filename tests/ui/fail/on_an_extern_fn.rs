use session_expire::session_policy;

#[session_policy(idle = "1m")]
extern "C" fn vault() {}

fn main() {}
