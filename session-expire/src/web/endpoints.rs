//! What pages ask of the server: status, keep-alive, logout, and the script.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::HttpServiceFactory,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web,
};
use serde::{Deserialize, Serialize};

use super::{
    asset::{Asset, SCRIPT, STYLE},
    caller::{Caller, Kind, is_cross_site},
    flash::{FlashMessage, Level},
    gate::Gate,
    middleware::SessionExpire,
    problem, reply,
    standing::Standing,
    vars::Seconds,
};
use crate::{
    claim,
    error::StackError,
    event::Event,
    facts::{Facts, Reason},
    judge::{Verdict, judge},
    limit::Limit,
    policy::{Policy, PolicyPatch},
    registry::{Query, record::Change},
};

/// The endpoints under `/session`. With another
/// [`endpoints_prefix`](crate::Builder::endpoints_prefix), use [`SessionExpire::endpoints`].
///
/// | request | answer |
/// |---|---|
/// | `GET status` | how the session stands; doesn't count as activity |
/// | `POST keep-alive` | the same, and notes that the person was active `idle_for` seconds ago |
/// | `POST logout` | signs out and sends the browser to the login page |
/// | `GET session.….js`, `session.….css` | the script and the style of [`SessionVars`](crate::SessionVars) |
///
/// A page names the login that it was made for (`login`, a public id). Where somebody else has signed
/// in since, it is told `{"state":"replaced"}`, and its keep-alive counts for nobody.
///
/// Status and keep-alive judge under the policy of the page that asks, which the page's markup
/// carries, signed; neither ends a session that a page under another policy may still accept. Requests that change something are refused when they come from another origin.
pub fn endpoints() -> impl HttpServiceFactory + 'static {
    under("/session")
}

impl SessionExpire {
    /// The [`endpoints`], under the configured prefix.
    pub fn endpoints(&self) -> impl HttpServiceFactory + 'static {
        under(&self.setup().prefix)
    }
}

fn under(prefix: &str) -> impl HttpServiceFactory + 'static {
    web::scope(prefix)
        .app_data(web::PayloadConfig::new(4_096))
        .route("/status", web::get().to(status))
        .route("/keep-alive", web::post().to(keep_alive))
        .route("/logout", web::post().to(logout))
        .service(file(SCRIPT))
        .service(file(STYLE))
        .wrap(PolicyPatch::new().passive(true))
}

/// It must not end a session that the page it belongs to would still let live.
fn file(asset: Asset) -> impl HttpServiceFactory + 'static {
    let path = asset.path();
    let send = move || {
        let Asset { kind, content, .. } = asset;
        async move {
            HttpResponse::Ok()
                .insert_header((CONTENT_TYPE, kind))
                .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
                .body(content)
        }
    };
    web::resource(path)
        .wrap(PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off))
        .route(web::get().to(send))
}

/// How a session stands, for scripts.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Status {
    Active {
        seconds_until_idle_end: Seconds,
        seconds_until_session_end: Seconds,
        warn_seconds: Seconds,
    },
    Expired {
        reason: &'static str,
        login_url: String,
    },
    /// Somebody else is signed in by now than on the page that asks.
    Replaced,
    Anonymous,
}

impl Status {
    fn of(verdict: Verdict, policy: &Policy) -> Self {
        match verdict {
            Verdict::Anonymous => Self::Anonymous,
            Verdict::Expired(reason) => {
                Self::Expired { reason: reason.as_str(), login_url: policy.login_url.to_string() }
            }
            Verdict::Active(deadlines) => Self::Active {
                seconds_until_idle_end: Seconds::of(deadlines.idle_end),
                seconds_until_session_end: Seconds::of(deadlines.session_end),
                warn_seconds: Seconds::of(policy.warning().map_or(Limit::Off, Limit::At)),
            },
        }
    }

    fn respond(&self, mut with: actix_web::HttpResponseBuilder) -> HttpResponse {
        with.insert_header((CACHE_CONTROL, "no-store")).json(self)
    }
}

/// What a page says of itself.
#[derive(Deserialize, Default)]
struct Asking {
    /// The limits that it was judged under, signed.
    policy: Option<String>,
    /// The public id of the login that it was made for.
    login: Option<String>,
}

async fn status(
    req: HttpRequest,
    asking: Option<web::Query<Asking>>,
) -> Result<HttpResponse, StackError> {
    let gate = Gate::of(&req)?;
    gate.set_asking();
    if matches!(*gate.standing(), Standing::Unreachable) {
        return Ok(problem::unavailable());
    }
    let asking = asking.map(web::Query::into_inner).unwrap_or_default();
    judge_as_page(&gate, &asking, &req)?;
    if is_replaced(&gate, &asking).await {
        return Ok(Status::Replaced.respond(HttpResponse::Ok()));
    }
    Ok(Status::of(gate.verdict(), &gate.policy()).respond(HttpResponse::Ok()))
}

