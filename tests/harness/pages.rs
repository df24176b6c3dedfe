//! Routes that every test site has.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Responder, web};
use serde::Deserialize;
use session_expire::{
    FlashMessages, PolicyPatch, SessionHandle, SessionVars, SignInError, hours, minutes,
    request::local_path,
};

/// Stops requests in a handler or middleware until the test releases them.
///
/// A [`Site`](crate::Site) has one in its application data.
#[derive(Clone, Default)]
pub struct Barrier {
    arrived: Arc<AtomicUsize>,
    is_open: Arc<AtomicBool>,
}

impl Barrier {
    /// Counts a request without stopping it.
    pub fn arrive(&self) {
        self.arrived.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a request, and stops it until the test opens the barrier.
    pub async fn wait(&self) {
        self.arrive();
        while !self.is_open.load(Ordering::SeqCst) {
            actix_web::rt::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Blocks the test until `n` requests have arrived since the start of the site.
    pub(crate) fn wait_for_arrivals(&self, n: usize) {
        let start = Instant::now();
        while self.arrived.load(Ordering::SeqCst) < n {
            assert!(start.elapsed() < Duration::from_secs(120), "fewer than {n} requests arrived");
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
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

async fn logout(user: Identity) -> HttpResponse {
    user.logout();
    see_other("/login")
}

async fn sign_out(session: SessionHandle) -> HttpResponse {
    session.sign_out();
    see_other("/login")
}

async fn show_messages(messages: FlashMessages) -> String {
    let texts = messages.into_iter().map(|message| format!("[{}] {message}", message.tags()));
    texts.collect::<Vec<_>>().join("|")
}

async fn push_message(messages: FlashMessages, text: String) -> HttpResponse {
    messages.success(text);
    see_other("/private")
}

/// Responds with the user's name. Without a login the extractor responds with 401.
async fn whoami(user: Identity) -> actix_web::Result<String> {
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

/// Waits at the barrier, then writes to the session.
async fn slow(
    user: Identity,
    session: Session,
    barrier: web::Data<Barrier>,
) -> actix_web::Result<String> {
    barrier.wait().await;
    session.insert("late", "written")?;
    Ok(user.id()?)
}

async fn slow_public(barrier: web::Data<Barrier>) -> &'static str {
    barrier.wait().await;
    "news"
}

async fn slow_visits(
    session: Session,
    barrier: web::Data<Barrier>,
) -> actix_web::Result<impl Responder> {
    barrier.wait().await;
    visits(session).await
}

async fn slow_logout(session: SessionHandle, barrier: web::Data<Barrier>) -> HttpResponse {
    barrier.wait().await;
    sign_out(session).await
}

async fn visits(session: Session) -> actix_web::Result<impl Responder> {
    let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(visits.to_string())
}

/// Adds the routes to an application. The slow ones need the [`Barrier`] of a
/// [`Site`](crate::Site).
pub fn configure(cfg: &mut web::ServiceConfig) {
    let laxer = || PolicyPatch::new().idle(hours(1));
    let stricter = || PolicyPatch::new().idle(minutes(1));
    cfg.route("/login", web::post().to(login))
        .route("/login", web::get().to(show_messages))
        .route("/logout", web::post().to(logout))
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
        .service(web::resource("/laxer").wrap(laxer()).route(web::to(whoami)))
        .service(web::resource("/laxer/vars").wrap(laxer()).route(web::get().to(vars)))
        .service(web::resource("/stricter").wrap(stricter()).route(web::to(whoami)))
        .service(
            web::resource("/poll")
                .wrap(PolicyPatch::new().passive(true))
                .route(web::get().to(whoami)),
        );
}
