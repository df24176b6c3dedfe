//! Declared standards: the table of requirements, and its rules.

use std::{collections::BTreeSet, env, fs, path::Path, time::Duration};

use session_expire::{
    AtEnd, Limit, Policy, PolicyPatch, SessionExpire, SessionExpireBuilder,
    compliance::{Check, Requirement, Standard, breaches, requirements},
    days,
    error::{Breach, ConfigError},
    hours, minutes, seconds,
};

/// Returns the breaches with which a builder fails.
fn build(builder: SessionExpireBuilder) -> Vec<String> {
    match builder.build() {
        Ok(_) => vec![],
        Err(ConfigError::NotCompliant { breaches, .. }) => {
            breaches.iter().map(Breach::to_string).collect()
        }
        Err(error) => panic!("{error}"),
    }
}

fn declare(policy: Policy, standard: Standard) -> SessionExpireBuilder {
    SessionExpire::builder(policy).complies_with([standard])
}

fn policy(idle: impl Into<Limit<Duration>>, absolute: impl Into<Limit<Duration>>) -> Policy {
    Policy::new().idle(idle).absolute(absolute)
}

const SECOND: Duration = seconds(1);

#[test]
fn policy_at_the_limit_meets_each_standard() {
    use Standard::*;
    for (standard, policy) in [
        (AsvsL1, policy(Limit::Off, Limit::Off)),
        (AsvsL2, policy(days(400), days(400))),
        (AsvsL3, policy(days(400), days(400))),
        (NistAal1, policy(Limit::Off, days(30))),
        (NistAal2, policy(hours(1), hours(24))),
        (NistAal3, policy(minutes(15), hours(12))),
        (PciDss4, policy(minutes(15), Limit::Off)),
        (Psd2, policy(minutes(5), Limit::Off)),
        (Hipaa, policy(days(400), Limit::Off)),
        (Wcag22, policy(minutes(30), hours(20) + SECOND).warn(seconds(20))),
        (Wcag22, policy(seconds(40), Limit::Off)),
        (Wcag22, policy(hours(20) + SECOND, hours(21)).warn(Limit::Off)),
        (Wcag22, policy(minutes(10), minutes(110)).absolute_is_essential("exam")),
        (Wcag22, policy(Limit::Off, Limit::Off)),
        (Wcag22, policy(Limit::Off, Limit::Off).at_end(AtEnd::Lock)),
        (NistAal2, policy(hours(1), hours(24)).at_end(AtEnd::Lock)),
    ] {
        let shown = format!("{standard} {policy:?}");
        assert!(breaches([standard], &policy).is_empty(), "{shown}");
        assert!(build(declare(policy, standard)).is_empty(), "{shown}");
    }
}

