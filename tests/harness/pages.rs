//! The pages that every test site has.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Responder, web};
use serde::Deserialize;
use session_expire::{
    FlashMessages, PolicyPatch, SessionHandle, SessionVars, SignInError, hours, local_path, minutes,
};

/// Holds requests to `/slow` back until they may go on.
#[derive(Clone, Default)]
pub(crate) struct Brake {
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) released: Arc<AtomicBool>,
}

impl Brake {
    async fn hold(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while !self.released.load(Ordering::SeqCst) {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

#[derive(Deserialize)]
struct LoginForm {
    user: String,
    next: Option<String>,
}

fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header(("location", path)).finish()
}

async fn login(req: HttpRequest, form: web::Form<LoginForm>) -> HttpResponse {
    if form.user == "wrong" {
        return HttpResponse::Unauthorized().body("wrong password");
    }
    match Identity::login(&req.extensions(), form.user.clone()) {
        Ok(_) => see_other(form.next.as_deref().and_then(local_path).unwrap_or("/private")),
        Err(error) => HttpResponse::from_error(error),
    }
}

async fn sign_in(
    session: SessionHandle,
    form: web::Form<LoginForm>,
) -> Result<HttpResponse, SignInError> {
    session.sign_in(form.user.clone()).await?;
    Ok(see_other("/private"))
}

async fn login_page(messages: FlashMessages) -> String {
    joined(&messages)
}

async fn logout(user: Identity) -> HttpResponse {
    user.logout();
    see_other("/login")
}

async fn logout_with_message(user: Option<Identity>, messages: FlashMessages) -> HttpResponse {
    if let Some(user) = user {
        user.logout();
    }
    messages.info("Bye.");
    see_other("/login")
}

async fn sign_out(session: SessionHandle) -> HttpResponse {
    session.sign_out();
    see_other("/login")
}

fn joined(messages: &FlashMessages) -> String {
    let texts = messages.into_iter().map(|message| format!("[{}] {message}", message.tags()));
    texts.collect::<Vec<_>>().join("|")
}

async fn show_messages(messages: FlashMessages) -> String {
    joined(&messages)
}

async fn push_message(messages: FlashMessages, text: String) -> HttpResponse {
    messages.success(text);
    see_other("/private")
}

/// Answers the name of the user, and 401 to nobody.
pub(crate) async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

async fn public(user: Option<Identity>) -> String {
    user.and_then(|user| user.id().ok()).unwrap_or_else(|| "anonymous".to_owned())
}

async fn vars(session: SessionVars) -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({
        "sessionEnd": session.seconds_until_session_end,
        "idleEnd": session.seconds_until_idle_end,
        "script": session.redirect_to_login_immediately.to_string(),
        "dialog": session.warning_dialog.to_string(),
    }))
}

/// Waits until the test lets it go on, then writes to the session as a slow handler does.
async fn slow(
    user: Identity,
    session: Session,
    brake: web::Data<Brake>,
) -> actix_web::Result<String> {
    brake.hold().await;
    session.insert("late", "written")?;
    Ok(user.id()?)
}

/// The same for everybody, and without a trace.
async fn slow_public(brake: web::Data<Brake>) -> &'static str {
    brake.hold().await;
    "news"
}

/// The same for an anonymous visitor.
async fn slow_visits(
    session: Session,
    brake: web::Data<Brake>,
) -> actix_web::Result<impl Responder> {
    brake.hold().await;
    visits(session).await
}

/// Signs out once the test lets it go on.
async fn slow_logout(session: SessionHandle, brake: web::Data<Brake>) -> HttpResponse {
    brake.hold().await;
    sign_out(session).await
}

async fn visits(session: Session) -> actix_web::Result<impl Responder> {
    let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(visits.to_string())
}

/// Adds them to a site. Those that are slow need a [`Site`](crate::Site).
pub fn configure(cfg: &mut web::ServiceConfig) {
    let looser = || PolicyPatch::new().idle(hours(1));
    let stricter = || PolicyPatch::new().idle(minutes(1));
    cfg.route("/login", web::post().to(login))
        .route("/login", web::get().to(login_page))
        .route("/logout", web::post().to(logout))
        .route("/logout-with-message", web::post().to(logout_with_message))
        .route("/sign-in", web::post().to(sign_in))
        .route("/sign-out", web::post().to(sign_out))
        .route("/messages", web::get().to(show_messages))
        .route("/push", web::post().to(push_message))
        .route("/public", web::get().to(public))
        .route("/vars", web::to(vars))
        .route("/slow", web::get().to(slow))
        .route("/slow-public", web::get().to(slow_public))
        .route("/slow-visits", web::get().to(slow_visits))
        .route("/slow-logout", web::post().to(slow_logout))
        .route("/visits", web::get().to(visits))
        .route("/private", web::to(whoami))
        .service(web::resource("/looser").wrap(looser()).route(web::to(whoami)))
        .service(web::resource("/looser/vars").wrap(looser()).route(web::get().to(vars)))
        .service(web::resource("/stricter").wrap(stricter()).route(web::to(whoami)))
        .service(
            web::resource("/poll")
                .wrap(PolicyPatch::new().passive(true))
                .route(web::get().to(whoami)),
        );
}
