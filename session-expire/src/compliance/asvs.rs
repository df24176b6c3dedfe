//! OWASP ASVS 5.0: requirements on sessions outside of chapter 7.

use super::{Check, Requirement, Rule, Standard, asvs};

pub(super) static REQUIREMENTS: &[Requirement] = &[
    asvs(
        Standard::AsvsL2,
        "2.3.4",
        "limited quantities cannot be booked twice",
        Check::ByTest(&["limits.rs::fifty_logins_at_once_leave_one_session"]),
        "simultaneous logins cannot exceed `max_sessions`",
    ),
    asvs(
        Standard::AsvsL1,
        "3.3.1",
        "cookies are `Secure`",
        Check::AtStart(Rule::SecureCookies),
        "the default, unless `plain_http` is set",
    ),
    asvs(
        Standard::AsvsL1,
        "3.3.1",
        "cookie names start with `__Host-` or `__Secure-`",
        Check::AtStart(Rule::PrefixedCookies),
        "the default, unless `cookie_domain`, `cookie_path` or `cookie_names` is set",
    ),
    asvs(
        Standard::AsvsL2,
        "3.3.2",
        "the `SameSite` attribute of each cookie fits its purpose, to limit cross-site request \
         forgery",
        Check::AtStart(Rule::SameSite),
        "`Lax` by default",
    ),
    asvs(
        Standard::AsvsL2,
        "3.3.3",
        "cookie names start with `__Host-`, unless the cookies are designed to be shared with \
         other hosts",
        Check::AtStart(Rule::HostCookies),
        "the default; declare a shared cookie with `deviates_from`",
    ),
    asvs(
        Standard::AsvsL2,
        "3.3.4",
        "a cookie that scripts need not read is `HttpOnly`, and its value is sent in `Set-Cookie` \
         only",
        Check::ByTest(&[
            "cookies.rs::both_cookies_are_http_only",
            "cookies.rs::key_appears_in_login_cookie_only",
        ]),
        "both cookies are `HttpOnly`; no page contains the key",
    ),
    asvs(
        Standard::AsvsL3,
        "3.3.5",
        "the name and the value of a cookie together have at most 4,096 bytes",
        Check::ByTest(&[
            "cookies/mod.rs::large_anonymous_cookie_discards_messages",
            "cookies.rs::too_large_anonymous_entries_are_an_error",
        ]),
        "a larger anonymous cookie is never sent; the session cookie contains only a key",
    ),
    asvs(
        Standard::AsvsL1,
        "3.5.1",
        "requests to the endpoints are verified to come from the application itself",
        Check::AtStart(Rule::SecureOrigins),
        "the endpoints check `Sec-Fetch-Site` and `Origin`; `allowed_origins` adds trusted origins",
    ),
    asvs(
        Standard::AsvsL1,
        "3.5.1",
        "requests to other sensitive functionality are verified to come from the application \
         itself",
        Check::Question(
            "Does each form, the login form included, reject requests from other \
             sites?",
        ),
        "`is_cross_site`, and `SameSite` of the session cookie",
    ),
    asvs(
        Standard::AsvsL1,
        "3.5.3",
        "sensitive functionality uses methods such as POST, never safe methods",
        Check::ByTest(&["endpoints.rs::get_request_changes_nothing"]),
        "keep-alive and logout accept POST only; the application's own routes are not checked",
    ),
    asvs(
        Standard::AsvsL2,
        "3.7.2",
        "automatic redirects to other hosts lead to allowed destinations only",
        Check::ByTest(&[
            "return_path.rs::path_of_another_host_is_no_return_path",
            "return_path.rs::login_and_confirm_url_of_another_host_are_refused",
        ]),
        "return paths, `login_url` and `confirm_url` are local; `local_path` checks those of the \
         application",
    ),
    asvs(
        Standard::AsvsL3,
        "6.3.5",
        "users are notified of suspicious authentication attempts",
        Check::Question("Which sign-ins does the application report to the user, and how?"),
        "`Event::LoggedIn` says whether the device is known; `Event::ConfirmationFailed` reports \
         failed attempts",
    ),
    asvs(
        Standard::AsvsL1,
        "14.3.1",
        "the client clears the user's data, for example from the DOM, when the session ends, even \
         offline",
        Check::ByTest(&[
            "ending.test.mjs::expired page is covered before the redirect",
            "ending.test.mjs::Back shows no private content after a sign-out",
            "faults.test.mjs::covered page recovers when the network is back",
        ]),
        "the script hides the page when the session ends, and then leaves it; `clear_site_data` \
         clears storage at a sign-out",
    ),
    asvs(
        Standard::AsvsL1,
        "14.3.1",
        "no page keeps the user's data in the DOM when the session has ended",
        Check::AtStart(Rule::LeavesAtEnd),
        "the default; a locked page keeps its hidden content in the browser",
    ),
    asvs(
        Standard::AsvsL2,
        "14.3.2",
        "responses with sensitive data are not cached in browsers",
        Check::ByTest(&[
            "caching.rs::response_for_a_signed_in_user_is_private",
            "caching.rs::response_for_an_expired_session_is_no_store",
        ]),
        "`Cache-Control: no-store` for signed-in users, unless the handler sets another value",
    ),
    asvs(
        Standard::AsvsL2,
        "16.2.5",
        "the log handles sensitive data according to its protection level: no credentials, and no \
         session tokens in plain text",
        Check::Question("May the log name users, or is `log_users(false)` needed?"),
        "the log contains public ids and no keys; `log_users(false)` leaves out users, actors, \
         addresses and devices",
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
