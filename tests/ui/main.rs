//! The attribute, as the compiler sees it: what must not compile says why in one error, at the word
//! that is wrong; what must compile takes effect wherever it stands.

use std::{fs, io, path::PathBuf};

#[test]
fn programs_compile_or_say_why_not() {
    let programs = trybuild::TestCases::new();
    programs.compile_fail("ui/fail/*.rs");
    programs.pass("ui/pass/*.rs");
}

#[test]
fn each_mistake_is_one_error() -> io::Result<()> {
    let programs = failing_programs()?;
    assert!(programs.len() >= 25, "only {} programs were found", programs.len());
    for program in programs {
        let expected = expected_errors(&fs::read_to_string(&program)?);
        let messages = fs::read_to_string(program.with_extension("stderr"))?;
        let errors = messages.lines().filter(|line| line.starts_with("error")).count();
        assert_eq!(errors, expected, "{}:\n{messages}", program.display());
    }
    Ok(())
}

fn failing_programs() -> io::Result<Vec<PathBuf>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("ui/fail");
    let mut programs = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            programs.push(path);
        }
    }
    Ok(programs)
}

/// One, unless the first line says, for instance, `// 4 errors: one for each mistake`.
fn expected_errors(program: &str) -> usize {
    let first = program.lines().next().unwrap_or_default();
    let number = first.strip_prefix("// ").and_then(|line| line.split_once(" errors: "));
    number.and_then(|(number, _)| number.parse().ok()).unwrap_or(1)
}
