use session_expire::session_policy;

#[session_policy(idle = "1m")]
fn vault() -> String {
    String::new()
}

fn main() {}