#[test]
fn policy_beyond_the_limit_breaches_each_rule() {
    use Standard::*;
    let aal1_should = "NIST SP 800-63B-4 2.1.3, should";
    for (standard, policy, expected) in [
        (
            AsvsL1,
            policy(days(1), days(1)).at_end(AtEnd::Lock),
            "`at_end` (lock) keeps the content of the page in the browser when the session has ended (ASVS 5.0 14.3.1)",
        ),
        (
            AsvsL2,
            policy(Limit::Off, days(1)),
            "`idle` (never) is no limit, but one is required (ASVS 5.0 7.3.1)",
        ),
        (
            AsvsL3,
            policy(days(1), Limit::Off),
            "`absolute` (never) is no limit, but one is required (ASVS 5.0 7.3.2)",
        ),
        (
            NistAal1,
            policy(days(1), days(30) + SECOND),
            &format!("`absolute` (2592001s) is longer than 30d ({aal1_should})"),
        ),
        (
            NistAal2,
            policy(hours(1), hours(24) + SECOND),
            "`absolute` (86401s) is longer than 24h (NIST SP 800-63B-4 2.2.3, should)",
        ),
        (
            NistAal2,
            policy(hours(1) + SECOND, hours(24)),
            "`idle` (3601s) is longer than 1h (NIST SP 800-63B-4 2.2.3, should)",
        ),
        (
            NistAal3,
            policy(minutes(15), hours(12) + SECOND),
            "`absolute` (43201s) is longer than 12h (NIST SP 800-63B-4 2.3.3)",
        ),
        (
            NistAal3,
            policy(minutes(15) + SECOND, hours(12)),
            "`idle` (901s) is longer than 15m (NIST SP 800-63B-4 2.3.3, should)",
        ),
        (
            PciDss4,
            policy(minutes(15) + SECOND, hours(12)),
            "`idle` (901s) is longer than 15m (PCI DSS 4.0.1 8.2.8)",
        ),
        (
            PciDss4,
            policy(Limit::Off, hours(12)),
            "`idle` (never) is longer than 15m (PCI DSS 4.0.1 8.2.8)",
        ),
        (
            Psd2,
            policy(minutes(5) + SECOND, hours(12)),
            "`idle` (301s) is longer than 5m (RTS (EU) 2018/389 Art. 4(3)(d))",
        ),
        (
            Psd2,
            policy(minutes(6), hours(12)),
            "`idle` (6m) is longer than 5m (RTS (EU) 2018/389 Art. 4(3)(d))",
        ),
        (
            Hipaa,
            policy(Limit::Off, hours(12)),
            "`idle` (never) is no limit, but one is required (HIPAA 164.312(a)(2)(iii))",
        ),
        (
            Wcag22,
            policy(minutes(10), hours(20)),
            "`absolute` (20h) is neither longer than 20h nor declared essential (WCAG 2.2.1)",
        ),
        (
            Wcag22,
            policy(hours(20), Limit::Off).warn(seconds(19)),
            "`warn` (19s) is shorter than 20s (WCAG 2.2.1)",
        ),
        (
            Wcag22,
            policy(minutes(10), Limit::Off).warn(Limit::Off),
            "`warn` (never) is shorter than 20s (WCAG 2.2.1)",
        ),
        (
            Wcag22,
            policy(seconds(39), Limit::Off),
            "`warn` (19s500ms) is shorter than 20s (WCAG 2.2.1)",
        ),
        (
            Wcag22,
            policy(minutes(10), minutes(110) - SECOND).absolute_is_essential("exam"),
            "`absolute` (6599s) is shorter than 110m, which is 11 times `idle`: users can extend the session less than ten times (WCAG 2.2.1)",
        ),
    ] {
        let found: Vec<_> = breaches([standard], &policy).iter().map(Breach::to_string).collect();
        assert_eq!(found, [expected], "{standard}");
        assert_eq!(build(declare(policy, standard)), [expected], "{standard}");
    }
}

#[test]
fn overall_timeout_is_required_at_all_levels_of_nist() {
    for standard in [Standard::NistAal1, Standard::NistAal2, Standard::NistAal3] {
        let found = breaches([standard], &policy(minutes(15), Limit::Off));
        let required =
            "`absolute` (never) is no limit, but one is required (NIST SP 800-63B-4 2.1.3)";
        assert!(found.iter().any(|breach| breach.to_string() == required), "{found:?}");
    }
}

#[test]
fn all_breaches_of_all_standards_are_one_error() {
    let builder = SessionExpire::builder(policy(hours(2), days(2)).warn(Limit::Off));
    let standards = [Standard::NistAal2, Standard::PciDss4, Standard::Wcag22];
    let error = builder.complies_with(standards).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "declared standard not met: \
         `absolute` (2d) is longer than 24h (NIST SP 800-63B-4 2.2.3, should); \
         `idle` (2h) is longer than 1h (NIST SP 800-63B-4 2.2.3, should); \
         `warn` (never) is shorter than 20s (WCAG 2.2.1); \
         `idle` (2h) is longer than 15m (PCI DSS 4.0.1 8.2.8)"
    );
}

#[test]
fn empty_reason_does_not_declare_a_timeout_essential() {
    let policy = policy(minutes(10), hours(8)).absolute_is_essential(" ");
    assert_eq!(build(declare(policy.clone(), Standard::Wcag22)).len(), 1);
    let declared = declare(policy, Standard::Wcag22).absolute_is_essential("an exam");
    assert!(build(declared).is_empty());
}

