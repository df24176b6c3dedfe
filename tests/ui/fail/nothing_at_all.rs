use session_expire::session_policy;

#[session_policy]
async fn vault() -> &'static str {
    "gold"
}

fn main() {
    let _ = vault;
}