/// Whether the page was made for another user. A new login of the same user may go on with the page;
/// to know that takes a look into the log, but only here, where the logins differ.
async fn is_replaced(gate: &Gate, asking: &Asking) -> bool {
    let (Verdict::Active(_), Some((_, record))) = (gate.verdict(), gate.login()) else {
        return false;
    };
    let Some(login) = asking.login.as_deref().filter(|login| *login != record.id.as_str()) else {
        return false;
    };
    let all = Query { owner: Some(Arc::clone(&record.owner)), ..Query::default() };
    match gate.setup.registry.find(all).await {
        Ok(records) => records.iter().all(|record| record.id.as_str() != login),
        Err(error) => {
            gate.setup.registry_failed(&error);
            true
        }
    }
}

/// Judges under the limits of the page that asks; without a valid claim, under the app's.
fn judge_as_page(gate: &Gate, asking: &Asking, req: &HttpRequest) -> Result<(), StackError> {
    let seal = gate.login().map(|(_, record)| record.seal);
    let patch =
        asking.policy.as_deref().zip(seal).and_then(|(claim, seal)| claim::redeem(claim, &seal));
    patch.map_or(Ok(()), |patch| gate.refine(&patch, req))
}

/// The body of a keep-alive, as a form or as JSON.
#[derive(Deserialize, Default)]
struct Activity {
    /// For how many seconds the person has done nothing.
    #[serde(default)]
    idle_for: f64,
    policy: Option<String>,
    login: Option<String>,
}

impl Activity {
    fn parse(req: &HttpRequest, body: &[u8]) -> Option<(Duration, Asking)> {
        let is_json = req
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        let activity: Self = match (body, is_json) {
            ([], _) => Self::default(),
            (json, true) => serde_json::from_slice(json).ok()?,
            (form, false) => {
                web::Query::<Self>::from_query(std::str::from_utf8(form).ok()?).ok()?.into_inner()
            }
        };
        let idle_for = match activity.idle_for {
            // Further back than any session; a Duration can't hold it.
            long if long.is_finite() && long > 1e12 => Duration::from_secs(1_000_000_000_000),
            seconds => Duration::try_from_secs_f64(seconds).ok()?,
        };
        Some((idle_for, Asking { policy: activity.policy, login: activity.login }))
    }
}

async fn keep_alive(req: HttpRequest, body: web::Bytes) -> Result<HttpResponse, StackError> {
    let gate = Gate::of(&req)?;
    gate.set_asking();
    if is_cross_site(&req) {
        return Ok(problem::cross_site());
    }
    let Some((idle_for, asking)) = Activity::parse(&req, &body) else {
        return Ok(problem::bad_request(
            "idle_for must be a number of seconds, zero or more, such as 12.5",
        ));
    };
    if matches!(*gate.standing(), Standing::Unreachable) {
        return Ok(problem::unavailable());
    }
    judge_as_page(&gate, &asking, &req)?;
    if is_replaced(&gate, &asking).await {
        return Ok(Status::Replaced.respond(HttpResponse::Conflict()));
    }
    Ok(match note_activity(&gate, idle_for).await {
        Ok(verdict @ Verdict::Active(_)) => {
            Status::of(verdict, &gate.policy()).respond(HttpResponse::Ok())
        }
        Ok(verdict) => Status::of(verdict, &gate.policy()).respond(HttpResponse::Unauthorized()),
        Err(error) => {
            gate.setup.registry_failed(&error);
            problem::unavailable()
        }
    })
}

/// Notes that the person was active `idle_for` ago, and says what the registry makes of it: somebody
/// else may have ended the session meanwhile.
async fn note_activity(
    gate: &Gate,
    idle_for: Duration,
) -> Result<Verdict, crate::error::RegistryError> {
    let (Verdict::Active(_), Some((key, record))) = (gate.verdict(), gate.login()) else {
        return Ok(gate.verdict());
    };
    let registry = &gate.setup.registry;
    let change = Change { seen: gate.now.minus(idle_for), now: gate.now, patch: None };
    registry.touch(key, change).await?;
    let facts = registry.load(key).await?.map_or(Facts::Unknown, |loaded| loaded.record.facts());
    let verdict = judge(&facts, &gate.policy(), gate.now);
    if matches!(verdict, Verdict::Active(_)) {
        gate.setup.tell(&Event::Renewed { owner: &record.owner, id: record.id });
    }
    Ok(verdict)
}

async fn logout(req: HttpRequest) -> Result<HttpResponse, StackError> {
    if is_cross_site(&req) {
        return Ok(problem::cross_site());
    }
    let gate = Gate::of(&req)?;
    gate.set_leaving();
    gate.ledger.purge();
    let (policy, caller) = (gate.policy(), Caller::of(&req));
    gate.push(
        FlashMessage::new(Level::Info, gate.text(Reason::LoggedOut, &caller))
            .with_tags("logged_out"),
    );
    Ok(match caller.kind {
        Kind::Navigation => reply::see_other(&policy.login_url),
        Kind::Htmx => reply::hx_redirect(&policy.login_url),
        Kind::Program | Kind::Resource => Status::Anonymous.respond(HttpResponse::Ok()),
    })
}
