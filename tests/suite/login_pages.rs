//! Pages for expired sessions and refused logins.

use actix_identity::Identity;
use actix_web::{HttpResponse, web};
use session_expire::{FlashMessages, Overflow, Policy, PolicyPatch, minutes};
use session_expire_tests::{Browser, Site, block_on};

async fn page(messages: FlashMessages, user: Option<Identity>) -> String {
    let user = user.and_then(|user| user.id().ok()).into_iter();
    user.chain(messages.into_iter().map(|message| message.to_string())).collect()
}

async fn empty_401() -> HttpResponse {
    HttpResponse::Unauthorized().finish()
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

fn routes(cfg: &mut web::ServiceConfig) {
    let own = PolicyPatch::new().login_url("/vault/login");
    cfg.route("/ended", web::get().to(page))
        .route("/ended", web::post().to(empty_401))
        .route("/too-many", web::get().to(page))
        .route("/too-many", web::post().to(empty_401))
        .service(web::resource("/vault").wrap(own).route(web::get().to(whoami)));
}

fn site(policy: Policy) -> Site {
    let site = Site::builder().policy(policy.idle(minutes(10))).routes(routes);
    site.customise(|builder| builder.expired_url("/ended").refused_url("/too-many")).start()
}

fn expired(site: &Site) -> Browser {
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    alice
}

/// Returns a site at which the next login of `alice` is refused.
fn full() -> Site {
    let site = site(Policy::new().max_sessions(1).overflow(Overflow::Refuse));
    drop(site.signed_in("alice"));
    site
}

#[test]
fn expired_session_leads_to_its_own_page() {
    let site = site(Policy::new());
    let alice = expired(&site);
    assert_eq!(alice.get("/private?a=1").redirect(), (303, "/ended?next=/private%3Fa%3D1"));
    assert!(alice.get("/ended?next=/private").body.contains("not been active"));
    assert_eq!(alice.get("/private").redirect(), (303, "/login?next=/private"), "already notified");
}

#[test]
fn ended_session_leads_to_the_page_for_expired_ones() {
    let site = site(Policy::new());
    let alice = site.signed_in("alice");
    block_on(site.expire.sessions().end_all("alice")).unwrap();
    assert_eq!(alice.get("/private").redirect(), (303, "/ended?next=/private"));
}

#[test]
fn anonymous_visitor_leads_to_the_login_page() {
    let site = site(Policy::new());
    assert_eq!(site.browser().get("/private").redirect(), (303, "/login?next=/private"));
}

#[test]
fn scripts_learn_the_page_for_expired_sessions() {
    let site = site(Policy::new());
    let alice = site.signed_in("alice");
    let vars = alice.get("/vars").json();
    assert!(vars["script"].as_str().unwrap().contains("data-login=\"/ended\""), "{vars}");
    site.advance(minutes(10));
    assert_eq!(alice.fetch("/session/status").json()["login_url"], "/ended");
    assert_eq!(alice.fetch("/private").json()["login_url"], "/ended");
    let htmx = alice.request("GET", "/private").script().header("hx-request", "true").send();
    assert_eq!((htmx.status, htmx.header("hx-redirect")), (401, "/ended"));
}

#[test]
fn login_page_of_a_layer_takes_precedence() {
    let site = site(Policy::new());
    assert_eq!(expired(&site).get("/vault").redirect(), (303, "/vault/login?next=/vault"));
}

#[test]
fn own_pages_are_never_challenged() {
    let site = site(Policy::new().require_login(true));
    for page in ["/ended", "/too-many"] {
        for (browser, name) in [(site.browser(), "visitor"), (expired(&site), "expired")] {
            assert_eq!(browser.get(page).status, 200, "{page} {name}");
            assert_eq!(browser.post(page, "").status, 401, "{page} {name}");
        }
    }
}

#[test]
fn stricter_page_does_not_loop_through_the_page_for_expired_sessions() {
    let site = site(Policy::new());
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    let follow =
        |path: &str| alice.request("GET", path).header("sec-fetch-site", "cross-site").send();
    assert_eq!(follow("/stricter").redirect(), (303, "/ended?next=/stricter"));
    assert_eq!(follow("/ended?next=/stricter").body, "", "a visitor is not redirected back");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "the session is still open");
}

#[test]
fn refused_login_leads_to_its_own_page() {
    let site = full();
    let other = site.browser();
    let referer = format!("{}/login?next=/vault%3Fa%3D1", other.base());
    let post = other.request("POST", "/login").header("referer", &referer).form("user=alice");
    let response = post.send();
    assert_eq!(response.redirect(), (303, "/too-many?next=/vault%3Fa%3D1"));
    assert_eq!(response.cookies(), [""; 0]);
    assert_eq!(other.get("/too-many").status, 200);
    assert_eq!(other.user_at("/private"), None);
}

#[test]
fn refused_login_of_a_script_names_the_page() {
    let site = full();
    let api = site.browser().request("POST", "/login").script().form("user=alice").send();
    assert_eq!((api.status, &api.json()["login_url"]), (409, &"/too-many".into()));
    assert_eq!(api.json()["type"], "urn:session-expire:too-many-sessions");
    let browser = site.browser();
    let htmx = browser.request("POST", "/login").script().header("hx-request", "true");
    let htmx = htmx.form("user=alice").send();
    assert_eq!((htmx.status, htmx.header("hx-redirect")), (409, "/too-many"));
}

#[test]
fn handler_chooses_the_response_to_a_refused_sign_in() {
    assert_eq!(full().browser().post("/sign-in", "user=alice").status, 409);
}

#[test]
fn refused_login_is_409_by_default() {
    let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    let site = Site::builder().policy(policy).start();
    drop(site.signed_in("alice"));
    let script = site.browser().request("POST", "/login").script().form("user=alice").send();
    assert_eq!((script.status, script.json()["login_url"].is_null()), (409, true));
    assert_eq!(site.browser().post("/login", "user=alice").status, 409);
}