#[test]
fn cookies_that_are_not_secure_breach_asvs_and_nist() {
    use actix_web::cookie::SameSite;
    let asvs_1 = |builder: SessionExpireBuilder| build(builder.complies_with([Standard::AsvsL1]));
    let asvs_2 = |builder: SessionExpireBuilder| build(builder.complies_with([Standard::AsvsL2]));
    let nist = |builder: SessionExpireBuilder| build(builder.complies_with([Standard::NistAal1]));
    let plain = || SessionExpire::builder(Policy::new()).plain_http(true);
    let insecure = "`plain_http` (true) sends cookies that are not `Secure`";
    assert_eq!(asvs_1(plain()), [format!("{insecure} (ASVS 5.0 3.3.1)")]);
    assert_eq!(nist(plain())[0], format!("{insecure} (NIST SP 800-63B-4 5.1.1 (1))"));
    let named = |session: &str, anonymous: &str| {
        SessionExpire::builder(Policy::new()).cookie_names(session, anonymous)
    };
    let no_prefix = "`cookie_names` (sid) does not start with";
    assert_eq!(
        asvs_1(named("sid", "__Secure-a")),
        [format!("{no_prefix} `__Host-` or `__Secure-` (ASVS 5.0 3.3.1)")]
    );
    assert!(asvs_2(named("__Secure-sid", "__Host-a"))[0].ends_with("`__Host-` (ASVS 5.0 3.3.3)"));
    assert_eq!(
        nist(named("sid", "__Host-a")),
        [format!("{no_prefix} `__Host-` (NIST SP 800-63B-4 5.1.1 (5), should)")]
    );
    let same_site = SessionExpire::builder(Policy::new()).cookie_same_site(SameSite::None);
    assert_eq!(
        asvs_2(same_site),
        ["`cookie_same_site` (None) is neither `Lax` nor `Strict` (ASVS 5.0 3.3.2)"]
    );
    let origins = ["https://a.example", "http://b.example"];
    assert_eq!(
        asvs_1(SessionExpire::builder(Policy::new()).allowed_origins(origins)),
        ["`allowed_origins` (http://b.example) does not use https (ASVS 5.0 3.5.1)"]
    );
}

#[test]
fn deviation_turns_one_requirement_off() {
    let builder = || declare(policy(hours(2), hours(25)), Standard::NistAal3);
    let deviates = builder().deviates_from("NIST SP 800-63B-4 2.2.3 idle", "managed devices");
    assert_eq!(build(builder()).len(), 4);
    assert_eq!(build(deviates).len(), 3);
    let without_key = builder().deviates_from("PCI DSS 4.0.1 8.2.8", "managed devices");
    assert_eq!(build(without_key).len(), 4, "a section with one rule needs no key");
    let invalid = |requirement: &str, reason: &str| {
        builder().deviates_from(requirement, reason).build().unwrap_err().to_string()
    };
    assert_eq!(invalid("ASVS 5.0 7.3.1", ""), "deviates_from: \"\" is not a reason");
    for unknown in ["ASVS 7.3.1", "ASVS 5.0 7.1.1", "ASVS 5.0 7.3.10 idle"] {
        let text = invalid(unknown, "none");
        assert!(text.starts_with(&format!("deviates_from: {unknown:?} is not a requirement")));
    }
}

#[test]
fn deviation_from_several_rules_lists_their_names() {
    for (name, expected) in [
        (
            "NIST SP 800-63B-4 2.2.3",
            "\"NIST SP 800-63B-4 2.2.3 absolute\" or \"NIST SP 800-63B-4 2.2.3 idle\"",
        ),
        (
            "NIST SP 800-63B-4 2.1.3 absolute",
            "\"NIST SP 800-63B-4 2.1.3 absolute, shall\" or \
             \"NIST SP 800-63B-4 2.1.3 absolute, should\"",
        ),
        (
            "WCAG 2.2.1 absolute",
            "\"WCAG 2.2.1 absolute_is_essential\" or \"WCAG 2.2.1 warn\" or \"WCAG 2.2.1 idle\"",
        ),
        ("PCI DSS 4.0.1 8.2.8 absolute", "\"PCI DSS 4.0.1 8.2.8 idle\""),
    ] {
        let builder = SessionExpire::builder(Policy::new()).deviates_from(name, "none");
        let error = builder.build().unwrap_err().to_string();
        let start = format!("deviates_from: {name:?} is not the name of one requirement; write ");
        assert_eq!(error, format!("{start}{expected}"));
    }
}

