//! The scripts that run on the server. Each is one step that others see whole or not at all.

use std::sync::LazyLock;

/// A script and the name under which the server keeps it.
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

const COMMON: &str = include_str!("common.lua");
const ROOM: &str = include_str!("room.lua");

pub(super) static LOAD: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[include_str!("load.lua")]));
pub(super) static FIND: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[include_str!("find.lua")]));
pub(super) static TOUCH: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[COMMON, include_str!("touch.lua")]));
pub(super) static END: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[COMMON, include_str!("end.lua")]));
pub(super) static LOGIN: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[COMMON, ROOM, include_str!("login.lua")]));
pub(super) static MAKE_ROOM: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[COMMON, ROOM, include_str!("make_room.lua")]));
