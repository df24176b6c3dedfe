use session_expire::session_policy;

#[session_policy(idle = "1m")]
const fn vault() -> u8 {
    1
}

fn main() {}