#[test]
fn deviation_keeps_the_other_rules_of_its_section() {
    let reason = "managed devices lock after 10 minutes";
    for (standard, policy, name, expected) in [
        (
            Standard::NistAal2,
            policy(hours(2), days(30)),
            "NIST SP 800-63B-4 2.2.3 idle",
            "`absolute` (30d) is longer than 24h (NIST SP 800-63B-4 2.2.3, should)",
        ),
        (
            Standard::NistAal1,
            policy(hours(1), Limit::Off),
            "NIST SP 800-63B-4 2.1.3 absolute, should",
            "`absolute` (never) is no limit, but one is required (NIST SP 800-63B-4 2.1.3)",
        ),
        (
            Standard::NistAal3,
            policy(hours(1), hours(24)),
            "NIST SP 800-63B-4 2.3.3 idle",
            "`absolute` (24h) is longer than 12h (NIST SP 800-63B-4 2.3.3)",
        ),
        (
            Standard::Wcag22,
            policy(minutes(10), minutes(110) - SECOND),
            "WCAG 2.2.1 idle",
            "`absolute` (6599s) is neither longer than 20h nor declared essential (WCAG 2.2.1)",
        ),
    ] {
        let builder = declare(policy, standard).deviates_from(name, reason);
        assert_eq!(build(builder), [expected], "{name}");
    }
}

#[test]
fn reason_of_a_timeout_does_not_cover_a_shorter_one() {
    let app = policy(minutes(1), hours(3)).absolute_is_essential("exam of 3 h");
    let page = || PolicyPatch::new().absolute(minutes(11));
    let is_met = |page: PolicyPatch| breaches([Standard::Wcag22], &page.over(&app)).is_empty();
    assert!(!is_met(page()), "11 minutes are not essential for an exam of 3 h");
    assert!(!is_met(page().over_patch(&PolicyPatch::new().absolute_is_essential("exam"))));
    assert!(!is_met(PolicyPatch::new().idle(seconds(50)).over_patch(&page())));
    assert!(is_met(page().absolute_is_essential("test of 11 min")));
    assert!(is_met(PolicyPatch::new().idle(seconds(50))));
}

/// Sections of the table with their levels. Sections are separated by commas.
const ROWS: &[(&str, &str, &str)] = &[
    ("ASVS 5.0", "L1", "7.2.1, 7.2.2, 7.2.3, 7.2.4, 7.4.1, 7.4.2, 3.3.1, 3.5.1, 3.5.3, 14.3.1"),
    (
        "ASVS 5.0",
        "L2",
        "7.1.1, 7.1.2, 7.1.3, 7.3.1, 7.3.2, 7.4.3, 7.4.4, 7.4.5, 7.5.1, 7.5.2, 7.6.1, 7.6.2, 2.3.4, \
         3.3.2, 3.3.3, 3.3.4, 3.7.2, 14.3.2, 16.2.5, 16.3.1",
    ),
    ("ASVS 5.0", "L3", "7.5.3, 6.3.5, 3.3.5"),
    ("NIST SP 800-63B-4", "AAL1, shall", "2.1.3"),
    ("NIST SP 800-63B-4", "AAL1, should", "2.1.3"),
    ("NIST SP 800-63B-4", "AAL2, should", "2.2.3"),
    ("NIST SP 800-63B-4", "AAL3, shall", "2.3.3"),
    ("NIST SP 800-63B-4", "AAL3, should", "2.3.3"),
    ("NIST SP 800-63B-4", "all, shall", "5.1, 5.1.1 (1), 5.1.1 (2), 5.1.1 (7), 5.2"),
    ("NIST SP 800-63B-4", "all, should", "5.1, 5.1.1 (3), 5.1.1 (4), 5.1.1 (5), 5.1.1 (6)"),
    ("NIST SP 800-53", "", "AC-12(2), AC-12(3)"),
    ("WCAG", "A", "2.2.1"),
    ("WCAG", "AAA", "2.2.5, 2.2.6"),
    ("WCAG", "AA", "4.1.3"),
    ("PCI DSS 4.0.1", "", "8.2.8"),
    ("RTS (EU) 2018/389", "", "Art. 4(3)(d)"),
    ("HIPAA", "addressable", "164.312(a)(2)(iii)"),
];

