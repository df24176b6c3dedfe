use session_expire::session_policy;

#[session_policy(idle = "1m")]
mod vault {
    pub async fn open() -> &'static str {
        "gold"
    }
}

fn main() {}
