use session_expire::session_policy;

#[session_policy(max_sessions = "3")] //~ ERROR
async fn count_in_quotes() {}

#[session_policy(max_sessions = -1)] //~ ERROR
async fn negative_count() {}

#[session_policy(max_sessions = 1.5)] //~ ERROR
async fn fraction() {}

#[session_policy(max_sessions = 4294967296)] //~ ERROR
async fn large_count() {}

#[session_policy(max_sessions = "never")] //~ ERROR
async fn duration_for_a_count() {}

#[session_policy(overflow = "lru")] //~ ERROR
async fn unknown_overflow() {}

#[session_policy(overflow = evict)] //~ ERROR
async fn overflow_without_quotes() {}

#[session_policy(at_end = "stay")] //~ ERROR
async fn unknown_at_end() {}

#[session_policy(at_end = lock)] //~ ERROR
async fn at_end_without_quotes() {}

#[session_policy(lock_for = 3600)] //~ ERROR
async fn lock_without_unit() {}

#[session_policy(at_end = "lock", idle = "never")] //~ ERROR
async fn lock_without_idle() {}

#[session_policy(at_end = "leave", lock_for = "1h")] //~ ERROR
async fn lock_for_without_lock() {}

#[session_policy(passive = "true")] //~ ERROR
async fn passive_in_quotes() {}

#[session_policy(require_login = "true")] //~ ERROR
async fn require_login_in_quotes() {}

#[session_policy(message = " ")] //~ ERROR
async fn blank_message() {}

#[session_policy(message = 401)] //~ ERROR
async fn message_without_quotes() {}

#[session_policy(login_url = "login")] //~ ERROR
async fn relative_path() {}

#[session_policy(login_url = "https://login.example")] //~ ERROR
async fn other_host() {}

#[session_policy(login_url = "//login.example")] //~ ERROR
async fn other_host_without_scheme() {}

#[session_policy(login_url = "/\\login.example")] //~ ERROR
async fn backslash() {}

#[session_policy(login_url = "/sign in")] //~ ERROR
async fn space() {}

fn main() {}
