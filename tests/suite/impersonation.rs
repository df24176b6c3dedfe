//! Uncounted logins and impersonation.

use std::sync::Arc;

use actix_identity::Identity;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use session_expire::{
    Limit, Overflow, Policy, PolicyPatch, SessionHandle, SessionVars, SignInError, minutes,
    registry::{Query, Registry, SessionLimit, SessionRecord},
    seconds,
    sign_in::SignInOptions,
};
use session_expire_tests::{Browser, Site, SiteBuilder, block_on};

/// Signs the user of the form in for the actor of the path.
async fn impersonate(
    session: SessionHandle,
    actor: web::Path<String>,
    user: String,
) -> Result<HttpResponse, SignInError> {
    let options = SignInOptions::new().impersonated_by(actor.trim());
    session.sign_in_with(user, options).await?;
    Ok(HttpResponse::Ok().body(session.actor().unwrap_or_default().to_string()))
}

async fn uncounted(session: SessionHandle, user: String) -> Result<HttpResponse, SignInError> {
    session.sign_in_with(user, SignInOptions::new().uncounted()).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn show_actor(session: SessionHandle) -> String {
    session.actor().map_or_else(|| "none".to_owned(), |actor| actor.to_string())
}

async fn banner(vars: SessionVars) -> HttpResponse {
    HttpResponse::Ok().json(vars)
}

async fn login_again(req: HttpRequest, user: Identity) -> HttpResponse {
    Identity::login(&req.extensions(), user.id().unwrap()).unwrap();
    HttpResponse::Ok().finish()
}

async fn end_others(user: Identity, session: SessionHandle) -> HttpResponse {
    let (user, Some(current)) = (user.id().unwrap(), session.id()) else {
        return HttpResponse::Conflict().finish();
    };
    let ended = session.sessions().end_others(&user, current).await.unwrap();
    HttpResponse::Ok().body(ended.to_string())
}

async fn end_all(session: SessionHandle, user: String) -> HttpResponse {
    let ended = session.sessions().end_all(&user).await.unwrap();
    HttpResponse::Ok().body(ended.to_string())
}

async fn end_impersonations(session: SessionHandle, actor: String) -> HttpResponse {
    let sessions = session.sessions().with_cause("dismissed");
    let ended = sessions.end_impersonations(&actor).await.unwrap();
    HttpResponse::Ok().body(ended.to_string())
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

fn routes(cfg: &mut web::ServiceConfig) {
    let vault = web::resource("/vault").wrap(PolicyPatch::new().max_sessions(1));
    cfg.route("/impersonate/{actor}", web::post().to(impersonate))
        .route("/uncounted", web::post().to(uncounted))
        .route("/actor", web::get().to(show_actor))
        .route("/banner", web::get().to(banner))
        .route("/login-again", web::post().to(login_again))
        .route("/end-others", web::post().to(end_others))
        .route("/end-all", web::post().to(end_all))
        .route("/end-impersonations", web::post().to(end_impersonations))
        .service(vault.route(web::get().to(whoami)));
}

fn limited(max_sessions: u32, overflow: Overflow) -> SiteBuilder {
    let policy = Policy::new().idle(minutes(10)).max_sessions(max_sessions).overflow(overflow);
    Site::builder().policy(policy).routes(routes)
}

fn is_signed_in(browser: &Browser) -> bool {
    browser.user_at("/private").is_some()
}

/// Signs `actor` in as alice in the browser.
fn impersonate_alice(browser: &Browser, actor: &str) {
    let response = browser.post(&format!("/impersonate/{actor}"), "alice");
    assert_eq!((response.status, response.body.as_str()), (200, actor), "{response:?}");
}

fn impersonated(site: &Site) -> Browser {
    let browser = site.signed_in("root");
    impersonate_alice(&browser, "root");
    browser
}

fn records(site: &Site, user: &str) -> Vec<SessionRecord> {
    block_on(site.registry.list(Query::all(Arc::from(user)))).unwrap()
}

#[test]
fn uncounted_login_evicts_no_session_and_takes_no_slot() {
    for overflow in [Overflow::Evict, Overflow::Refuse] {
        let site = limited(1, overflow).start();
        let (alice, uncounted) = (site.signed_in("alice"), site.browser());
        assert_eq!(uncounted.post("/uncounted", "alice").status, 200, "{overflow:?}");
        assert!(is_signed_in(&alice) && is_signed_in(&uncounted), "{overflow:?}");
        alice.post("/logout", "");
        let next = site.signed_in("alice");
        assert!(is_signed_in(&next) && is_signed_in(&uncounted), "{overflow:?}");
    }
}

#[test]
fn page_with_a_session_limit_neither_counts_nor_evicts_uncounted() {
    let site = limited(0, Overflow::Evict).start();
    let (alice, agent) = (site.signed_in("alice"), impersonated(&site));
    assert_eq!(agent.user_at("/vault").as_deref(), Some("alice"));
    assert!(is_signed_in(&alice), "the page of the impersonated session evicts none");
    assert_eq!(alice.user_at("/vault").as_deref(), Some("alice"));
    assert!(is_signed_in(&agent) && is_signed_in(&alice));
}

/// `end_all` of the actor does not end the impersonations.
#[test]
fn end_of_impersonations_ends_those_of_the_actor() {
    let site = limited(0, Overflow::Evict).start();
    let (alice, agent, other) = (site.signed_in("alice"), impersonated(&site), site.browser());
    impersonate_alice(&other, "auditor");
    let of_bob = site.browser();
    assert_eq!(of_bob.post("/impersonate/root", "bob").status, 200);
    assert_eq!(site.browser().post("/end-all", "root").body, "0");
    assert!(is_signed_in(&agent) && is_signed_in(&of_bob));
    site.take_events();
    assert_eq!(site.browser().post("/end-impersonations", "root").body, "2");
    let mut events = site.take_events();
    events.sort_unstable();
    assert_eq!(events, ["alice ended: revoked", "bob ended: revoked"]);
    let ended = records(&site, "bob").remove(0).ended;
    assert_eq!(ended.and_then(|ended| ended.cause).as_deref(), Some("dismissed"));
    assert!(!is_signed_in(&agent) && !is_signed_in(&of_bob));
    assert!(is_signed_in(&alice) && is_signed_in(&other));
    assert_eq!(site.browser().post("/end-impersonations", "root").body, "0");
}

/// There are more impersonations than one page of the list contains.
#[test]
fn end_of_impersonations_reads_all_pages() {
    let site = limited(0, Overflow::Evict).start();
    for n in 0..105 {
        let user = format!("user {n}");
        assert_eq!(site.browser().post("/impersonate/root", &user).status, 200);
    }
    assert_eq!(site.browser().post("/end-impersonations", "root").body, "105");
}

#[test]
fn hundred_and_first_uncounted_login_is_refused() {
    let site = limited(1, Overflow::Evict).start();
    for _ in 0..SessionLimit::MAX_UNCOUNTED {
        assert_eq!(site.browser().post("/uncounted", "alice").status, 200);
    }
    let refused = site.browser().post("/uncounted", "alice");
    assert_eq!((refused.status, refused.cookies().len()), (409, 0));
    assert_eq!(site.browser().post("/impersonate/root", "alice").status, 409);
    assert!(is_signed_in(&site.signed_in("alice")), "a counted login is not refused");
}

#[test]
fn impersonation_replaces_the_session_of_the_actor() {
    let site = limited(1, Overflow::Evict).start();
    let agent = site.signed_in("root");
    let before = agent.copy();
    impersonate_alice(&agent, "root");
    assert_eq!(agent.user_at("/private").as_deref(), Some("alice"));
    let response = before.fetch("/private");
    assert_eq!((response.status, response.header("x-session-expired")), (401, "logged_out"));
    agent.post("/logout", "");
    assert!(!is_signed_in(&agent), "returning is a login");
    agent.sign_in("root");
    assert_eq!(
        (agent.user_at("/private").as_deref(), &*agent.get("/actor").body),
        (Some("root"), "none")
    );
}

#[test]
fn actor_is_in_the_handle_the_variables_the_list_and_the_history() {
    let site = limited(1, Overflow::Evict).start();
    let (alice, agent) = (site.signed_in("alice"), impersonated(&site));
    let actors = || -> Vec<_> {
        records(&site, "alice")
            .iter()
            .map(|record| record.actor.as_deref().map(str::to_owned))
            .collect()
    };
    assert_eq!((&*agent.get("/actor").body, &*alice.get("/actor").body), ("root", "none"));
    assert_eq!(agent.get("/banner").json()["actor"], "root");
    assert_eq!(alice.get("/banner").json()["actor"], serde_json::Value::Null);
    assert!(actors().contains(&Some("root".to_owned())) && actors().contains(&None));
    agent.post("/logout", "");
    assert!(actors().contains(&Some("root".to_owned())), "the history names the actor");
    assert_eq!(agent.get("/actor").body, "none");
}

#[test]
fn revocations_end_impersonated_sessions() {
    let site = limited(1, Overflow::Evict).start();
    let (alice, agent) = (site.signed_in("alice"), impersonated(&site));
    assert_eq!(alice.post("/end-others", "").body, "1");
    assert_eq!(agent.fetch("/private").header("x-session-expired"), "revoked");
    assert!(is_signed_in(&alice));
    let agent = impersonated(&site);
    assert_eq!(site.browser().post("/end-all", "alice").body, "2");
    assert!(!is_signed_in(&alice) && !is_signed_in(&agent));
}

#[test]
fn identity_login_of_the_same_user_keeps_the_impersonated_session() {
    let site = limited(1, Overflow::Evict).start();
    let (alice, agent) = (site.signed_in("alice"), impersonated(&site));
    assert_eq!(agent.post("/login-again", "").status, 200);
    assert_eq!((&*agent.get("/actor").body, records(&site, "alice").len()), ("root", 2));
    assert!(is_signed_in(&alice));
}

#[test]
fn impersonated_session_expires_as_any_other() {
    let site = limited(1, Overflow::Evict).start();
    let agent = impersonated(&site);
    site.advance(minutes(10));
    assert_eq!(agent.fetch("/private").header("x-session-expired"), "idle");
    assert_eq!(agent.get("/actor").body, "none");
}

#[test]
fn actor_must_be_another_user() {
    let site = limited(1, Overflow::Evict).start();
    for (actor, user) in [("alice", "alice"), ("%20", "alice")] {
        let browser = site.signed_in("root");
        let response = browser.post(&format!("/impersonate/{actor}"), user);
        assert_eq!((response.status, response.cookies().len()), (400, 0), "{actor:?}");
        assert_eq!(browser.user_at("/private").as_deref(), Some("root"), "{actor:?}");
    }
    assert_eq!(records(&site, "alice").len(), 0);
}

#[test]
fn refused_impersonation_keeps_the_session_of_the_actor() {
    let site = limited(1, Overflow::Evict).start();
    for _ in 0..SessionLimit::MAX_UNCOUNTED {
        assert_eq!(site.browser().post("/uncounted", "alice").status, 200);
    }
    let agent = site.signed_in("root");
    assert_eq!(agent.post("/impersonate/root", "alice").status, 409);
    assert_eq!(agent.user_at("/private").as_deref(), Some("root"));
}

#[test]
fn login_with_password_ends_an_impersonation_in_the_same_browser() {
    let site = limited(1, Overflow::Evict).start();
    let agent = impersonated(&site);
    site.advance(seconds(1));
    assert_eq!(agent.post("/sign-in", "user=alice").status, 303);
    assert_eq!(agent.get("/actor").body, "none");
    let open = block_on(site.registry.list(Query::open("alice"))).unwrap();
    assert_eq!(open.iter().map(|record| record.uncounted).collect::<Vec<_>>(), [false]);
}

#[test]
fn user_policy_of_the_impersonated_user_applies() {
    let site = limited(1, Overflow::Evict)
        .customise(|builder| {
            builder.user_policy(|user| async move {
                match user.as_str() {
                    "alice" => PolicyPatch::new().idle(minutes(1)),
                    _ => PolicyPatch::new().max_sessions(Limit::Off),
                }
            })
        })
        .start();
    let agent = impersonated(&site);
    site.advance(minutes(1));
    assert!(!is_signed_in(&agent));
}

/// Returns the status for the page that the browser has opened.
fn status(browser: &Browser, page: &str) -> serde_json::Value {
    browser.fetch(&format!("/session/status?{page}")).json()
}

/// Opens a page. Returns the query that its script sends.
fn open_page(browser: &Browser) -> String {
    let markup = browser.get("/banner").json()["redirect_to_login_immediately"].to_string();
    let query = markup.split("/status?").nth(1).and_then(|rest| rest.split(['"', '\\']).next());
    query.unwrap().replace("&amp;", "&")
}

#[test]
fn impersonated_session_replaces_pages_of_the_user_and_the_reverse() {
    let site = limited(0, Overflow::Evict).start();
    let browser = site.signed_in("alice");
    let own = open_page(&browser);
    assert_eq!(status(&browser, &own)["state"], "active");
    impersonate_alice(&browser, "root");
    let of_root = open_page(&browser);
    assert_eq!(status(&browser, &own), serde_json::json!({ "state": "replaced" }));
    assert_eq!(status(&browser, &format!("{own}&locked=1"))["state"], "replaced");
    let form = format!("idle_for=0&{own}");
    let keep_alive = browser.request("POST", "/session/keep-alive").script().form(&form).send();
    assert_eq!(keep_alive.status, 409);
    assert_eq!(status(&browser, &of_root)["state"], "active");
    impersonate_alice(&browser, "root");
    assert_eq!(status(&browser, &of_root)["state"], "active", "the same actor");
    impersonate_alice(&browser, "auditor");
    assert_eq!(status(&browser, &of_root)["state"], "replaced");
    browser.post("/logout", "");
    browser.sign_in("alice");
    assert_eq!(status(&browser, &of_root)["state"], "replaced");
    assert_eq!(status(&browser, &own)["state"], "active");
}
