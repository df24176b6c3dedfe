//! The flag `--comply` of the binary.

use std::{io, path::Path, process::Command};

/// Runs the binary, which must not start. Returns its exit code and the lines on standard error.
fn refused(flags: &[&str]) -> io::Result<(Option<i32>, Vec<String>)> {
    let key_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("comply.key");
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-site"));
    command.args(["--bind", "127.0.0.1:0", "--registry", "memory", "--key-file"]).arg(key_file);
    let output = command.args(flags).output()?;
    assert!(output.stdout.is_empty(), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    Ok((output.status.code(), errors.lines().map(str::to_owned).collect()))
}

#[test]
fn noncompliant_site_exits_with_one_line_per_breach() {
    let flags = ["--idle=901s", "--absolute=never", "--comply=pci-dss-4", "--comply=asvs-l2"];
    let (code, lines) = refused(&flags).unwrap();
    assert_eq!(code, Some(1));
    assert_eq!(
        lines,
        [
            "error: the policies do not meet --comply:",
            "`absolute` (never) is no limit, but one is required (ASVS 5.0 7.3.2)",
            "`idle` (901s) is longer than 15m (PCI DSS 4.0.1 8.2.8)",
            "/editor: `idle` (1h) is longer than 15m (PCI DSS 4.0.1 8.2.8)",
        ]
    );
}

#[test]
fn unknown_standard_lists_the_known_ones() {
    let (code, lines) = refused(&["--comply", "pci"]).unwrap();
    assert_eq!(code, Some(2));
    let known = "asvs-l1, asvs-l2, asvs-l3, nist-aal1, nist-aal2, nist-aal3, pci-dss-4, psd2, \
        hipaa or wcag-2.2";
    assert!(lines[0].contains(known), "{lines:?}");
}
