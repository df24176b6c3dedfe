//! Editor: a long form with a laxer policy.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::{HttpResponse, Resource, Result, web};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    AtEnd, FlashMessages, Limit, PolicyPatch, SessionVars, hours, session_policy,
};

use super::{html, see_other};
use crate::{
    layout::Layout,
    users::{SignedIn, User},
};

/// Draft of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
struct Draft {
    title: String,
    audience: String,
    summary: String,
    body: String,
}

/// Drafts of all users, in memory.
#[derive(Debug, Default)]
pub(crate) struct Drafts(Mutex<HashMap<&'static str, Draft>>);

impl Drafts {
    fn get(&self, user: &User) -> Draft {
        self.with(|drafts| drafts.get(user.name).cloned().unwrap_or_default())
    }

    fn save(&self, user: &User, draft: Draft) {
        self.with(|drafts| drafts.insert(user.name, draft));
    }

    fn with<T>(&self, action: impl FnOnce(&mut HashMap<&'static str, Draft>) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The attribute on this function sets a laxer policy for the resource. An open page locks at the
/// idle timeout, so that the user does not lose the text.
#[session_policy(idle = "1h", at_end = "lock")]
fn service() -> Resource {
    resource()
}

fn resource() -> Resource {
    web::resource("/editor").get(form).head(form).post(save)
}

pub(super) fn configure(
    config: &mut web::ServiceConfig,
    idle: Option<Limit<Duration>>,
    at_end: AtEnd,
) {
    match (idle, at_end) {
        (None, AtEnd::Lock) => config.service(service()),
        _ => config.service(resource().wrap(patch(idle, at_end))),
    };
}

/// Returns the patch of the attribute, with the values of the flags.
pub(super) fn patch(idle: Option<Limit<Duration>>, at_end: AtEnd) -> PolicyPatch {
    PolicyPatch::new().idle(idle.unwrap_or(Limit::At(hours(1)))).at_end(at_end)
}

#[derive(Template)]
#[template(path = "editor.html")]
struct Editor {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    draft: Draft,
    audiences: [&'static str; 3],
}

const AUDIENCES: [&str; 3] = ["Everyone", "My team", "Only me"];

async fn form(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    drafts: web::Data<Drafts>,
) -> Result<HttpResponse> {
    let draft = drafts.get(&user);
    html(&Editor { user: Some(user), session, messages, layout, draft, audiences: AUDIENCES })
}

async fn save(
    user: SignedIn,
    form: web::Form<Draft>,
    messages: FlashMessages,
    drafts: web::Data<Drafts>,
) -> Result<HttpResponse> {
    drafts.save(&user, form.into_inner());
    messages.success("Your draft is saved.");
    Ok(see_other("/editor"))
}
