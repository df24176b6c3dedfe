//! Settings: a change of password, which signs the user out elsewhere.

use std::time::Duration;

use actix_web::{HttpResponse, Result, Scope, dev::HttpServiceFactory, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use session_expire::{FlashMessages, Limit, PolicyPatch, SessionHandle, SessionVars};

use super::{html, html_with, see_other};
use crate::{
    device::PASSWORD_CHANGED,
    format::{Limits, within},
    passwords::Passwords,
    users::{SignedIn, User},
};

/// Longest password in characters.
const MAX_PASSWORD_LEN: usize = 128;

/// The policy asks users to authenticate again who have not done so within `fresh`.
pub(super) fn service(fresh: Limit<Duration>) -> impl HttpServiceFactory {
    scope().wrap(PolicyPatch::new().fresh(fresh))
}

fn scope() -> Scope {
    web::scope("/settings")
        .service(web::resource("").get(form).head(form))
        .service(web::resource("/password").post(change_password))
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
    /// Why the password was not changed.
    failure: Option<&'static str>,
}

impl Settings {
    /// Returns when the page asks for the password again, such as `in 10 minutes`.
    fn asks_again(&self) -> Option<String> {
        self.session.seconds_until_confirm.0.map(|seconds| within(Duration::from_secs(seconds)))
    }
}

async fn form(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    html(&Settings { user: Some(user), session, messages, limits, failure: None })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewPassword {
    new_password: String,
}

impl NewPassword {
    /// Returns why the password cannot be used. Other sites also require eight characters or more.
    fn failure(&self) -> Option<&'static str> {
        match self.new_password.chars().count() {
            0 => Some("Enter a new password. The password was not changed."),
            1..=MAX_PASSWORD_LEN => None,
            _ => Some("Enter at most 128 characters. The password was not changed."),
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
    limits: Limits,
) -> Result<HttpResponse> {
    if let Some(failure) = input.failure() {
        let (user, failure) = (Some(user), Some(failure));
        let page = Settings { user, session, messages, limits, failure };
        return html_with(StatusCode::BAD_REQUEST, &page);
    }
    let stamp = Passwords::new_stamp();
    // This session stays signed in. An outage leaves the password unchanged.
    handle.set_stamp(&stamp).await?;
    passwords.change(user.account(), input.into_inner().new_password, stamp);
    messages.success(match end_others(&user, &handle).await? {
        0 => "Your password was changed.".to_owned(),
        1 => "Your password was changed. You were signed out on one other device.".to_owned(),
        many => format!("Your password was changed. You were signed out on {many} other devices."),
    });
    Ok(see_other("/settings"))
}

/// Ends the other sessions of `user`, and returns how many ended.
async fn end_others(user: &User, handle: &SessionHandle) -> Result<usize> {
    let Some(own) = handle.id() else { return Ok(0) };
    let sessions = handle.sessions().with_cause(PASSWORD_CHANGED);
    Ok(sessions.end_others(user.name, own).await?)
}
