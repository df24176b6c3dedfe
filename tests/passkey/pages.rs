//! Pages of the site.

use actix_identity::Identity;
use actix_web::{HttpResponse, Result, get, http::header::ContentType, post, web};
use serde::Deserialize;
use session_expire::{SessionHandle, session_policy};

use crate::passkeys::{Next, Passkeys};

/// Demo accounts. The password is the name.
const USERS: [&str; 2] = ["alice", "bob"];

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

#[derive(Deserialize)]
struct Password {
    password: String,
}

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service((home, login_form, login, settings, confirm_form, confirm, script));
}

#[get("/")]
async fn home(user: Identity) -> Result<HttpResponse> {
    let user = user.id()?;
    Ok(page(
        "Home",
        &format!("<p>Signed in as <span data-user>{user}</span>. <a href=/settings>Settings</a>"),
    ))
}

#[get("/login")]
async fn login_form() -> HttpResponse {
    let form = "<form method=post>
        <label>Name <input name=username autocomplete=username required></label>
        <label>Password <input name=password type=password autocomplete=current-password required></label>
        <button>Sign in</button></form>";
    page("Sign in", form)
}

#[post("/login")]
async fn login(form: web::Form<Login>, session: SessionHandle) -> Result<HttpResponse> {
    if !USERS.contains(&&*form.username) || form.password != form.username {
        return Ok(see_other("/login"));
    }
    session.sign_in(&form.username).await?;
    Ok(see_other("/"))
}

#[session_policy(fresh = "10m")]
#[get("/settings")]
async fn settings(_user: Identity) -> HttpResponse {
    page("Settings", "<button data-register>Add a passkey</button>")
}

#[get("/confirm")]
async fn confirm_form(user: Identity, passkeys: web::Data<Passkeys>) -> Result<HttpResponse> {
    let password = "<p>You signed in more than 10 minutes ago. Confirm that it is you.
        <form method=post>
        <label>Password <input name=password type=password autocomplete=current-password required></label>
        <button>Confirm</button></form>";
    let passkey = match passkeys.has_any(&user.id()?) {
        true => "<button data-confirm>Use a passkey</button>",
        false => "",
    };
    Ok(page("Confirm", &format!("{password}{passkey}")))
}

#[post("/confirm")]
async fn confirm(
    user: Identity,
    form: web::Form<Password>,
    next: web::Query<Next>,
    session: SessionHandle,
) -> Result<HttpResponse> {
    let user = user.id()?;
    if form.password != user {
        session.confirm_failed().await?;
        return Ok(HttpResponse::Unauthorized().body("wrong password"));
    }
    session.confirm(&user)?;
    Ok(see_other(next.path()))
}

#[get("/passkeys.js")]
async fn script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript").body(include_str!("passkeys.js"))
}

/// Returns a page. `body` must not contain text from a request.
fn page(title: &str, body: &str) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::html()).body(format!(
        "<!doctype html><html lang=en><title>{title}</title>
        <script src=/passkeys.js type=module></script><h1>{title}</h1>{body}<p role=status>"
    ))
}

fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header(("location", path)).finish()
}
