//! Declared standards: the table of requirements, and its rules.

use std::{env, fs, path::Path, time::Duration};

use session_expire::{
    Limit, Policy, SessionExpire, SessionExpireBuilder,
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
    let deviates = builder().deviates_from("NIST SP 800-63B-4 2.2.3", "managed devices");
    assert_eq!(build(builder()).len(), 4);
    assert_eq!(build(deviates).len(), 2);
    let invalid = |requirement: &str, reason: &str| {
        builder().deviates_from(requirement, reason).build().unwrap_err().to_string()
    };
    assert_eq!(invalid("ASVS 5.0 7.3.1", ""), "deviates_from: \"\" is not a reason");
    for unknown in ["ASVS 7.3.1", "ASVS 5.0 7.1.1"] {
        let text = invalid(unknown, "none");
        assert!(text.starts_with(&format!("deviates_from: {unknown:?} is not a requirement")));
    }
}

/// Rows that the table must have, with their levels.
const ROWS: &[(&str, &str, &str)] = &[
    ("ASVS 5.0", "L1", "7.2.1 7.2.2 7.2.3 7.2.4 7.4.1 7.4.2 3.3.1 3.5.1 3.5.3 14.3.1"),
    (
        "ASVS 5.0",
        "L2",
        "7.1.1 7.1.2 7.1.3 7.3.1 7.3.2 7.4.3 7.4.4 7.4.5 7.5.1 7.5.2 7.6.1 7.6.2 2.3.4 3.3.2 3.3.3 \
         3.3.4 3.7.2 14.3.2 16.2.5 16.3.1",
    ),
    ("ASVS 5.0", "L3", "7.5.3 6.3.5"),
    ("NIST SP 800-63B-4", "AAL1", "2.1.3"),
    ("NIST SP 800-63B-4", "AAL2", "2.2.3"),
    ("NIST SP 800-63B-4", "AAL3", "2.3.3"),
    ("NIST SP 800-63B-4", "all", "5.1 5.2"),
    ("NIST SP 800-53", "", "AC-12(2) AC-12(3)"),
    ("WCAG", "A", "2.2.1 2.2.5 2.2.6 4.1.3"),
    ("PCI DSS 4.0.1", "", "8.2.8"),
    ("HIPAA", "addressable", "164.312(a)(2)(iii)"),
];

#[test]
fn table_has_all_sections_with_their_levels() {
    for (document, level, sections) in ROWS {
        for section in sections.split_whitespace() {
            let mut rows = requirements().filter(|row| {
                row.document == *document && row.section == section && row.level.starts_with(level)
            });
            assert!(rows.next().is_some(), "{document} {section} {level}");
        }
    }
}

#[test]
fn requirement_is_checked_or_declared_or_a_question() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let options = ["deviates_from", "absolute_is_essential", "max_sessions", "cookie_"];
    for row in requirements() {
        assert!(!row.text.is_empty() && !row.here.is_empty(), "{row}");
        match row.check {
            Check::AtStart(rule) => assert!(!rule.to_string().is_empty()),
            Check::ByTest(names) => {
                for name in names.split(", ") {
                    let files = ["tests/suite/{}.rs", "tests/browser/{}", "session-expire/src/{}"];
                    let exists = |file: &&str| root.join(file.replace("{}", name)).is_file();
                    assert!(files.iter().any(exists), "{row}: no test {name}");
                }
            }
            Check::Declared(declared) => {
                assert!(options.iter().any(|option| declared.contains(option)), "{row}");
            }
            Check::Question(question) => assert!(question.contains('?'), "{row}: {question}"),
            other => panic!("{row}: {other:?}"),
        }
    }
}

fn table_row(row: &Requirement) -> String {
    let check = match row.check {
        Check::AtStart(rule) => rule.to_string(),
        Check::ByTest(names) => format!("test: `{}`", names.replace(", ", "`, `")),
        Check::Declared(options) => format!("declared: {options}"),
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
