#![allow(dead_code)]

use session_expire::session_policy;

#[session_policy(require_login)]
mod pages {
    include!("vault/mod.rs");
}

fn main() {}
