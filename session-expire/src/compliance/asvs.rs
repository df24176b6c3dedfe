//! OWASP ASVS 5.0, requirements on sessions in other chapters.

use super::{Check, Requirement, Rule, Standard, asvs};

pub(super) static REQUIREMENTS: &[Requirement] = &[
    asvs(
        Standard::AsvsL2,
        "2.3.4",
        "limited quantities cannot be booked twice",
        Check::ByTest("limits"),
        "of simultaneous logins, as many succeed as `max_sessions` allows",
    ),
    asvs(
        Standard::AsvsL1,
        "3.3.1",
        "cookies are `Secure`, and their names start with `__Host-` or `__Secure-`",
        Check::AtStart(Rule::PrefixedCookies),
        "the default, unless `plain_http`, `cookie_domain`, `cookie_path` or `cookie_names` is set",
    ),
    asvs(
        Standard::AsvsL2,
        "3.3.2",
        "`SameSite` of each cookie fits its purpose, against cross-site request forgery",
        Check::AtStart(Rule::SameSite),
        "`Lax` by default",
    ),
    asvs(
        Standard::AsvsL2,
        "3.3.3",
        "names of cookies start with `__Host-`, unless the cookies are designed to be shared with \
         other hosts",
        Check::AtStart(Rule::HostCookies),
        "the default; declare a shared cookie with `deviates_from`",
    ),
    asvs(
        Standard::AsvsL2,
        "3.3.4",
        "a cookie that scripts need not read is `HttpOnly`, and its value is sent in `Set-Cookie` \
         only",
        Check::ByTest("cookies"),
        "both cookies are `HttpOnly`; no page contains the key",
    ),
    asvs(
        Standard::AsvsL1,
        "3.5.1",
        "requests to sensitive functionality come from the application itself: the endpoints",
        Check::AtStart(Rule::SecureOrigins),
        "the endpoints check `Sec-Fetch-Site` and `Origin`; `allowed_origins` adds trusted origins",
    ),
    asvs(
        Standard::AsvsL1,
        "3.5.1",
        "requests to sensitive functionality come from the application itself: its own forms",
        Check::Question("Does each form, the login form included, refuse requests of other sites?"),
        "`is_cross_site`, and `SameSite` of the session cookie",
    ),
    asvs(
        Standard::AsvsL1,
        "3.5.3",
        "sensitive functionality uses methods such as POST, and no safe methods",
        Check::ByTest("endpoints"),
        "keep-alive and logout accept POST only; the application's own routes are not checked",
    ),
    asvs(
        Standard::AsvsL2,
        "3.7.2",
        "automatic redirects to other hosts lead to allowed destinations only",
        Check::ByTest("return_path"),
        "return paths, `login_url` and `confirm_url` are local; `local_path` checks your own",
    ),
    asvs(
        Standard::AsvsL3,
        "6.3.5",
        "users are notified of suspicious authentication attempts",
        Check::Question("Which sign-ins does the application report to the user, and how?"),
        "`Event::LoggedIn` says whether the device is known; `Event::ConfirmationFailed`",
    ),
    // A rule that forbids a page which stays in the DOM after the end belongs here.
    asvs(
        Standard::AsvsL1,
        "14.3.1",
        "data of the user is cleared from the client, such as the DOM, when the session ends, even \
         without a connection",
        Check::ByTest("ending.test.mjs"),
        "the script hides the page at the end and then leaves it; `clear_site_data` clears storage at \
         a sign-out",
    ),
    asvs(
        Standard::AsvsL2,
        "14.3.2",
        "responses with sensitive data are not cached in browsers",
        Check::ByTest("caching"),
        "`Cache-Control: no-store` for signed-in users, unless the handler sets another value",
    ),
    asvs(
        Standard::AsvsL2,
        "16.2.5",
        "the log treats sensitive data by its protection level: no credentials, and no session \
         tokens in plain text",
        Check::Question("May the log name users, or is `log_users(false)` needed?"),
        "the log has public ids and no keys; `log_users(false)` leaves out user ids",
    ),
    asvs(
        Standard::AsvsL2,
        "16.3.1",
        "all authentication operations are logged, successful or not, with the kind of factor",
        Check::Question("Does the application log failed sign-ins and the factors used?"),
        "logins, refused logins, re-authentications and ends are logged; the application checks the \
         credentials",
    ),
];
