//! Files that pages load.

/// A file that pages load, under a name that changes with its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    name: &'static str,
    extension: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) content: &'static str,
}

/// Made of `session.js`, which is the one to read, by `tests/browser/minify.mjs`.
pub(crate) const SCRIPT: Asset = Asset {
    name: "session",
    extension: "js",
    kind: "text/javascript; charset=utf-8",
    content: include_str!("session.min.js"),
};

pub(crate) const STYLE: Asset = Asset {
    name: "session",
    extension: "css",
    kind: "text/css; charset=utf-8",
    content: include_str!("session.css"),
};

impl Asset {
    /// Its path under the prefix: `session.0123456789abcdef.js`.
    pub(crate) fn path(&self) -> String {
        format!("{}.{:016x}.{}", self.name, fnv1a(self.content.as_bytes()), self.extension)
    }
}

/// FNV-1a: tells versions of a file apart, and nothing more is asked of it.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}
