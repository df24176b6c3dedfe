//! Isolation of users who share a browser.

use std::collections::HashSet;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use session_expire::{FlashMessages, PolicyPatch, SessionHandle, hours, minutes};
use session_expire_tests::Site;

#[test]
fn next_user_sees_no_data_of_the_former_user() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    (0..3).for_each(|_| drop(browser.get("/visits")));
    browser.sign_in("bob"); // without a sign-out
    assert_eq!(browser.get("/visits").body, "1");
}

#[test]
fn login_over_other_user_keeps_its_own_writes() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/enter", web::post().to(enter)).route("/hall", web::get().to(hall));
        })
        .start();
    for how in ["identity", "handle"] {
        let browser = site.signed_in("alice");
        browser.post("/push", "for alice");
        browser.post("/enter", how);
        assert_eq!(browser.get("/hall").body, r#"bob, "bob's", None"#, "{how}");
        assert_eq!(browser.read_messages(), "[success] welcome, bob", "{how}");
    }
}

/// Writes before and after the login.
async fn enter(
    req: HttpRequest,
    session: Session,
    handle: SessionHandle,
    messages: FlashMessages,
    how: String,
) -> HttpResponse {
    session.insert("hat", "bob's").unwrap();
    match how.as_str() {
        "handle" => drop(handle.sign_in("bob").await.unwrap()),
        _ => drop(Identity::login(&req.extensions(), "bob".to_owned()).unwrap()),
    }
    messages.success("welcome, bob");
    HttpResponse::Ok().finish()
}

async fn hall(user: Identity, session: Session) -> String {
    let text = |key| session.get::<String>(key).unwrap();
    format!("{}, {:?}, {:?}", user.id().unwrap(), text("hat").unwrap_or_default(), text("visits"))
}

#[test]
fn same_user_signing_in_again_keeps_the_data() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    (0..3).for_each(|_| drop(browser.get("/visits")));
    browser.post("/push", "for alice");
    browser.sign_in("alice");
    assert_eq!(browser.get("/visits").body, "4");
    assert_eq!(browser.read_messages(), "[success] for alice");
}

async fn renew(session: Session) -> &'static str {
    session.renew();
    "renewed"
}

#[test]
fn each_login_and_each_renewal_has_a_key_of_its_own() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/renew", web::post().to(renew));
        })
        .start();
    let browser = site.browser();
    let mut cookies = HashSet::new();
    for (path, body) in
        [("/login", "user=alice"), ("/login", "user=alice"), ("/login", "user=bob"), ("/renew", "")]
    {
        let old = browser.copy();
        browser.post(path, body);
        assert!(cookies.insert(browser.cookie()), "{path} {body}: a key twice");
        assert_eq!(old.user_at("/private"), None, "{path} {body}: the old key is void");
        assert!(browser.user_at("/private").is_some(), "{path} {body}");
    }
}

#[test]
fn message_is_shown_to_no_other_user() {
    for expires in [true, false] {
        let site = Site::start();
        let browser = site.signed_in("alice");
        browser.post("/push", "You sent 9,000 to Carol");
        if expires {
            site.advance(hours(1));
            let messages = browser.copy().read_messages();
            assert!(!messages.contains("Carol"), "{messages}");
        }
        browser.sign_in("bob");
        assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
        assert!(!browser.read_messages().contains("Carol"), "expires: {expires}");
    }
}

#[test]
fn login_over_expired_session_drops_its_messages() {
    for user in ["alice", "bob"] {
        for path in ["/login", "/sign-in"] {
            let site = Site::start();
            let browser = site.signed_in("alice");
            browser.post("/push", "You sent 9,000 to Carol");
            site.advance(minutes(10));
            browser.post(path, &format!("user={user}"));
            assert_eq!(browser.user_at("/private").as_deref(), Some(user));
            assert_eq!(browser.read_messages(), "", "{path} {user}");
        }
    }
}

/// An entry may be allocated where an older one was freed. A comparison by address would drop it.
#[test]
fn login_keeps_its_writes_at_any_address() {
    for over in ["clear", "overwrite"] {
        let site = Site::builder().routes(careful_logins).start();
        for length in (0..4).chain(100..140) {
            let browser = site.signed_in("alice");
            browser.post("/note", &"x".repeat(length));
            browser.post("/careful", over);
            assert_eq!(browser.get("/second-factor").body, "Some(true)", "{over} {length}");
        }
    }
}

