use session_expire::session_policy;

#[session_policy(max_sessions = 1, idle)] //~ ERROR
async fn key_alone() {}

#[session_policy(idle =, passive)] //~ ERROR
async fn equals_sign_alone() {}

#[session_policy(require_login =)] //~ ERROR
async fn flag_with_equals_sign() {}

#[session_policy(idle "10m")] //~ ERROR
async fn no_equals_sign() {}

#[session_policy(idle("10m"))] //~ ERROR
async fn parentheses() {}

#[session_policy(require_login(false))] //~ ERROR
async fn flag_with_parentheses() {}

fn main() {}
