//! Parsers of what clients and stores send: each takes any bytes, and panics where a promise is broken.
//! Fuzzers call them (`tests/fuzz`), and the tests below replay what fuzzers have found.

#![allow(clippy::expect_used, clippy::missing_panics_doc, missing_docs)]

use std::time::Duration;

use crate::{
    Limit, PolicyPatch,
    messages::notice::Languages,
    policy::local_path::{LONGEST_PATH, local_path},
    request::user_agent::device_name,
    session::{key::SigningKey, page_token},
    time::{format_duration, parse_duration},
};

/// Durations, way back, languages, devices: the texts of headers, forms and flags.
pub fn texts(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    if let Ok(duration) = parse_duration(text) {
        let again = parse_duration(&format_duration(duration));
        assert_eq!(again.ok(), Some(duration), "what is read can be written and read again");
    }
    let _ = text.parse::<Limit<Duration>>();
    if let Some(path) = local_path(text) {
        assert!(path.starts_with('/') && !path.starts_with("//") && path.len() <= LONGEST_PATH);
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
        "no signature is guessed"
    );
}

/// A policy in a file, in the words of the attribute.
pub fn policy(bytes: &[u8]) {
    let Ok(patch) = serde_json::from_slice::<PolicyPatch>(bytes) else { return };
    let text = serde_json::to_string(&patch).expect("what was read can be written");
    assert_eq!(serde_json::from_str::<PolicyPatch>(&text).ok(), Some(patch));
}

/// The body of a keep-alive, as a form and as JSON.
pub fn keep_alive(bytes: &[u8]) {
    for is_json in [false, true] {
        if let Some(idle_for) = crate::endpoints::keep_alive::idle_for(bytes, is_json) {
            assert!(idle_for.as_secs() <= 1_000_000_000_000);
        }
    }
}

/// A record as it comes from Redis.
#[cfg(feature = "redis")]
pub fn record(bytes: &[u8]) {
    crate::registry::redis::read_and_write(bytes);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Everything that lies in the folder of a target; how much that was.
    fn replay(target: &str, run: impl Fn(&[u8])) -> usize {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
        let files = fs::read_dir(folder).unwrap();
        files.map(|file| run(&fs::read(file.unwrap().path()).unwrap())).count()
    }

    #[test]
    fn what_fuzzers_have_found_is_replayed() {
        assert!(replay("texts", super::texts) >= 10);
        assert!(replay("policy", super::policy) >= 5);
        assert!(replay("keep_alive", super::keep_alive) >= 5);
        #[cfg(feature = "redis")]
        assert!(replay("record", super::record) >= 3);
    }
}
