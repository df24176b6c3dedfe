//! Settings: a change of the password, which signs the user out on all other devices, and the text
//! size.

use std::time::Duration;

use actix_web::{HttpResponse, Result, Scope, http::StatusCode, middleware::from_fn, web};
use askama::Template;
use serde::Deserialize;
use session_expire::{FlashMessages, Limit, PolicyPatch, SessionHandle, SessionVars};

use super::{confirm::refuse_actor, html, html_with, see_other};
use crate::{
    catalog::text,
    device::PASSWORD_CHANGED,
    format::time_left,
    language::Language,
    layout::Layout,
    passwords::Passwords,
    text_length::text_length,
    text_size::TextSize,
    users::{SignedIn, User},
};

/// Longest password, as [`text_length`] counts it.
const MAX_PASSWORD_LEN: usize = 128;

/// The page requires a fresh session. A change of the text size does not.
pub(super) fn service(fresh: Limit<Duration>) -> Scope {
    let patch = || PolicyPatch::new().fresh(fresh);
    // If the flag turns `fresh` off, `fresh` does not refuse an actor.
    let password = web::resource("/password").post(change_password).wrap(from_fn(refuse_actor));
    web::scope("/settings")
        .service(web::resource("").get(form).head(form).wrap(patch()))
        .service(password.wrap(patch()))
        .service(web::resource("/display").post(change_display))
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    /// Reason why the password was not changed.
    failure: Option<&'static str>,
}

impl Settings {
    /// Returns a sentence about the time until the page asks for the password again.
    fn asks_again(&self) -> Option<String> {
        let left = Duration::from_secs(self.session.seconds_until_confirm.0?);
        let time = time_left(left, self.layout.language);
        Some(self.layout.fill("It will ask again in {time}.", "time", time))
    }
}

async fn form(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    html(&Settings { user: Some(user), session, messages, layout, failure: None })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewPassword {
    new_password: String,
}

impl NewPassword {
    /// Returns the reason why the password cannot be used. A real site also requires a minimum
    /// length.
    fn failure(&self) -> Option<&'static str> {
        match text_length(&self.new_password) {
            0 => Some(text("Enter a new password. The password was not changed.")),
            1..=MAX_PASSWORD_LEN => None,
            _ => Some(text("Enter at most 128 characters. The password was not changed.")),
        }
    }
}

async fn change_password(
    user: SignedIn,
    input: web::Form<NewPassword>,
    passwords: web::Data<Passwords>,
    handle: SessionHandle,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    if let Some(failure) = input.failure() {
        let (user, failure) = (Some(user), Some(failure));
        let page = Settings { user, session, messages, layout, failure };
        return html_with(StatusCode::BAD_REQUEST, &page);
    }
    let language = layout.language;
    let stamp = Passwords::new_stamp();
    // Keeps this session signed in. It comes first, so that an outage leaves the password
    // unchanged.
    handle.set_stamp(&stamp).await?;
    passwords.change(user.account(), input.into_inner().new_password, stamp);
    let ended = end_others(&user, &handle).await?;
    messages.success(changed_text(ended, language));
    Ok(see_other("/settings"))
}

/// Returns the message about a password change that has ended `ended` other sessions.
fn changed_text(ended: usize, language: Language) -> String {
    match ended {
        0 => language.t("Your password was changed.").to_owned(),
        ended => language.plural(
            ended as u64,
            "Your password was changed. You were signed out on one other device.",
            "Your password was changed. You were signed out on {n} other devices.",
        ),
    }
}

#[derive(Deserialize)]
struct Display {
    text_size: TextSize,
}

async fn change_display(
    _user: SignedIn,
    input: web::Form<Display>,
    messages: FlashMessages,
    language: Language,
) -> Result<HttpResponse> {
    messages.success(language.t("Your text size was changed."));
    let mut response = see_other("/settings");
    response.add_cookie(&input.text_size.to_cookie())?;
    Ok(response)
}

/// Ends the other sessions of `user`, and returns their number.
async fn end_others(user: &User, handle: &SessionHandle) -> Result<usize> {
    let Some(own) = handle.id() else { return Ok(0) };
    let sessions = handle.sessions().with_cause(PASSWORD_CHANGED);
    Ok(sessions.end_others(user.name, own).await?)
}
