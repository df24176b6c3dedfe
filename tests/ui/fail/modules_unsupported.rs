use session_expire::session_policy;

#[session_policy(idle = "1m")]
mod without_handlers { //~ ERROR
    pub async fn open() -> &'static str {
        "gold"
    }
}

#[session_policy(require_login)]
mod includes_a_file {
    include!("vault/mod.rs"); //~ ERROR
}

// The compiler reports an error of its own.
#[session_policy(idle = "1m")]
mod vault; //~ ERROR ERROR

fn main() {}
