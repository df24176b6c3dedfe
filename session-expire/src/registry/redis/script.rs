//! Lua scripts of the registry.
//!
//! The server runs each script atomically. A script that writes consists of common functions and
//! its own file.

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

const COMMON: &str = include_str!("lua/common.lua");
const LIMIT: &str = include_str!("lua/limit.lua");
const DATA: &str = include_str!("lua/data.lua");

macro_rules! script {
    ($name:ident, $file:literal $(, $part:ident)*) => {
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(&[$($part,)* include_str!(concat!("lua/", $file))]));
    };
}

script!(LOAD, "load.lua");
script!(LIST, "list.lua");
script!(RESERVE, "reserve.lua", COMMON, LIMIT);
script!(COMMIT, "commit.lua", COMMON, LIMIT);
script!(CANCEL, "cancel.lua", COMMON);
script!(UPDATE, "update.lua", COMMON, DATA);
script!(ROTATE, "rotate.lua", COMMON, DATA);
script!(END, "end.lua", COMMON);
script!(ENFORCE_LIMIT, "enforce_limit.lua", COMMON, LIMIT);
script!(END_EVERYONE, "end_everyone.lua", COMMON);
script!(ERASE, "erase.lua", COMMON);
script!(EXPORT, "export.lua", COMMON);
