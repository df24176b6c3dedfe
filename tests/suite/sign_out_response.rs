//! Changes to the response of a sign-out: the hook and `Clear-Site-Data`.

use actix_session::Session;
use actix_web::{HttpResponse, cookie::Cookie, web};
use session_expire::{SessionExpireBuilder, minutes, sign_out::SiteData};
use session_expire_tests::Site;

fn routes(cfg: &mut web::ServiceConfig) {
    let own = |session: Session| async move {
        session.purge();
        HttpResponse::Ok().insert_header(("clear-site-data", "\"cookies\"")).finish()
    };
    let purge = |session: Session| async move {
        session.purge();
        "done"
    };
    cfg.route("/own-header", web::post().to(own)).route("/purge", web::to(purge));
}

fn options(builder: SessionExpireBuilder) -> SessionExpireBuilder {
    builder.clear_site_data([SiteData::Storage, SiteData::Cache]).on_sign_out(|sign_out| {
        sign_out.remove_cookie(Cookie::build("cart", "").path("/shop").finish());
        let path = sign_out.request().path().parse().unwrap();
        sign_out.headers_mut().insert("x-signed-out-at".parse().unwrap(), path);
    })
}

fn site() -> Site {
    Site::builder().routes(routes).customise(options).start()
}

const SIGN_OUTS: [&str; 4] = ["/purge", "/logout", "/sign-out", "/session/logout"];

#[test]
fn each_sign_out_calls_the_hook_once() {
    for path in SIGN_OUTS {
        let site = site();
        let response = site.signed_in("alice").post(path, "");
        assert_eq!(response.header("x-signed-out-at"), path);
        let removed: Vec<_> =
            response.cookies().into_iter().filter(|cookie| cookie.starts_with("cart=")).collect();
        assert_eq!(removed.len(), 1, "{path}: {response:?}");
        assert!(removed[0].contains("Path=/shop") && removed[0].contains("Max-Age=0"), "{path}");
    }
}

#[test]
fn each_sign_out_clears_site_data() {
    for path in SIGN_OUTS {
        let response = site().signed_in("alice").post(path, "");
        assert_eq!(response.header("clear-site-data"), "\"storage\", \"cache\"", "{path}");
    }
}

#[test]
fn site_data_is_kept_by_default() {
    let response = Site::start().signed_in("alice").post("/sign-out", "");
    assert_eq!((response.status, response.header("clear-site-data")), (303, ""));
}

#[test]
fn header_of_the_handler_is_kept() {
    let response = site().signed_in("alice").post("/own-header", "");
    assert_eq!(response.headers.get_all("clear-site-data").iter().count(), 1);
    assert_eq!(response.header("clear-site-data"), "\"cookies\"");
}

#[test]
fn sign_out_of_expired_session_calls_the_hook() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    assert_eq!(alice.post("/sign-out", "").header("x-signed-out-at"), "/sign-out");
}

#[test]
fn failed_sign_out_changes_nothing() {
    for path in SIGN_OUTS {
        let site = site();
        let alice = site.signed_in("alice");
        site.registry.fail_next("end");
        let response = alice.post(path, "");
        assert_eq!(response.status, 503, "{path}");
        assert_eq!(response.header("x-signed-out-at"), "", "{path}");
        assert_eq!(response.header("clear-site-data"), "", "{path}");
    }
}

#[test]
fn request_that_signs_no_user_out_calls_no_hook() {
    let site = site();
    let alice = site.signed_in("alice");
    let head = alice.request("HEAD", "/purge").send();
    assert_eq!((head.status, head.header("x-signed-out-at")), (200, ""));
    assert_eq!(alice.get("/private").header("x-signed-out-at"), "");
    let other = alice.sign_in("bob");
    assert_eq!(other.header("x-signed-out-at"), "", "a login is no sign-out");
}

#[test]
fn expiry_calls_no_hook() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    let challenge = alice.get("/private");
    assert_eq!((challenge.status, challenge.header("x-signed-out-at")), (303, ""));
    assert_eq!(challenge.header("clear-site-data"), "");
}
