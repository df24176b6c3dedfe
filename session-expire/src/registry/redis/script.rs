//! Lua scripts of the registry.
//!
//! The server runs each script atomically. Each consists of common functions and its own file.

use std::sync::LazyLock;

/// Script with the SHA-1 by which `EVALSHA` identifies it.
pub(super) struct Script {
    pub(super) code: String,
    pub(super) hash: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let code = parts.concat();
        let hash = redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }
}

/// Functions that all scripts share except `LOAD` and `END_EVERYONE`.
const COMMON: &[&str] = &[
    include_str!("lua/common.lua"),
    include_str!("lua/report.lua"),
    include_str!("lua/open.lua"),
    include_str!("lua/ended.lua"),
    include_str!("lua/retention.lua"),
];
const RETRY: &str = include_str!("lua/retry.lua");
const LIMIT: &str = include_str!("lua/limit.lua");
const DATA: &str = include_str!("lua/data.lua");

macro_rules! script {
    ($name:ident, $file:literal $(, $part:ident)*) => {
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(&[COMMON, &[$($part,)* include_str!(concat!("lua/", $file))]].concat())
        });
    };
}

pub(super) static LOAD: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[include_str!("lua/load.lua")]));
script!(LIST, "list.lua");
script!(ISSUE_TICKET, "issue_ticket.lua");
script!(COUNT_CONFIRMATION_ATTEMPT, "count_confirmation_attempt.lua", RETRY);
script!(RESERVE, "reserve.lua", LIMIT);
script!(COMMIT, "commit.lua", RETRY, LIMIT);
script!(CANCEL, "cancel.lua");
script!(UPDATE, "update.lua", DATA);
script!(ROTATE, "rotate.lua", DATA);
script!(END, "end.lua", RETRY);
script!(ENFORCE_LIMIT, "enforce_limit.lua", RETRY, LIMIT);
/// Runs for every tag, and has only the functions that it needs, because each one takes time.
pub(super) static END_EVERYONE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[include_str!("lua/common.lua"), include_str!("lua/end_everyone.lua")])
});
script!(REPORT_ANY, "report_any.lua");
script!(ERASE, "erase.lua");
script!(EXPORT, "export.lua");
