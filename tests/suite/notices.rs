//! Messages to the other sessions of a user.

use actix_identity::Identity;
use actix_web::{Result, web};
use session_expire::{
    SessionHandle, SignInError,
    page::{FlashLevel, FlashMessage},
    seconds,
    sign_in::SignInOptions,
};
use session_expire_tests::{Site, SiteBuilder};

async fn notify(user: Identity, session: SessionHandle) -> Result<String> {
    let (user, Some(own)) = (user.id()?, session.id()) else { return Ok(String::new()) };
    let notice = FlashMessage::new(FlashLevel::Info, "new sign-in");
    Ok(session.sessions().notify_others(&user, own, notice).await?.to_string())
}

async fn impersonate(session: SessionHandle) -> Result<&'static str, SignInError> {
    let options = SignInOptions::new().impersonated_by("root");
    session.sign_in_with("alice", options).await.map(|_| "alice")
}

fn site() -> SiteBuilder {
    Site::builder().routes(|cfg| {
        cfg.route("/notify", web::post().to(notify));
        cfg.route("/impersonate", web::post().to(impersonate));
    })
}

#[test]
fn other_sessions_of_the_user_show_the_message_once() {
    let site = site().start();
    let [here, there, elsewhere] = [(); 3].map(|()| site.signed_in("alice"));
    let (bob, agent) = (site.signed_in("bob"), site.signed_in("root"));
    assert_eq!(agent.post("/impersonate", "").body, "alice");
    assert_eq!(here.post("/notify", "").body, "2");
    for other in [&there, &elsewhere] {
        assert_eq!(other.read_messages(), "[info] new sign-in");
        assert_eq!(other.read_messages(), "");
    }
    for browser in [&here, &bob, &agent] {
        assert_eq!(browser.read_messages(), "");
    }
}

#[test]
fn most_recently_used_sessions_show_the_message() {
    let site = site().start();
    let first = site.signed_in("alice");
    let others = [(); 20].map(|()| {
        site.advance(seconds(1));
        site.signed_in("alice")
    });
    site.advance(seconds(60));
    first.get("/private");
    assert_eq!(site.signed_in("alice").post("/notify", "").body, "20");
    assert_eq!(first.read_messages(), "[info] new sign-in");
    assert_eq!(others[0].read_messages(), "");
    assert_eq!(others[1].read_messages(), "[info] new sign-in");
}

#[test]
fn message_reaches_sessions_with_sealed_data() {
    let site = site().customise(|builder| builder.seal_data(true)).start();
    let [here, there] = [(); 2].map(|()| site.signed_in("alice"));
    assert_eq!(here.post("/notify", "").body, "1");
    assert_eq!(there.read_messages(), "[info] new sign-in");
}

#[test]
fn failed_update_leaves_out_one_session() {
    let site = site().start();
    let [here, _there, _elsewhere] = [(); 3].map(|()| site.signed_in("alice"));
    site.registry.fail_next("update");
    assert_eq!(here.post("/notify", "").body, "1");
}
