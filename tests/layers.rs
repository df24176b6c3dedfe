//! The modules of the library depend on each other in one direction only.

use std::{collections::BTreeSet, fs, path::Path};

/// A file may use only files that stand before it.
const ORDER: [&str; 85] = [
    "error",
    "time",
    "path",
    "clock",
    "limit",
    "policy",
    "choice",
    "words",
    "facts",
    "judge",
    "text",
    "device",
    "registry::key",
    "registry::record",
    "registry::room",
    "registry::login",
    "registry",
    "registry::measured",
    "registry::shard",
    "registry::forget",
    "registry::memory",
    "registry::sqlite::error",
    "registry::sqlite::schema",
    "registry::sqlite::watch",
    "registry::sqlite::file",
    "registry::sqlite::rows",
    "registry::sqlite::state",
    "registry::sqlite::work",
    "registry::sqlite::history",
    "registry::sqlite::writer",
    "registry::sqlite",
    "registry::redis::error",
    "registry::redis::cache",
    "registry::redis::script",
    "registry::redis::link",
    "registry::redis::stored",
    "registry::redis::server",
    "registry::redis",
    "registry::conformance::stage",
    "registry::conformance::activity",
    "registry::conformance::ends",
    "registry::conformance::lists",
    "registry::conformance::races",
    "registry::conformance::records",
    "registry::conformance::rooms",
    "registry::conformance::limits",
    "registry::conformance",
    "registry::model",
    "claim",
    "event",
    "sessions",
    "web::around",
    "web::asset",
    "web::markup",
    "web::dialog",
    "web::brought",
    "web::ledger",
    "web::flash",
    "web::caller",
    "web::client",
    "web::setup",
    "web::advice",
    "web::registered",
    "web::stack",
    "web::found",
    "web::slack",
    "web::standing",
    "web::gate",
    "web::traces",
    "web::messages",
    "web::login",
    "web::problem",
    "web::reply",
    "web::challenge",
    "web::farewell",
    "web::arrival",
    "web::settle",
    "web::middleware",
    "web::builder",
    "web::layer",
    "web::handle",
    "web::vars",
    "web::status",
    "web::endpoints",
    "fuzzed",
];

fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../session-expire/src"))
}

/// All modules with their text, tests left out.
fn modules(folder: &Path, prefix: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .flat_map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            match name.strip_suffix(".rs") {
                None if entry.path().is_dir() && name != "client" => {
                    modules(&entry.path(), &format!("{prefix}{name}::"))
                }
                None => vec![],
                Some(stem) => {
                    let module = if stem == "mod" {
                        prefix.trim_end_matches("::").to_owned()
                    } else {
                        format!("{prefix}{stem}")
                    };
                    let text = fs::read_to_string(entry.path()).unwrap();
                    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                    vec![(module, code)]
                }
            }
        })
        .collect()
}

/// The module paths that a text names after `crate::` and `super::`, braces unfolded.
fn uses(module: &str, text: &str) -> BTreeSet<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let here = if module == "registry" { "registry" } else { parent };
    ["crate::", "super::"]
        .into_iter()
        .flat_map(|root| {
            let base = if root == "crate::" { "" } else { here };
            code.split(root).skip(1).flat_map(move |rest| named(base, rest)).collect::<Vec<_>>()
        })
        .filter(|name| name != module && ORDER.contains(&name.as_str()))
        .collect()
}

fn named(base: &str, rest: &str) -> Vec<String> {
    let paths = match rest.strip_prefix('{') {
        Some(list) => top_level(list),
        None => vec![
            rest.split(|c: char| !(c.is_alphanumeric() || "_:".contains(c)))
                .next()
                .unwrap()
                .to_owned(),
        ],
    };
    paths.iter().map(|path| longest_module(base, path)).collect()
}

/// The entries of a `{…}` list, nested lists cut off.
fn top_level(list: &str) -> Vec<String> {
    let (mut depth, mut entries, mut entry) = (1, vec![], String::new());
    for c in list.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match (c, depth) {
            (_, 0) => break,
            (',', 1) => entries.push(std::mem::take(&mut entry)),
            (c, 1) if !c.is_whitespace() => entry.push(c),
            _ => {}
        }
    }
    entries.push(entry);
    entries.retain(|entry| !entry.is_empty());
    entries
}

fn longest_module(base: &str, path: &str) -> String {
    let full = if base.is_empty() { path.to_owned() } else { format!("{base}::{path}") };
    let parts: Vec<_> = full.split("::").collect();
    (1..=parts.len())
        .rev()
        .map(|n| parts[..n].join("::"))
        .find(|module| ORDER.contains(&module.as_str()))
        .unwrap_or_default()
}

#[test]
fn every_module_has_its_place_in_the_order() {
    let found: BTreeSet<_> = modules(source(), "").into_iter().map(|(module, _)| module).collect();
    let expected: BTreeSet<_> =
        ORDER.into_iter().chain(["lib", "web"]).map(str::to_owned).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_module_uses_only_modules_before_it() {
    let place = |module: &str| ORDER.iter().position(|name| *name == module);
    let mut seen = 0;
    for (module, text) in modules(source(), "") {
        let Some(own) = place(&module) else { continue };
        for used in uses(&module, &text) {
            seen += 1;
            assert!(place(&used) < Some(own), "{module} uses {used}, which comes after it");
        }
    }
    assert!(seen > 60, "the reader of `use` lines has gone blind: it saw {seen}");
}

#[test]
fn only_the_web_knows_of_actix_and_only_the_ledger_names_session_keys() {
    for (module, text) in modules(source(), "") {
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        if !module.starts_with("web") && module != "lib" {
            assert!(!code.contains("actix"), "{module} knows of Actix");
        }
        if module != "web::ledger" {
            assert!(!code.contains("\"sx."), "{module} names a session key");
        }
    }
}

#[test]
fn the_macros_depend_on_nothing_of_ours() {
    let manifest =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../session-expire-macros/Cargo.toml"));
    let manifest = fs::read_to_string(manifest).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    assert!(!dependencies.contains("session-expire"), "{dependencies}");
}
