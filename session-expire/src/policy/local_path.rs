//! Local paths: paths that are safe to redirect to.
//!
//! Redirects of this crate use local paths only.

/// Largest size in bytes of a return path, and of a `Location` with one. A longer path is
/// discarded, not truncated.
pub(crate) const MAX_PATH_LEN: usize = 2_048;

/// Returns `text` if it is a path of this site that is safe to redirect to.
///
/// # Security
///
/// Use it on every `next` from a form or a query. A browser could interpret other texts as a URL of
/// another host. It returns `None` for a text that:
///
/// - does not start with exactly one `/`, or has `//` in its path.
/// - contains a backslash or a character outside of printable ASCII. Browsers remove tabs and line
///   breaks from URLs, and Unicode has other characters for dots and slashes.
/// - is longer than 2,048 bytes.
///
/// ```
/// use session_expire::request::local_path;
///
/// assert_eq!(local_path("/reports?year=2026#total"), Some("/reports?year=2026#total"));
/// assert_eq!(local_path("//evil.example"), None);
/// assert_eq!(local_path("https://evil.example"), None);
/// ```
#[must_use]
pub fn local_path(text: &str) -> Option<&str> {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let is_safe = text.len() <= MAX_PATH_LEN
        && path.starts_with('/')
        && !path.contains("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_safe.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_this_site_is_local() {
        for path in
            ["/", "/a", "/a/b?c=//d", "/a?next=https://b.example", "/a#b", "/caf%C3%A9", "/.a"]
        {
            assert_eq!(local_path(path), Some(path));
        }
    }

    #[test]
    fn path_to_other_site_is_not_local() {
        let long = format!("/{}", "a".repeat(MAX_PATH_LEN));
        for path in [
            "",
            "a",
            "?a",
            "#a",
            "//b.example",
            "///b.example",
            "/\\b.example",
            "\\\\b.example",
            "/\t/b.example",
            "/\n/b.example",
            "\t//b.example",
            " /a",
            "/a b",
            "https://b.example",
            "https:/b.example",
            "javascript:alert(1)",
            "/..//b.example",
            "/.//b.example",
            "/a\u{3002}b",
            "/caf\u{e9}",
            "/\u{0}",
            "@b.example",
            &long,
        ] {
            assert_eq!(local_path(path), None, "{path:?}");
        }
    }
}
