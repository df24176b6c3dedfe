//! Scripts and style of the warning dialog, as files.
//!
//! The names of the files change with their content, so browsers never use an old version.

/// File whose name changes with its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    name: &'static str,
    extension: &'static str,
    /// Hash of the content, calculated at compile time: every page contains it.
    hash: u64,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
}

/// `tests/browser/minify.mjs` builds `session.min.js` from `session.js`.
pub(crate) const SCRIPT: Asset = Asset::script("session", include_str!("session.min.js"));

/// Script of `signed-in`, the last page of the sign-in for a locked page.
pub(crate) const SIGNED_IN_SCRIPT: Asset = Asset::script("signed_in", include_str!("signed_in.js"));

pub(crate) const STYLE: Asset = Asset::style("session", include_str!("session.css"));

/// Style of `signed-in`.
pub(crate) const SIGNED_IN_STYLE: Asset = Asset::style("signed_in", include_str!("signed_in.css"));

/// All files.
pub(crate) const ASSETS: [Asset; 4] = [SCRIPT, SIGNED_IN_SCRIPT, SIGNED_IN_STYLE, STYLE];

impl Asset {
    const fn script(name: &'static str, content: &'static str) -> Self {
        Self::new(name, "js", "text/javascript; charset=utf-8", content)
    }

    const fn style(name: &'static str, content: &'static str) -> Self {
        Self::new(name, "css", "text/css; charset=utf-8", content)
    }

    const fn new(
        name: &'static str,
        extension: &'static str,
        content_type: &'static str,
        content: &'static str,
    ) -> Self {
        Self { name, extension, hash: fnv1a(content.as_bytes()), content_type, content }
    }

    /// Returns the path under the prefix, such as `session.0123456789abcdef.js`.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}.{}", self.name, self.version(), self.extension)
    }

    /// Returns the path pattern that matches all versions.
    pub(crate) fn path_pattern(&self) -> String {
        format!("{}.{{version:[0-9a-f]{{16}}}}.{}", self.name, self.extension)
    }

    /// Returns the version of the content, such as `0123456789abcdef`.
    pub(crate) fn version(&self) -> String {
        format!("{:016x}", self.hash)
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
