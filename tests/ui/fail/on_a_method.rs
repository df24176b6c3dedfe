use session_expire::session_policy;

struct Vault;

impl Vault {
    #[session_policy(idle = "1m")]
    async fn open(&self) -> &'static str {
        "gold"
    }
}

fn main() {}
