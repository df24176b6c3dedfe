//! Which requests end a session that their page refuses, and which evict other sessions.

use actix_identity::Identity;
use actix_web::{HttpResponse, web};
use session_expire::{PolicyPatch, minutes, seconds};
use session_expire_tests::{Answer, Browser, Site};

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

/// A request: method, path, and what its headers say.
type Way = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const SCRIPT: &[(&str, &str)] = &[("sec-fetch-mode", "cors"), ("accept", "*/*")];
const NAVIGATION: &[(&str, &str)] = &[];
const PASSIVE: &[(&str, &str)] = &[("x-session-passive", "1")];
const PASSIVE_SCRIPT: &[(&str, &str)] = &[("x-session-passive", "1"), ("sec-fetch-mode", "cors")];
const IMAGE: &[(&str, &str)] = &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
const OLD_IMAGE: &[(&str, &str)] = &[("sec-fetch-mode", ""), ("accept", "image/avif,*/*;q=0.8")];
const PREFETCH: &[(&str, &str)] = &[("sec-purpose", "prefetch")];
const LINK: &[(&str, &str)] = &[("sec-fetch-site", "cross-site")];
const FOREIGN_SCRIPT: &[(&str, &str)] =
    &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")];

fn send(browser: &Browser, (method, path, headers): Way) -> Answer {
    let request = browser.request(method, path);
    let request = headers.iter().fold(request, |request, (name, value)| match *value {
        "" => request.without(name),
        value => request.header(name, value),
    });
    request.send()
}

/// Sends a request whose session has expired, but not for laxer pages. No response sets a cookie.
fn send_expired(way: Way) -> (Site, Browser) {
    let site = site();
    let alice = site.signed_in("alice");
    site.pass(minutes(30));
    let answer = send(&alice, way);
    assert!(answer.cookies().is_empty(), "{way:?}: {answer:?}");
    (site, alice)
}

#[test]
fn harmless_request_leaves_an_expired_session_to_a_laxer_page() {
    let ways: [Way; 20] = [
        ("GET", "/public", SCRIPT),
        ("GET", "/public", PASSIVE),
        ("GET", "/public", PASSIVE_SCRIPT),
        ("GET", "/open", IMAGE),
        ("GET", "/open", OLD_IMAGE),
        ("GET", "/open", PREFETCH),
        ("HEAD", "/open", NAVIGATION),
        ("OPTIONS", "/open", NAVIGATION),
        ("OPTIONS", "/private", SCRIPT),
        ("GET", "/missing", NAVIGATION),
        ("GET", "/missing", SCRIPT),
        ("GET", "/broken", NAVIGATION),
        ("GET", "/private", IMAGE),
        ("GET", "/private", OLD_IMAGE),
        ("GET", "/private", PREFETCH),
        ("GET", "/private", PASSIVE),
        ("GET", "/private", PASSIVE_SCRIPT),
        ("HEAD", "/private", NAVIGATION),
        ("GET", "/poll", SCRIPT),
        ("GET", "/session/status", SCRIPT),
    ];
    for way in ways {
        let (site, alice) = send_expired(way);
        assert_eq!(alice.user_at("/looser").as_deref(), Some("alice"), "{way:?}");
        assert_eq!(site.events(), ["alice signed in"], "{way:?}");
    }
}

#[test]
fn challenge_or_navigation_ends_an_expired_session() {
    let ways: [Way; 6] = [
        ("GET", "/public", NAVIGATION),
        ("GET", "/private", NAVIGATION),
        ("GET", "/private", SCRIPT),
        ("POST", "/private", NAVIGATION),
        ("GET", "/public", LINK),
        ("GET", "/private", LINK),
    ];
    for way in ways {
        let (site, alice) = send_expired(way);
        assert_eq!(alice.user_at("/looser"), None, "{way:?}");
        assert_eq!(site.events()[..2], ["alice signed in", "alice ended: idle"], "{way:?}");
    }
}

#[test]
fn other_site_is_challenged_by_a_stricter_page_and_ends_nothing() {
    for headers in [LINK, FOREIGN_SCRIPT] {
        let site = site();
        let alice = site.signed_in("alice");
        site.pass(minutes(5));
        let answer = send(&alice, ("GET", "/stricter", headers));
        assert!([303, 401].contains(&answer.status), "{headers:?}");
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{headers:?}");
        site.pass(minutes(5));
        assert_eq!(send(&alice, ("GET", "/stricter", NAVIGATION)).status, 303);
        assert_eq!(site.events()[1..], ["alice ended: idle"], "{headers:?}");
    }
}

#[test]
fn request_that_is_no_act_of_the_user_evicts_no_session() {
    let ways: [Way; 11] = [
        ("GET", "/one", PASSIVE_SCRIPT),
        ("GET", "/one", PASSIVE),
        ("GET", "/one", IMAGE),
        ("GET", "/one", OLD_IMAGE),
        ("GET", "/one", PREFETCH),
        ("GET", "/one", LINK),
        ("GET", "/one", FOREIGN_SCRIPT),
        ("HEAD", "/one", NAVIGATION),
        ("OPTIONS", "/one", SCRIPT),
        ("GET", "/one/missing", NAVIGATION),
        ("GET", "/one/poll", SCRIPT),
    ];
    for way in ways {
        let site = site();
        let first = site.signed_in("alice");
        site.pass(seconds(40));
        let second = site.signed_in("alice");
        site.pass(seconds(40));
        let answer = send(&second, way);
        assert!([200, 404].contains(&answer.status), "{way:?}: {answer:?}");
        assert_eq!(first.user_at("/private").as_deref(), Some("alice"), "{way:?}");
    }
}

#[test]
fn act_of_the_user_evicts_sessions_beyond_its_pages_limit() {
    for headers in [NAVIGATION, SCRIPT] {
        let site = site();
        let (first, second) = (site.signed_in("alice"), site.signed_in("alice"));
        assert_eq!(send(&second, ("GET", "/one", headers)).status, 200);
        assert_eq!(first.fetch("/private").header("x-session-expired"), "evicted");
        assert_eq!(second.user_at("/private").as_deref(), Some("alice"), "the requester stays");
    }
}

#[test]
fn challenged_request_evicts_no_session() {
    let site = site();
    let (first, second) = (site.signed_in("alice"), site.signed_in("alice"));
    site.pass(minutes(9));
    first.get("/private");
    site.pass(minutes(2));
    assert_eq!(second.fetch("/one").status, 401);
    assert_eq!(first.user_at("/private").as_deref(), Some("alice"));
}
