//! Scripts and style of the warning dialog, as files.
//!
//! The names of the files change with their content, so browsers never use an old version.

/// File whose name changes with its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    name: &'static str,
    extension: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
}

/// `tests/browser/minify.mjs` builds `session.min.js` from `session.js`.
pub(crate) const SCRIPT: Asset = Asset {
    name: "session",
    extension: "js",
    content_type: "text/javascript; charset=utf-8",
    content: include_str!("session.min.js"),
};

/// Script of `signed-in`, the last page of the sign-in for a locked page.
pub(crate) const SIGNED_IN_SCRIPT: Asset = Asset {
    name: "signed_in",
    extension: "js",
    content_type: "text/javascript; charset=utf-8",
    content: include_str!("signed_in.js"),
};

pub(crate) const STYLE: Asset = Asset {
    name: "session",
    extension: "css",
    content_type: "text/css; charset=utf-8",
    content: include_str!("session.css"),
};

/// Style of `signed-in`.
pub(crate) const SIGNED_IN_STYLE: Asset = Asset {
    name: "signed_in",
    extension: "css",
    content_type: "text/css; charset=utf-8",
    content: include_str!("signed_in.css"),
};

impl Asset {
    /// Returns the path under the prefix, such as `session.0123456789abcdef.js`.
    pub(crate) fn path(&self) -> String {
        format!("{}.{:016x}.{}", self.name, fnv1a(self.content.as_bytes()), self.extension)
    }
}

/// Returns the FNV-1a hash. It distinguishes versions of a file and is not cryptographic.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}
