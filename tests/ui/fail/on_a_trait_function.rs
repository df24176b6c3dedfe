use session_expire::session_policy;

trait Vault {
    #[session_policy(idle = "1m")]
    fn open();
}

fn main() {}
