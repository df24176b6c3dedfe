//! Files that pages load.

/// A file that pages load, under a name that changes with its content.
#[derive(Debug)]
pub(crate) struct Asset {
    name: &'static str,
    content: &'static str,
}

pub(crate) const REDIRECT_SCRIPT: Asset =
    Asset { name: "redirect", content: include_str!("../client/redirect.js") };

impl Asset {
    pub(crate) fn content(&self) -> &'static str {
        self.content
    }

    /// Its path under the prefix: `redirect.0123456789abcdef.js`.
    pub(crate) fn path(&self) -> String {
        format!("{}.{:016x}.js", self.name, fnv1a(self.content.as_bytes()))
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
