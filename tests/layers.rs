//! The modules of the library depend on each other in one direction only.

use std::{fs, path::Path};

/// A file may use modules that stand before its own, and its own.
const ORDER: &str = "error time clock local_path limit policy choice handler_policies words user_id \
    facts judge registry cancellation claim messages event sessions dialog request cookies migration \
    diagnostics config response context settle extract middleware endpoints";

fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: &Path| (path.display().to_string(), fs::read_to_string(path).unwrap());
    let mut found = Vec::new();
    for path in entries {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => found.push(read(&path)),
            _ if path.is_dir() => found.extend(files(&path)),
            _ => {}
        }
    }
    found
}

/// The modules that a file names after `crate::`, outside of comments and tests.
fn used(text: &str) -> Vec<String> {
    let code = text.split("\nmod tests").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.map(|line| format!("{line} ")).collect();
    let mut used = Vec::new();
    for path in code.split("crate::").skip(1) {
        let (mut depth, mut at_name) = (0, true);
        let mut name = String::new();
        for c in path.chars() {
            match c {
                '{' => (depth, at_name) = (depth + 1, depth == 0),
                '}' => depth -= 1,
                ',' => at_name = depth == 1,
                c if c.is_alphanumeric() || c == '_' => name.extend(at_name.then_some(c)),
                _ if !name.is_empty() => at_name = false,
                _ => {}
            }
            if !at_name && !name.is_empty() {
                used.push(std::mem::take(&mut name));
            }
            if depth <= 0 && !c.is_alphanumeric() && c != '_' && c != ' ' {
                break;
            }
        }
        used.extend((!name.is_empty()).then_some(name));
    }
    used
}

#[test]
fn modules_use_only_modules_before_their_own() {
    let order: Vec<_> = ORDER.split_whitespace().collect();
    let place = |name: &str| order.iter().position(|module| *module == name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../session-expire/src");
    let (mut checked, mut wrong) = (0, Vec::new());
    for (file, text) in files(&source) {
        let local = file.split("/src/").last().unwrap_or_default();
        let module = local.split(['/', '.']).next().unwrap_or_default();
        // Macros name their own paths.
        let Some(own) = place(module).filter(|_| !local.contains("conformance")) else { continue };
        for used in used(&text) {
            checked += 1;
            if place(&used).is_none_or(|used| used > own) {
                wrong.push(format!("{local} uses {used}"));
            }
        }
    }
    assert!(checked > 300, "the test has read {checked} paths only");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
