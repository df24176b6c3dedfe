//! Order of the modules of the library.

use std::{fs, path::Path};

/// A file may use its own module and the modules before it.
const ORDER: &str = "error time policy compliance session registry watch messages event sessions dialog \
    translation request cookies migration diagnostics response config context settle extract middleware \
    endpoints";

fn name(path: &str) -> &str {
    path.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Returns the modules in a group of imports, `a::{B, C}, d::E}`.
fn names(group: &str) -> Vec<&str> {
    let (mut names, mut depth) = (vec![], 0);
    for part in group.split_inclusive([',', '{', '}']) {
        names.extend((depth == 0).then(|| name(part)).filter(|name| !name.is_empty()));
        match part.chars().last() {
            Some('{') => depth += 1,
            Some('}') if depth == 0 => break,
            Some('}') => depth -= 1,
            _ => {}
        }
    }
    names
}

/// Returns the modules that stand after `crate::`, outside of comments and tests.
fn used_modules(code: &str) -> Vec<String> {
    let code = code.split("\nmod tests").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.map(|line| format!("{line}\n")).collect();
    // Macros name public paths after `$crate`, and hidden macros start with two underscores.
    let code = code.replace("$crate::", "").replace("crate::__", "");
    let paths = code.split("crate::").skip(1);
    let modules = paths.flat_map(|path| match path.strip_prefix('{') {
        Some(group) => names(group),
        None => vec![name(path)],
    });
    modules.map(str::to_owned).collect()
}

fn check(path: &Path, module: usize, checked: &mut usize) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|file| check(&file.unwrap().path(), module, checked));
        return;
    }
    if path.extension().is_none_or(|extension| extension != "rs") {
        return;
    }
    for used in used_modules(&fs::read_to_string(path).unwrap()) {
        let position = ORDER.split_whitespace().position(|module| module == used);
        assert!(position.is_some_and(|used| used <= module), "{} uses {used}", path.display());
        *checked += 1;
    }
}

#[test]
fn modules_use_only_modules_before_their_own() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../session-expire/src");
    let mut checked = 0;
    for (module, name) in ORDER.split_whitespace().enumerate() {
        let folder = source.join(name);
        let file = source.join(format!("{name}.rs"));
        check(if folder.is_dir() { &folder } else { &file }, module, &mut checked);
    }
    assert!(checked > 300, "{checked} paths only");
    // `lib.rs` names all modules.
    let declared = fs::read_to_string(source.join("lib.rs")).unwrap();
    let modules =
        declared.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    let unordered: Vec<_> = modules
        .filter_map(|line| line.strip_suffix(';'))
        .filter(|module| {
            *module != "fuzzed" && !ORDER.split_whitespace().any(|known| known == *module)
        })
        .collect();
    assert!(unordered.is_empty(), "{unordered:?} are missing in the order");
}
