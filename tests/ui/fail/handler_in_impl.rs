use session_expire::session_policy;

struct Vault;

// The compiler reports each of the items that a handler needs outside of the impl.
impl Vault {
    #[session_policy(require_login)] //~ ERROR ERROR
    async fn open() -> &'static str { //~ ERROR
        "gold"
    }
}

fn main() {}
