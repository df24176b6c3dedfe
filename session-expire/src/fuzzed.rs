//! Fuzz targets for parsers of untrusted input.
//!
//! Each function accepts any bytes and panics if an invariant is violated. The fuzzers in
//! `tests/fuzz` call them, and the test below replays the corpus.

#![allow(clippy::expect_used, clippy::missing_panics_doc, missing_docs)]

use std::time::Duration;

use crate::{
    Limit, PolicyPatch,
    messages::notice::Languages,
    policy::local_path::{MAX_PATH_LEN, local_path},
    request::device_name,
    session::{page_token, signing_key::SigningKey},
    time::{format_duration, parse_duration},
};

/// Texts of headers, forms and flags: durations, return paths, languages, devices, page tokens.
pub fn texts(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    if let Ok(duration) = parse_duration(text) {
        let again = parse_duration(&format_duration(duration));
        assert_eq!(again.ok(), Some(duration), "formatted duration parses again");
    }
    let _ = text.parse::<Limit<Duration>>();
    if let Some(path) = local_path(text) {
        assert!(path.starts_with('/') && !path.starts_with("//") && path.len() <= MAX_PATH_LEN);
        assert!(!path.contains(['\\', '\r', '\n', '\t']), "{path:?}");
    }
    let languages = Languages::parse(text);
    assert!(languages.iter().count() <= 16);
    let _ = languages.best_of(&["en", "de"]);
    let name = device_name(text);
    assert!(name.len() < 60 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == ' '));
    assert_eq!(
        page_token::verify(text, b"policies", &SigningKey::random()),
        None,
        "forged token is accepted"
    );
}

/// Policy in a file.
pub fn policy(bytes: &[u8]) {
    let Ok(patch) = serde_json::from_slice::<PolicyPatch>(bytes) else { return };
    let text = serde_json::to_string(&patch).expect("parsed patch serializes");
    assert_eq!(serde_json::from_str::<PolicyPatch>(&text).ok(), Some(patch));
}

/// Body of a keep-alive, as a form and as JSON.
pub fn keep_alive(bytes: &[u8]) {
    for is_json in [false, true] {
        if let Some(idle_for) = crate::endpoints::keep_alive::idle_for(bytes, is_json) {
            assert!(idle_for.as_secs() <= 1_000_000_000_000);
        }
    }
}

/// Record as Redis stores it.
#[cfg(feature = "redis")]
pub fn record(bytes: &[u8]) {
    crate::registry::redis::read_and_write(bytes);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Runs a target on its corpus, and returns the number of files.
    fn replay(target: &str, run: impl Fn(&[u8])) -> usize {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
        let files = fs::read_dir(folder).unwrap();
        files.map(|file| run(&fs::read(file.unwrap().path()).unwrap())).count()
    }

    #[test]
    fn corpus_does_not_panic() {
        assert!(replay("texts", super::texts) >= 10);
        assert!(replay("policy", super::policy) >= 5);
        assert!(replay("keep_alive", super::keep_alive) >= 5);
        #[cfg(feature = "redis")]
        assert!(replay("record", super::record) >= 3);
    }
}
