//! Editor: a long form with a laxer policy.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::{HttpResponse, Resource, Result, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    AtEnd, FlashMessages, Limit, PolicyPatch, SessionVars, hours, session_policy,
};

use super::{html, html_with, see_other};
use crate::{
    catalog::text,
    language::Language,
    layout::Layout,
    text_length::text_length,
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

/// Longest texts, as [`text_length`] counts them.
const MAX_TITLE: usize = 200;
const MAX_SUMMARY: usize = 1_000;
const MAX_BODY: usize = 20_000;

impl Draft {
    /// Returns the reasons why the draft cannot be saved.
    fn failures(&self, language: Language) -> Failures {
        Failures {
            title: too_long(&self.title, MAX_TITLE, language),
            summary: too_long(&self.summary, MAX_SUMMARY, language),
            body: too_long(&self.body, MAX_BODY, language),
        }
    }
}

/// Reasons why a draft cannot be saved, by field.
#[derive(Default)]
struct Failures {
    title: Option<String>,
    summary: Option<String>,
    body: Option<String>,
}

impl Failures {
    fn is_empty(&self) -> bool {
        [&self.title, &self.summary, &self.body].iter().all(|failure| failure.is_none())
    }
}

fn too_long(content: &str, limit: usize, language: Language) -> Option<String> {
    let length = text_length(content);
    let english = text("Shorten this text to {limit} characters. It has {length} now.");
    (length > limit).then(|| language.fill(english, [("limit", &limit), ("length", &length)]))
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
    failures: Failures,
}

const AUDIENCES: [&str; 3] = [text("Everyone"), text("My team"), text("Only me")];

async fn form(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    drafts: web::Data<Drafts>,
) -> Result<HttpResponse> {
    let draft = drafts.get(&user);
    let (user, failures) = (Some(user), Failures::default());
    html(&Editor { user, session, messages, layout, draft, audiences: AUDIENCES, failures })
}

/// Saves the draft. If a text is too long, returns the form with all texts, and saves nothing.
async fn save(
    user: SignedIn,
    form: web::Form<Draft>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    drafts: web::Data<Drafts>,
) -> Result<HttpResponse> {
    let (draft, language) = (form.into_inner(), layout.language);
    let failures = draft.failures(language);
    if !failures.is_empty() {
        let (user, audiences) = (Some(user), AUDIENCES);
        let page = Editor { user, session, messages, layout, draft, audiences, failures };
        return html_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    drafts.save(&user, draft);
    messages.success(language.t("Your draft is saved."));
    Ok(see_other("/editor"))
}
