//! The attribute on real items: an item either compiles and gets its policy, or is an error at the
//! wrong token.

mod login_page;
mod pass;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Only programs that fail: a program that passes would turn off the single `cargo check` in which
/// trybuild compiles all of them.
#[test]
fn invalid_attributes_do_not_compile() {
    trybuild::TestCases::new().compile_fail("fail/*.rs");
}

#[test]
fn each_marked_line_has_its_errors() -> io::Result<()> {
    let mut total = 0;
    for program in failing_programs()? {
        let marked = marked_lines(&fs::read_to_string(&program)?);
        let reported = reported_lines(&fs::read_to_string(program.with_extension("stderr"))?);
        assert_eq!(reported, marked, "{}", program.display());
        total += marked.len();
    }
    assert!(total >= 70, "only {total} errors in `fail`");
    Ok(())
}

fn failing_programs() -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fail");
    let mut programs = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            programs.push(path);
        }
    }
    Ok(programs)
}

/// Returns the line of each error that a program expects. `//~ ERROR ERROR` marks two in its line.
fn marked_lines(program: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(program.lines()) {
        if let Some((_, marker)) = line.split_once("//~") {
            lines.extend(marker.split_whitespace().map(|_| number));
        }
    }
    lines
}

/// Returns the line of each error that the compiler reported, in ascending order.
fn reported_lines(messages: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut messages = messages.lines();
    while let Some(message) = messages.next() {
        if message.starts_with("error") {
            let location = messages.find_map(|line| line.trim_start().strip_prefix("--> "));
            let mut parts = location.unwrap_or_default().rsplit(':').skip(1);
            lines.push(parts.next().and_then(|line| line.parse().ok()).unwrap_or_default());
        }
    }
    lines.sort_unstable();
    lines
}
