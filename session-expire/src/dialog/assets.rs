//! Script and style that pages load.

/// File that pages load, under a name that changes with its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    name: &'static str,
    extension: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) content: &'static str,
}

/// Made from `session.js` by `tests/browser/minify.mjs`.
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
    /// Returns its path under the prefix: `session.0123456789abcdef.js`.
    pub(crate) fn path(&self) -> String {
        format!("{}.{:016x}.{}", self.name, fnv1a(self.content.as_bytes()), self.extension)
    }
}

/// FNV-1a: it distinguishes versions of a file, and is no protection.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}
