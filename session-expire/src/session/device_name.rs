//! Device names from `User-Agent` headers.
//!
//! A name contains only words of two tables and no part of the header.
//!
//! The tables are short because browsers have frozen the header: a new browser sends the tokens of
//! an old one. Crates with larger tables were compared in 2026 and are not used:
//!
//! - `ua-parser` is maintained, but reads a list of 210 KB that the application must install. Each
//!   process needs 0.5 s and 27 MB to load it, and 18 µs per name. The processes of one site may
//!   have different lists, and then report different names.
//! - `uaparser`, `fast_uaparser` and `user-agent-parser` use the same list.
//! - `woothee` contains its list and needs 2.5 µs per name, but its last release is from 2021.

/// Tokens and names of browsers. A browser is listed after all browsers that also send its token.
const BROWSERS: [(&str, &str); 16] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("YaBrowser/", "Yandex Browser"),
    ("Ddg/", "DuckDuckGo"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("python-requests/", "Python"),
    ("PostmanRuntime/", "Postman"),
];

/// Tokens and names of operating systems.
const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

/// Name of a device whose `User-Agent` contains no known token.
pub(crate) const UNKNOWN_DEVICE: &str = "Unknown device";

/// Returns a name for the device that sent a `User-Agent`, such as `Firefox on Linux`, or `Unknown
/// device`.
///
/// The name contains no part of the header, because clients can send any text.
///
/// ```
/// use session_expire::request::device_name;
///
/// let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
/// assert_eq!(device_name(agent), "Firefox on Linux");
/// ```
#[must_use]
pub fn device_name(user_agent: &str) -> String {
    let known = |names: &[(&str, &'static str)]| {
        names.iter().find(|(token, _)| user_agent.contains(token)).map(|(_, name)| *name)
    };
    match (known(&BROWSERS), known(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => UNKNOWN_DEVICE.to_owned(),
    }
}

/// Returns the browser and the system in a name that [`device_name`] has returned. Returns `None`
/// for any other text, and for a name without browser or system.
#[cfg(feature = "translations")]
pub(crate) fn browser_and_system(name: &str) -> Option<(&str, &str)> {
    let is_in = |names: &[(&str, &str)], word| names.iter().any(|(_, name)| *name == word);
    let (browser, system) = name.split_once(" on ")?;
    (is_in(&BROWSERS, browser) && is_in(&SYSTEMS, system)).then_some((browser, system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_name_has_browser_and_system() {
        for (agent, name) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 OPR/120.0",
                "Opera on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1 OPT/5.2",
                "Opera on iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 YaBrowser/25.8.0.0 Safari/537.36",
                "Yandex Browser on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15 Ddg/18.0",
                "DuckDuckGo on macOS",
            ),
            ("curl/8.5.0", "curl"),
            ("", "Unknown device"),
            ("<script>alert(1)</script>\u{0}", "Unknown device"),
        ] {
            assert_eq!(device_name(agent), name, "{agent}");
        }
    }
}
