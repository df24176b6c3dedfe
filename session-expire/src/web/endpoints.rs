//! What pages ask of the server: status, keep-alive, logout, and the script.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    dev::HttpServiceFactory,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web,
};
use serde::{Deserialize, Serialize};

use super::{
    asset::REDIRECT_SCRIPT,
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
    facts::{Facts, Reason},
    judge::{Verdict, judge},
    limit::Limit,
    policy::{Policy, PolicyPatch},
    registry::record::Change,
};

/// The endpoints under `/session`. With another
/// [`endpoints_prefix`](crate::Builder::endpoints_prefix), use [`SessionExpire::endpoints`].
///
/// | request | answer |
/// |---|---|
/// | `GET status` | how the session stands; doesn't count as activity |
/// | `POST keep-alive` | the same, and notes that the person was active `idle_for` seconds ago |
/// | `POST logout` | signs out and sends the browser to the login page |
/// | `GET redirect.….js` | the script of [`SessionVars`](crate::SessionVars) |
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
        .service(
            web::resource(REDIRECT_SCRIPT.path())
                .wrap(PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off))
                .route(web::get().to(script)),
        )
        .wrap(PolicyPatch::new().passive(true))
}

async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(REDIRECT_SCRIPT.content())
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

#[derive(Deserialize, Default)]
struct Asking {
    policy: Option<String>,
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
    judge_as_page(&gate, asking.and_then(|asking| asking.into_inner().policy), &req)?;
    Ok(Status::of(gate.verdict(), &gate.policy()).respond(HttpResponse::Ok()))
}

/// Judges under the limits of the page that asks; without a valid claim, under the app's.
fn judge_as_page(gate: &Gate, claim: Option<String>, req: &HttpRequest) -> Result<(), StackError> {
    let seal = gate.login().map(|(_, record)| record.seal);
    let patch = claim.zip(seal).and_then(|(claim, seal)| claim::redeem(&claim, &seal));
    patch.map_or(Ok(()), |patch| gate.refine(&patch, req))
}

/// The body of a keep-alive, as a form or as JSON.
#[derive(Deserialize, Default)]
struct Activity {
    /// For how many seconds the person has done nothing.
    #[serde(default)]
    idle_for: f64,
    policy: Option<String>,
}

impl Activity {
    fn parse(req: &HttpRequest, body: &[u8]) -> Option<(Duration, Option<String>)> {
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
        Some((idle_for, activity.policy))
    }
}

async fn keep_alive(req: HttpRequest, body: web::Bytes) -> Result<HttpResponse, StackError> {
    let gate = Gate::of(&req)?;
    gate.set_asking();
    if is_cross_site(&req) {
        return Ok(problem::cross_site());
    }
    let Some((idle_for, claim)) = Activity::parse(&req, &body) else {
        return Ok(problem::bad_request(
            "idle_for must be a number of seconds, zero or more, such as 12.5",
        ));
    };
    if matches!(*gate.standing(), Standing::Unreachable) {
        return Ok(problem::unavailable());
    }
    judge_as_page(&gate, claim, &req)?;
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
    let (Verdict::Active(_), Some((key, _))) = (gate.verdict(), gate.login()) else {
        return Ok(gate.verdict());
    };
    let registry = &gate.setup.registry;
    let change = Change { seen: gate.now.minus(idle_for), now: gate.now, patch: None };
    registry.touch(key, change).await?;
    let facts = registry.load(key).await?.map_or(Facts::Unknown, |loaded| loaded.record.facts());
    Ok(judge(&facts, &gate.policy(), gate.now))
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
