//! NIST SP 800-63B-4 and NIST SP 800-53.

use super::{Check, Requirement, Rule, Standard, row};
use crate::time::{days, hours, minutes};

const fn nist(
    standard: Standard,
    (section, level): (&'static str, &'static str),
    text: &'static str,
    check: Check,
    here: &'static str,
) -> Requirement {
    row(("NIST SP 800-63B-4", section, level), Some(standard), text, check, here)
}

const fn nist_53(
    section: &'static str,
    text: &'static str,
    check: Check,
    here: &'static str,
) -> Requirement {
    row(("NIST SP 800-53", section, ""), None, text, check, here)
}

pub(super) static REQUIREMENTS: &[Requirement] = &[
    nist(
        Standard::NistAal1,
        ("2.1.3", "AAL1, shall"),
        "there is an overall timeout; an inactivity timeout is optional at AAL1",
        Check::AtStart(Rule::HasAbsolute),
        "`absolute`",
    ),
    nist(
        Standard::NistAal1,
        ("2.1.3", "AAL1, should"),
        "the overall timeout is at most 30 days",
        Check::AtStart(Rule::AbsoluteAtMost(days(30))),
        "`absolute`",
    ),
    nist(
        Standard::NistAal2,
        ("2.2.3", "AAL2, should"),
        "the overall timeout is at most 24 hours",
        Check::AtStart(Rule::AbsoluteAtMost(hours(24))),
        "`absolute`",
    ),
    nist(
        Standard::NistAal2,
        ("2.2.3", "AAL2, should"),
        "the inactivity timeout is at most 1 hour",
        Check::AtStart(Rule::IdleAtMost(hours(1))),
        "`idle`; with `at_end = \"lock\"`, the page stays open until the re-authentication",
    ),
    nist(
        Standard::NistAal3,
        ("2.3.3", "AAL3, shall"),
        "the overall timeout is at most 12 hours",
        Check::AtStart(Rule::AbsoluteAtMost(hours(12))),
        "`absolute`",
    ),
    nist(
        Standard::NistAal3,
        ("2.3.3", "AAL3, should"),
        "the inactivity timeout is at most 15 minutes",
        Check::AtStart(Rule::IdleAtMost(minutes(15))),
        "`idle`",
    ),
    nist(
        Standard::NistAal1,
        ("5.1", "all, shall"),
        "session secrets have 64 bits or more from a random bit generator, and expire",
        Check::ByTest(&[
            "session/key.rs::keys_are_unique_and_use_the_whole_alphabet",
            "timeouts.rs::active_session_ends_at_the_absolute_timeout",
        ]),
        "a key has 131 bits, and becomes void when the session ends",
    ),
    nist(
        Standard::NistAal1,
        ("5.1", "all, shall"),
        "the content of POST and PUT requests contains a session identifier, which is verified \
         against cross-site request forgery",
        Check::Question("Do the application's forms contain a token that is bound to the session?"),
        "not met literally: the endpoints and `is_cross_site` check `Sec-Fetch-Site` and `Origin`, \
         not the content",
    ),
    nist(
        Standard::NistAal1,
        ("5.1", "all, shall"),
        "a session never falls back from HTTPS to HTTP",
        Check::Question("Are all pages served over HTTPS only, with HSTS?"),
        "browsers send `Secure` cookies over HTTPS only",
    ),
    nist(
        Standard::NistAal1,
        ("5.1", "all, shall"),
        "a sign-out erases or invalidates the session secret",
        Check::ByTest(&["sign_out.rs::sign_out_ends_the_session_and_deletes_its_cookie"]),
        "the record ends in the registry, and the cookie is deleted",
    ),
    nist(
        Standard::NistAal1,
        ("5.1", "all, shall"),
        "\"remember my browser\" does not replace an authentication",
        Check::Question("Does the absolute timeout of a kept session meet the declared level?"),
        "`persistent` only extends a session that began with a login, within the limits of the \
         declared level; if the user comes back after `idle`, the session is remembered, and pages \
         with `fresh` require a confirmation",
    ),
    nist(
        Standard::NistAal1,
        ("5.1", "all, should"),
        "session secrets do not survive a restart of the browser",
        Check::Question("If \"keep me signed in\" is offered, does the risk analysis permit it?"),
        "the browser deletes the cookie when it closes, unless the login policy sets `absolute`",
    ),
    nist(
        Standard::NistAal1,
        ("5.1", "all, should"),
        "users can easily sign out",
        Check::Question("Does each page for signed-in users show a way to sign out?"),
        "the logout endpoint; the dialog has a button",
    ),
    nist(
        Standard::NistAal1,
        ("5.1.1 (1)", "all, shall"),
        "session cookies are sent over HTTPS only",
        Check::AtStart(Rule::SecureCookies),
        "`Secure` by default",
    ),
    nist(
        Standard::NistAal1,
        ("5.1.1 (2)", "all, shall"),
        "session cookies are limited to the minimum set of host names and paths",
        Check::Declared {
            options: &["cookie_domain", "cookie_path"],
            question: "Does every path of this host need the session cookie?",
        },
        "this host only, by default",
    ),
    nist(
        Standard::NistAal1,
        ("5.1.1 (3)", "all, should"),
        "scripts cannot read session cookies",
        Check::ByTest(&["cookies.rs::both_cookies_are_http_only"]),
        "both cookies are `HttpOnly`",
    ),
    nist(
        Standard::NistAal1,
        ("5.1.1 (4)", "all, should"),
        "session cookies expire with the session; the timeout does not rely on that",
        Check::ByTest(&[
            "timeouts.rs::idle_session_expires_exactly_at_the_limit",
            "cookies.rs::login_cookie_ends_with_the_browser",
        ]),
        "the registry enforces the timeouts; the cookie expires with `absolute`, or when the \
         browser closes",
    ),
    nist(
        Standard::NistAal1,
        ("5.1.1 (5)", "all, should"),
        "session cookies have the prefix `__Host-` and the path `/`",
        Check::AtStart(Rule::HostCookies),
        "the default",
    ),
    nist(
        Standard::NistAal1,
        ("5.1.1 (6)", "all, should"),
        "`SameSite` of session cookies is `Lax` or `Strict`",
        Check::AtStart(Rule::SameSite),
        "`Lax` by default",
    ),
    nist(
        Standard::NistAal1,
        ("5.1.1 (7)", "all, shall"),
        "session cookies contain no personal information in plain text; they should contain an \
         opaque string only",
        Check::ByTest(&["cookies.rs::cookies_contain_no_data_in_plain_text"]),
        "the session cookie contains a random key; the anonymous cookie is encrypted",
    ),
    nist(
        Standard::NistAal1,
        ("5.2", "all, shall"),
        "a timeout ends the session, activity resets the inactivity timeout, and a \
         re-authentication resets both",
        Check::ByTest(&[
            "timeouts.rs::idle_session_expires_exactly_at_the_limit",
            "timeouts.rs::active_session_ends_at_the_absolute_timeout",
            "step_up.rs::confirmation_restarts_both_timeouts_and_keeps_the_session",
        ]),
        "`idle` counts from the last activity, `absolute` from the last authentication; `confirm` \
         resets both",
    ),
    nist(
        Standard::NistAal1,
        ("5.2", "all, shall"),
        "both limits are documented in the system security plan",
        Check::Question("Does the security plan state `idle` and `absolute` of each policy?"),
        "a `Policy` is one value, and can be serialized",
    ),
    nist_53(
        "AC-12(2)",
        "a message tells the user that the session has ended",
        Check::ByTest(&["reasons.rs::reason_is_shown_once_on_the_login_page"]),
        "the login page shows the reason",
    ),
    nist_53(
        "AC-12(3)",
        "a message tells the user that the session is about to end",
        Check::ByTest(&["warning.test.mjs::warning opens at the warning time"]),
        "`warn` and the dialog",
    ),
];
