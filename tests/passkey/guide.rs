//! Code of the guide on passkeys.

/// Returns the lines of `text` without indentation.
fn lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn code_of_the_guide_is_code_of_the_site() {
    let guide = include_str!("../../session-expire/docs/passkeys.md");
    let source = lines(include_str!("passkeys.rs"));
    let blocks: Vec<_> = guide.split("```rs\n").skip(1).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let code = block.split("```").next().unwrap_or_default();
        assert!(source.contains(&lines(code)), "not in passkeys.rs:\n{code}");
    }
}
