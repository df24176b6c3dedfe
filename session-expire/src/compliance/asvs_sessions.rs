//! OWASP ASVS 5.0, chapter 7: session management.

use super::{Check, Requirement, Rule, Standard, asvs};

pub(super) static REQUIREMENTS: &[Requirement] = &[
    asvs(
        Standard::AsvsL2,
        "7.1.1",
        "the idle and absolute timeouts are documented and fit the other controls; deviations from \
         the re-authentication limits of NIST SP 800-63B are justified",
        Check::Declared {
            options: &["deviates_from", "absolute_is_essential"],
            question: "Where are `idle`, `absolute` and the reasons for deviations documented?",
        },
        "a `Policy` is one value; the two options record the reason for each deviation; each limit \
         beyond AAL1 without `deviates_from` is a separate question",
    ),
    asvs(
        Standard::AsvsL2,
        "7.1.2",
        "the documentation states how many sessions an account may have at a time, and what \
         happens at the limit",
        Check::Declared {
            options: &["max_sessions", "overflow"],
            question: "How many sessions may an account have, and what happens at the limit?",
        },
        "the registry enforces both at the login",
    ),
    asvs(
        Standard::AsvsL2,
        "7.1.3",
        "the documentation lists the systems that manage sessions in a federation, and how they \
         coordinate lifetimes, ends and re-authentication",
        Check::Question("Which identity providers sign users in, and how do their sessions end?"),
        "not covered: the session at the identity provider is separate",
    ),
    asvs(
        Standard::AsvsL1,
        "7.2.1",
        "a trusted backend verifies session tokens",
        Check::ByTest(&[
            "cookies.rs::unknown_keys_cost_one_load_and_store_nothing",
            "revocation.rs::end_everyone_ends_every_session",
        ]),
        "the registry decides on each request",
    ),
    asvs(
        Standard::AsvsL1,
        "7.2.2",
        "session tokens are generated dynamically and are not static API secrets",
        Check::ByTest(&["isolation.rs::each_login_and_each_renewal_has_a_key_of_its_own"]),
        "each login, each confirmation and each `Session::renew` generates a key",
    ),
    asvs(
        Standard::AsvsL1,
        "7.2.3",
        "reference tokens are unique and random, with 128 bits of entropy or more",
        Check::ByTest(&["session/key.rs::keys_are_unique_and_use_the_whole_alphabet"]),
        "a key has 131 bits from a cryptographic generator",
    ),
    asvs(
        Standard::AsvsL1,
        "7.2.4",
        "an authentication, including a re-authentication, generates a new token and ends the \
         current one",
        Check::ByTest(&[
            "isolation.rs::each_login_and_each_renewal_has_a_key_of_its_own",
            "step_up.rs::old_key_is_refused_as_renewed_and_touches_no_cookie",
        ]),
        "`sign_in` ends the session that it replaces, and `confirm` replaces the key",
    ),
    asvs(
        Standard::AsvsL2,
        "7.3.1",
        "an inactivity timeout enforces re-authentication",
        Check::AtStart(Rule::HasIdle),
        "`idle`",
    ),
    asvs(
        Standard::AsvsL2,
        "7.3.1",
        "the inactivity timeout follows from a risk analysis and documented decisions",
        Check::Question("Which risk analysis sets `idle` of the application and of each page?"),
        "the standard gives no figure",
    ),
    asvs(
        Standard::AsvsL2,
        "7.3.2",
        "an absolute session lifetime enforces re-authentication",
        Check::AtStart(Rule::HasAbsolute),
        "`absolute`",
    ),
    asvs(
        Standard::AsvsL2,
        "7.3.2",
        "the absolute lifetime follows from a risk analysis and documented decisions",
        Check::Question("Which risk analysis sets `absolute` of the application and of each page?"),
        "the standard gives no figure",
    ),
    asvs(
        Standard::AsvsL1,
        "7.4.1",
        "a session that has ended or expired cannot be used again; stateful sessions are \
         invalidated at the backend",
        Check::ByTest(&[
            "sign_out.rs::sign_out_ends_the_session_and_deletes_its_cookie",
            "timeouts.rs::idle_session_expires_exactly_at_the_limit",
        ]),
        "an ended record stays ended",
    ),
    asvs(
        Standard::AsvsL1,
        "7.4.2",
        "all sessions of an account end when it is disabled or deleted",
        Check::Question("Does each way to disable or delete an account call `Sessions::end_all`?"),
        "`Sessions::end_all`; `Sessions::erase` also deletes the history",
    ),
    asvs(
        Standard::AsvsL2,
        "7.4.3",
        "after a change or removal of any authentication factor, users can end all other sessions; \
         this includes a password reset, account recovery and multi-factor settings",
        Check::Question(
            "Does each change of a factor offer `Sessions::end_others`, and does a reset call \
             `Sessions::end_all`?",
        ),
        "`Sessions::end_others`, and `Sessions::end_all` for a reset without a session; `stamp` ends \
         sessions that began before the change",
    ),
    asvs(
        Standard::AsvsL2,
        "7.4.4",
        "all pages that require authentication give easy and visible access to the logout",
        Check::Question("Does each page for signed-in users show a way to sign out?"),
        "the logout endpoint; the dialog has a button",
    ),
    asvs(
        Standard::AsvsL2,
        "7.4.5",
        "administrators can end the sessions of one user and of all users",
        Check::Question("Where do administrators end the sessions of a user, and of all users?"),
        "`Sessions::list`, `end`, `end_all` and `end_everyone`",
    ),
    asvs(
        Standard::AsvsL2,
        "7.5.1",
        "full re-authentication before a change of attributes that affect authentication: email \
         address, phone number, multi-factor settings, recovery data",
        Check::Question(
            "Do these pages set `fresh`, and does the confirmation page check all \
             factors?",
        ),
        "`fresh`; a warning is logged if no mounted policy sets it",
    ),
    asvs(
        Standard::AsvsL2,
        "7.5.2",
        "users can view their sessions, and end them after they have re-authenticated with at \
         least one factor",
        Check::Question("Does the handler that ends sessions set `fresh`?"),
        "`Sessions::list_active`, `list_history` and `end`; `fresh`",
    ),
    asvs(
        Standard::AsvsL3,
        "7.5.3",
        "further authentication with at least one factor, or a second verification, before highly \
         sensitive transactions",
        Check::Question("Which transactions are highly sensitive, and do they set `fresh`?"),
        "`fresh`; a warning is logged if no mounted policy sets it",
    ),
    asvs(
        Standard::AsvsL2,
        "7.6.1",
        "sessions of the relying party and the identity provider last and end as documented, and \
         require re-authentication when it is due",
        Check::Question("Does a new login require a recent authentication at the provider?"),
        "not covered: the session at the identity provider is separate",
    ),
    asvs(
        Standard::AsvsL2,
        "7.6.2",
        "a new session needs the user's consent or explicit action",
        Check::Question("Can a redirect to the identity provider sign a user in without a click?"),
        "only the application's call of `sign_in` creates a session",
    ),
];
