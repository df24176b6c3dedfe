//! Local paths: which texts are safe to redirect to.

/// The most bytes of a return path and of a `Location` that carries one. Longer paths are dropped,
/// not cut.
pub(crate) const LONGEST_PATH: usize = 2_048;

/// Returns `text` if it is a path of this site that is safe to redirect to.
///
/// Use it on every `next` that comes from a form or a query. It refuses what a browser could read
/// as another host: a text that does not start with exactly one `/`, that has `//` in its path, or
/// that holds a backslash or any character outside printable ASCII. Browsers remove tabs and line
/// breaks from URLs, and Unicode has other dots and slashes. It also refuses more than
/// 2,048 bytes.
///
/// ```
/// use session_expire::request::local_path;
/// assert_eq!(local_path("/reports?year=2026#total"), Some("/reports?year=2026#total"));
/// assert_eq!(local_path("//evil.example"), None);
/// assert_eq!(local_path("https://evil.example"), None);
/// ```
#[must_use]
pub fn local_path(text: &str) -> Option<&str> {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let is_safe = text.len() <= LONGEST_PATH
        && path.starts_with('/')
        && !path.contains("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_safe.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_path_of_this_site_is_accepted() {
        for path in
            ["/", "/a", "/a/b?c=//d", "/a?next=https://b.example", "/a#b", "/caf%C3%A9", "/.a"]
        {
            assert_eq!(local_path(path), Some(path));
        }
    }

    #[test]
    fn local_path_that_could_leave_this_site_is_refused() {
        let long = format!("/{}", "a".repeat(LONGEST_PATH));
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
