//! The log of the example site.

use crate::program::{Program, command};

/// Returns the log of a site that is started and stopped with this `RUST_LOG`.
fn log(filter: Option<&str>) -> String {
    let mut command = command();
    if let Some(filter) = filter {
        command.env("RUST_LOG", filter);
    }
    let site = Program::start(&mut command);
    site.signal("TERM");
    let (status, log) = site.wait();
    assert!(status.success(), "{filter:?}: {log}");
    log
}

#[test]
fn rust_log_sets_the_levels() {
    for (filter, info, debug) in [
        (None, true, false),
        (Some(""), true, false),
        (Some("info"), true, false),
        (Some("debug"), true, true),
        (Some("warn,actix_server=info"), true, false),
        (Some("warn"), false, false),
        (Some("off"), false, false),
    ] {
        let log = log(filter);
        assert_eq!(
            (log.contains(" INFO "), log.contains(" DEBUG ")),
            (info, debug),
            "{filter:?}: {log}"
        );
    }
}

#[test]
fn invalid_rust_log_is_a_startup_error() {
    for filter in ["session_expire=loud", "="] {
        let (is_ok, log) = Program::start_failing(command().env("RUST_LOG", filter));
        assert!(!is_ok && log.starts_with("error: RUST_LOG: "), "{filter}: {log}");
    }
}