#[test]
fn write_after_sign_in_is_kept_if_equal_to_old_entry() {
    for (wait, page) in [(1, "/in"), (15, "/lax/in")] {
        let site = Site::builder().routes(careful_logins).start();
        let browser = site.signed_in("alice");
        browser.post("/flag", "true");
        site.advance(minutes(wait));
        browser.post(page, "");
        assert_eq!(browser.get("/second-factor").body, "Some(true)", "{page}");
        assert_eq!(browser.read_messages(), "[success] welcome", "{page}");
    }
}

async fn sign_in_and_flag(
    session: Session,
    handle: SessionHandle,
    messages: FlashMessages,
) -> HttpResponse {
    handle.sign_in("bob").await.unwrap();
    session.insert("needs_second_factor", true).unwrap();
    messages.success("welcome");
    HttpResponse::Ok().finish()
}

async fn flag(session: Session, flag: String) -> HttpResponse {
    if flag == "true" {
        session.insert("needs_second_factor", true).unwrap();
    }
    HttpResponse::Ok().finish()
}

fn careful_logins(cfg: &mut web::ServiceConfig) {
    let lax = |path| web::resource(path).wrap(PolicyPatch::new().idle(hours(1)));
    cfg.service(lax("/lax/careful").route(web::post().to(careful)))
        .service(lax("/lax/in").route(web::post().to(sign_in_and_flag)))
        .route("/in", web::post().to(sign_in_and_flag))
        .route("/flag", web::post().to(flag))
        .route("/careful", web::post().to(careful))
        .route("/note", web::post().to(note))
        .route("/second-factor", web::get().to(second_factor));
}

async fn note(session: Session, text: String) -> HttpResponse {
    session.insert("note", text).unwrap();
    HttpResponse::Ok().finish()
}

async fn careful(req: HttpRequest, session: Session, how: String) -> HttpResponse {
    match how.as_str() {
        "clear" => session.clear(),
        _ => session.insert("note", "").unwrap(),
    }
    session.insert("needs_second_factor", true).unwrap();
    Identity::login(&req.extensions(), "bob".to_owned()).unwrap();
    HttpResponse::Ok().finish()
}

async fn second_factor(session: Session) -> String {
    format!("{:?}", session.get::<bool>("needs_second_factor").unwrap())
}

/// Changes an entry of the former user, then signs in another user.
async fn merge_cart(req: HttpRequest, session: Session, item: String) -> HttpResponse {
    let mut cart: Vec<String> = session.get("cart").unwrap().unwrap_or_default();
    cart.push(item);
    session.insert("cart", cart).unwrap();
    Identity::login(&req.extensions(), "bob".to_owned()).unwrap();
    HttpResponse::Ok().finish()
}

async fn add_to_cart(session: Session, item: String) -> HttpResponse {
    session.insert("cart", vec![item]).unwrap();
    HttpResponse::Ok().finish()
}

async fn cart(session: Session) -> String {
    session.get::<Vec<String>>("cart").unwrap().unwrap_or_default().join(",")
}

#[test]
fn entry_changed_before_a_login_is_dropped() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/merge-cart", web::post().to(merge_cart))
                .route("/add-to-cart", web::post().to(add_to_cart))
                .route("/cart", web::get().to(cart));
        })
        .start();
    let browser = site.signed_in("alice");
    browser.request("POST", "/add-to-cart").json("gold").send();
    browser.request("POST", "/merge-cart").json("silver").send();
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
    assert_eq!(browser.get("/cart").body, "");
}

/// Changes the user as actix-identity does if a logout deletes only its own entries.
async fn replace_user(req: HttpRequest, session: Session) -> HttpResponse {
    session.remove("actix_identity.user_id");
    Identity::login(&req.extensions(), "bobby".to_owned()).unwrap();
    HttpResponse::Ok().finish()
}

#[test]
fn user_id_of_the_same_length_is_another_user() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/replace-user", web::get().to(replace_user));
        })
        .start();
    let browser = site.signed_in("alice");
    browser.get("/replace-user");
    assert_eq!(browser.user_at("/private").as_deref(), Some("bobby"));
    assert_eq!(site.take_events()[1..], ["alice ended: logged_out", "bobby signed in"]);
}
