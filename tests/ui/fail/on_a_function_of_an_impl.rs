// 3 errors: the compiler names the free items that a handler needs beside it.
use session_expire::session_policy;

struct Vault;

impl Vault {
    #[session_policy(require_login)]
    async fn open() -> &'static str {
        "gold"
    }
}

fn main() {}