#[test]
fn table_has_exactly_these_sections_and_levels() {
    let sections = |(document, level, sections): &'static (&str, &str, &'static str)| {
        sections.split(", ").map(|section| (*document, section, *level))
    };
    let expected: BTreeSet<_> = ROWS.iter().flat_map(sections).collect();
    let rows = requirements().map(|row| (row.document, row.section, row.level));
    assert_eq!(rows.collect::<BTreeSet<_>>(), expected);
    for row in requirements() {
        let standard = row.standard.map_or("", Standard::as_str);
        let level = row.level.split(", ").next().unwrap_or_default().to_lowercase();
        let has_level = ["l1", "l2", "l3", "aal1", "aal2", "aal3"].contains(&&*level);
        assert!(!has_level || standard.ends_with(&format!("-{level}")), "{row}: {standard}");
    }
}

/// Returns `true` if the file of `test`, such as `cookies.rs::name`, has a test with this name.
fn exists(test: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (file, name) = test.split_once("::").unwrap();
    let declaration = match file.ends_with(".mjs") {
        true => format!("test(\"{name}\","),
        false => format!("#[test]\nfn {name}() {{"),
    };
    let folders = ["tests/suite", "tests/browser", "session-expire/src"];
    let texts = folders.iter().filter_map(|folder| {
        let path = root.join(folder).join(file);
        fs::read_to_string(path).ok()
    });
    // Tests of a module are indented.
    let lines = |text: String| text.lines().map(|line| format!("{}\n", line.trim())).collect();
    texts.map(lines).any(|text: String| text.contains(&declaration))
}

#[test]
fn requirement_is_checked_or_declared_or_a_question() {
    for row in requirements() {
        assert!(!row.text.is_empty() && !row.here.is_empty(), "{row}");
        match row.check {
            Check::AtStart(rule) => assert!(!rule.to_string().is_empty()),
            Check::ByTest(tests) => {
                assert!(!tests.is_empty(), "{row}");
                tests.iter().for_each(|test| assert!(exists(test), "{row}: no test {test}"));
            }
            Check::Declared { options, question, .. } => {
                assert!(!options.is_empty() && question.ends_with('?'), "{row}: {question}");
            }
            Check::Question(question) => assert!(question.contains('?'), "{row}: {question}"),
            other => panic!("{row}: {other:?}"),
        }
    }
    assert!(!exists("cookies.rs::no_such_test") && !exists("ending.test.mjs::page"));
}

fn code(names: &[&str]) -> String {
    format!("`{}`", names.join("`, `"))
}

fn table_row(row: &Requirement) -> String {
    let check = match row.check {
        Check::AtStart(rule) => rule.to_string(),
        Check::ByTest(tests) => format!("test: {}", code(tests)),
        Check::Declared { options, question, .. } => {
            format!("declared: {}; else ask: {question}", code(options))
        }
        Check::Question(question) => format!("ask: {question}"),
        other => format!("{other:?}"),
    };
    let cells = [row.section, row.level, row.text, &check, row.here];
    format!("| {} |\n", cells.join(" | "))
}

/// Returns the tables of the guide, one per document.
fn tables() -> String {
    let (mut text, mut document) = (String::new(), "");
    for row in requirements() {
        if row.document != document {
            document = row.document;
            text.push_str(&format!("\n## {document}\n\n"));
            text.push_str("| section | level | requirement | check | session-expire |\n");
            text.push_str("|---|---|---|---|---|\n");
        }
        text.push_str(&table_row(row));
    }
    text.push('\n');
    text
}

#[test]
fn guide_has_the_table_of_the_code() {
    const START: &str = "<!-- tables -->\n";
    const END: &str = "<!-- end of tables -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../session-expire/docs/standards.md");
    let guide = fs::read_to_string(&path).unwrap();
    let (before, rest) = guide.split_once(START).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if env::var_os("UPDATE_GUIDE").is_some() {
        fs::write(&path, format!("{before}{START}{}{END}{after}", tables())).unwrap();
        return;
    }
    let update = "UPDATE_GUIDE=1 cargo test -p session-expire-tests --test suite standards";
    assert_eq!(shown, tables(), "the guide is out of date; run `{update}`");
}
