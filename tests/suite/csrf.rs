//! Requests from other origins to the endpoints.

use session_expire::minutes;
use session_expire_tests::{Browser, Site};

fn site() -> Site {
    Site::builder().customise(|builder| builder.allowed_origins(["https://app.example"])).start()
}

fn send(browser: &Browser, method: &str, path: &str, site: &str, origin: &str) -> u16 {
    let request = browser.request(method, path).script().header("sec-fetch-site", site);
    request.header("origin", origin).send().status
}

#[test]
fn only_allowed_origins_reach_the_endpoints() {
    let site = site();
    let alice = site.signed_in("alice");
    for (from, origin, expected) in [
        ("same-site", "https://evil.example", 403),
        ("cross-site", "https://evil.example", 403),
        ("same-site", "https://app.example:8443", 403),
        ("same-site", "http://app.example", 403),
        ("same-site", "null", 403),
        ("same-site", "https://app.example", 200),
        ("cross-site", "https://app.example", 200),
    ] {
        for (method, path) in [("GET", "/session/status"), ("POST", "/session/keep-alive")] {
            assert_eq!(
                send(&alice, method, path, from, origin),
                expected,
                "{path} {from} {origin}"
            );
        }
    }
    assert_eq!(send(&alice, "POST", "/session/logout", "cross-site", "https://evil.example"), 403);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(send(&alice, "POST", "/session/logout", "same-site", "https://app.example"), 200);
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn forged_sign_out_ends_no_expired_session() {
    let site = Site::builder().customise(|b| b.logout_url("/session/logout")).start();
    let alice = site.signed_in("alice");
    site.advance(minutes(15)); // expired for the application, active for the laxer page
    let forged = alice.request("POST", "/session/logout").header("sec-fetch-site", "same-site");
    let response = forged.send();
    assert_eq!((response.status, response.cookies().len()), (403, 0), "{response:?}");
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"));
}

#[test]
fn request_of_another_site_is_403() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for path in ["/session/keep-alive", "/session/logout"] {
            let request = alice.request("POST", path).without("sec-fetch-site");
            let response = request.header(name, value).form("idle_for=0").send();
            assert_eq!(response.status, 403, "{path} {name}: {value}");
        }
    }
    assert_eq!(alice.fetch("/session/status").json()["seconds_until_idle_end"], 300);
}
