//! Kinds of requests that end an expired session, or evict other sessions.

use actix_identity::Identity;
use actix_web::{HttpResponse, web};
use session_expire::{PolicyPatch, minutes, seconds};
use session_expire_tests::{Browser, Site, TestResponse};

fn routes(cfg: &mut web::ServiceConfig) {
    let one = || PolicyPatch::new().max_sessions(1);
    cfg.service(web::resource("/one").wrap(one()).to(whoami))
        .service(web::resource("/one/missing").wrap(one()).to(HttpResponse::NotFound))
        .service(web::resource("/one/poll").wrap(one().passive(true)).to(whoami))
        .service(web::resource("/open").to(HttpResponse::Ok))
        .service(web::resource("/broken").to(HttpResponse::InternalServerError));
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

/// Method, path and headers of a request.
type Kind = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const SCRIPT: &[(&str, &str)] = &[("sec-fetch-mode", "cors"), ("accept", "*/*")];
const NAVIGATION: &[(&str, &str)] = &[];
const PASSIVE: &[(&str, &str)] = &[("x-session-passive", "1")];
const PASSIVE_SCRIPT: &[(&str, &str)] = &[("x-session-passive", "1"), ("sec-fetch-mode", "cors")];
const IMAGE: &[(&str, &str)] = &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
const IMAGE_WITHOUT_FETCH_METADATA: &[(&str, &str)] =
    &[("sec-fetch-mode", ""), ("accept", "image/avif,*/*;q=0.8")];
const PREFETCH: &[(&str, &str)] = &[("sec-purpose", "prefetch")];
const CROSS_SITE_LINK: &[(&str, &str)] = &[("sec-fetch-site", "cross-site")];
const CROSS_SITE_SCRIPT: &[(&str, &str)] =
    &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")];

fn send(browser: &Browser, (method, path, headers): Kind) -> TestResponse {
    let request = browser.request(method, path);
    let request = headers.iter().fold(request, |request, (name, value)| match *value {
        "" => request.without(name),
        value => request.header(name, value),
    });
    request.send()
}

/// Sends a request of a session that is expired for the application, and active for laxer pages.
/// The response must not set a cookie.
fn send_expired(kind: Kind) -> (Site, Browser) {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(30));
    let response = send(&alice, kind);
    assert!(response.cookies().is_empty(), "{kind:?}: {response:?}");
    (site, alice)
}

#[test]
fn other_request_keeps_expired_session_for_laxer_page() {
    let kinds: [Kind; 20] = [
        ("GET", "/public", SCRIPT),
        ("GET", "/public", PASSIVE),
        ("GET", "/public", PASSIVE_SCRIPT),
        ("GET", "/open", IMAGE),
        ("GET", "/open", IMAGE_WITHOUT_FETCH_METADATA),
        ("GET", "/open", PREFETCH),
        ("HEAD", "/open", NAVIGATION),
        ("OPTIONS", "/open", NAVIGATION),
        ("OPTIONS", "/private", SCRIPT),
        ("GET", "/missing", NAVIGATION),
        ("GET", "/missing", SCRIPT),
        ("GET", "/broken", NAVIGATION),
        ("GET", "/private", IMAGE),
        ("GET", "/private", IMAGE_WITHOUT_FETCH_METADATA),
        ("GET", "/private", PREFETCH),
        ("GET", "/private", PASSIVE),
        ("GET", "/private", PASSIVE_SCRIPT),
        ("HEAD", "/private", NAVIGATION),
        ("GET", "/poll", SCRIPT),
        ("GET", "/session/status", SCRIPT),
    ];
    for kind in kinds {
        let (site, alice) = send_expired(kind);
        assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"), "{kind:?}");
        assert_eq!(site.take_events(), ["alice signed in"], "{kind:?}");
    }
}

#[test]
fn challenge_or_navigation_ends_expired_session() {
    let kinds: [Kind; 6] = [
        ("GET", "/public", NAVIGATION),
        ("GET", "/private", NAVIGATION),
        ("GET", "/private", SCRIPT),
        ("POST", "/private", NAVIGATION),
        ("GET", "/public", CROSS_SITE_LINK),
        ("GET", "/private", CROSS_SITE_LINK),
    ];
    for kind in kinds {
        let (site, alice) = send_expired(kind);
        assert_eq!(alice.user_at("/laxer"), None, "{kind:?}");
        assert_eq!(site.take_events()[..2], ["alice signed in", "alice ended: idle"], "{kind:?}");
    }
}

#[test]
fn other_site_ends_no_session_of_a_stricter_page() {
    for headers in [CROSS_SITE_LINK, CROSS_SITE_SCRIPT] {
        let site = site();
        let alice = site.signed_in("alice");
        site.advance(minutes(5));
        let response = send(&alice, ("GET", "/stricter", headers));
        assert!([303, 401].contains(&response.status), "{headers:?}");
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{headers:?}");
        site.advance(minutes(5));
        assert_eq!(send(&alice, ("GET", "/stricter", NAVIGATION)).status, 303);
        assert_eq!(site.take_events()[1..], ["alice ended: idle"], "{headers:?}");
    }
}

#[test]
fn passive_or_cross_site_request_evicts_no_session() {
    let kinds: [Kind; 11] = [
        ("GET", "/one", PASSIVE_SCRIPT),
        ("GET", "/one", PASSIVE),
        ("GET", "/one", IMAGE),
        ("GET", "/one", IMAGE_WITHOUT_FETCH_METADATA),
        ("GET", "/one", PREFETCH),
        ("GET", "/one", CROSS_SITE_LINK),
        ("GET", "/one", CROSS_SITE_SCRIPT),
        ("HEAD", "/one", NAVIGATION),
        ("OPTIONS", "/one", SCRIPT),
        ("GET", "/one/missing", NAVIGATION),
        ("GET", "/one/poll", SCRIPT),
    ];
    for kind in kinds {
        let site = site();
        let first = site.signed_in("alice");
        site.advance(seconds(40));
        let second = site.signed_in("alice");
        site.advance(seconds(40));
        let response = send(&second, kind);
        assert!([200, 404].contains(&response.status), "{kind:?}: {response:?}");
        assert_eq!(first.user_at("/private").as_deref(), Some("alice"), "{kind:?}");
    }
}

#[test]
fn challenged_request_evicts_no_session() {
    let site = site();
    let (first, second) = (site.signed_in("alice"), site.signed_in("alice"));
    site.advance(minutes(9));
    first.get("/private");
    site.advance(minutes(2));
    assert_eq!(second.fetch("/one").status, 401);
    assert_eq!(first.user_at("/private").as_deref(), Some("alice"));
}
