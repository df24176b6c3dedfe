//! Causes of ended sessions: the application's words, and their texts.

use actix_session::Session;
use actix_web::{HttpResponse, web};
use session_expire::{Policy, SessionExpireBuilder};
use session_expire_tests::{Browser, Site, block_on};

fn routes(cfg: &mut web::ServiceConfig) {
    let renew = |session: Session| async move {
        session.renew();
        HttpResponse::Ok().finish()
    };
    cfg.route("/renew", web::post().to(renew));
}

fn site(customise: fn(SessionExpireBuilder) -> SessionExpireBuilder) -> Site {
    Site::builder().routes(routes).customise(customise).start()
}

/// Returns a browser of `alice` whose session has ended with `cause`.
fn ended(site: &Site, cause: &'static str) -> Browser {
    let alice = site.signed_in("alice");
    block_on(site.expire.sessions().with_cause(cause).end_all("alice")).unwrap();
    alice
}

/// Asserts that each response of the site names the cause, and that the texts contain `word`.
fn assert_cause(alice: &Browser, cause: &str, word: &str) {
    let status = alice.fetch("/session/status").json();
    assert_eq!((&status["reason"], &status["cause"]), (&"revoked".into(), &cause.into()));
    let keep_alive = alice.request("POST", "/session/keep-alive").script().send();
    assert_eq!((keep_alive.status, &keep_alive.json()["cause"]), (401, &cause.into()));
    let problem = alice.fetch("/private").json();
    assert_eq!((&problem["reason"], &problem["cause"]), (&"revoked".into(), &cause.into()));
    assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    assert_eq!(alice.get("/private").status, 303);
    let login_page = alice.get("/login").body;
    assert!(login_page.starts_with("[warning revoked] "), "{login_page}");
    assert!(login_page.contains(word) && !login_page.contains("device"), "{login_page}");
    assert_eq!(alice.get("/login").body, "", "shown once");
}

#[test]
fn common_causes_have_texts() {
    for (cause, word) in [
        ("administrator", "administrator"),
        ("password_changed", "password"),
        ("too_many_attempts", "attempts"),
    ] {
        assert_cause(&ended(&Site::start(), cause), cause, word);
    }
}

#[test]
fn text_of_the_application_is_shown() {
    let site = site(|builder| {
        let builder = builder.cause_text("account_closed", "Your account was closed.");
        builder.cause_text("administrator", "The help desk has signed you out.")
    });
    assert_cause(&ended(&site, "account_closed"), "account_closed", "Your account was closed.");
    assert_cause(&ended(&site, "administrator"), "administrator", "The help desk");
}

#[test]
fn cause_of_a_renewed_session_is_shown() {
    let site = site(|builder| builder);
    let alice = site.signed_in("alice");
    assert_eq!(alice.post("/renew", "").status, 200);
    block_on(site.expire.sessions().with_cause("password_changed").end_all("alice")).unwrap();
    assert_cause(&alice, "password_changed", "password");
}

#[test]
fn cause_of_an_end_of_everyone_is_shown() {
    let site = Site::start();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    block_on(site.expire.sessions().with_cause("administrator").end_everyone()).unwrap();
    for browser in [alice, bob] {
        assert_cause(&browser, "administrator", "administrator");
    }
}

#[test]
fn text_follows_cause_and_language() {
    let site = site(|builder| {
        builder.cause_text("moved", "The site has moved.").ended_texts(|notice| {
            match (notice.cause, notice.languages.best_of(&["en", "de"])) {
                (Some("moved"), Some("de")) => "Die Seite ist umgezogen.".to_owned(),
                _ => notice.default_text(),
            }
        })
    });
    for (language, text) in [
        ("de", "Die Seite ist umgezogen."),
        ("en", "The site has moved."),
        ("", "The site has moved."),
    ] {
        let alice = ended(&site, "moved");
        let request = alice.request("GET", "/private").script().header("accept-language", language);
        assert_eq!(request.send().json()["detail"], text, "{language}");
    }
}

#[test]
fn message_of_the_policy_takes_precedence() {
    let policy = Policy::new().message("Please sign in again.");
    let site =
        Site::builder().policy(policy).customise(|b| b.cause_text("moved", "Moved.")).start();
    let problem = ended(&site, "moved").fetch("/private").json();
    assert_eq!(
        (&problem["detail"], &problem["cause"]),
        (&"Please sign in again.".into(), &"moved".into())
    );
}

#[test]
fn empty_text_shows_no_message() {
    let site = site(|builder| builder.cause_text("silent", ""));
    let alice = ended(&site, "silent");
    assert_eq!(alice.get("/private").status, 303);
    assert_eq!(alice.get("/login").body, "");
}

#[test]
fn history_names_the_cause() {
    let site = site(|builder| builder);
    let alice = site.signed_in("alice");
    alice.post("/renew", "");
    let sessions = site.expire.sessions().with_cause("administrator");
    block_on(sessions.end_all("alice")).unwrap();
    drop(site.signed_in("alice"));
    block_on(sessions.end_everyone()).unwrap();
    let history = block_on(sessions.list_history("alice")).unwrap();
    let causes = history.into_iter().map(|record| record.ended.and_then(|ended| ended.cause));
    assert_eq!(
        causes.collect::<Vec<_>>(),
        [Some("administrator".into()), Some("administrator".into())]
    );
}
