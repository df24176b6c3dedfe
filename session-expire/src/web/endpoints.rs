//! What pages ask of the server: status, keep-alive, logout, and the script.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    dev::HttpServiceFactory,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE},
    web,
};
use serde::Deserialize;

use super::{
    asset::{Asset, SCRIPT, STYLE},
    caller::{Caller, Kind, is_cross_site},
    flash::{FlashMessage, Level},
    gate::Gate,
    middleware::SessionExpire,
    problem, reply,
    standing::Standing,
    status::{Asking, Status, is_replaced, judge_as_page},
};
use crate::{
    error::StackError,
    event::Event,
    facts::{Facts, Reason},
    judge::{Verdict, judge},
    limit::Limit,
    policy::PolicyPatch,
    registry::record::ActivityUpdate,
};

/// The endpoints under `/session`. With another
/// [`endpoints_prefix`](crate::Builder::endpoints_prefix), use [`SessionExpire::endpoints`].
///
/// | request | answer |
/// |---|---|
/// | `GET status` | 200 and how the session stands, as JSON; doesn't count as activity |
/// | `POST keep-alive` | the same, after noting that the person was active `idle_for` seconds ago (form or JSON; without a body: now): 401 once the session is over, 409 for the page of somebody else, 400 for junk |
/// | `POST logout` | signs out: 303 to the login page, for htmx `HX-Redirect`, for programs 200 and `{"state":"anonymous"}` |
/// | `GET session.….js`, `session.….css` | the script and the style of [`SessionVars`](crate::SessionVars) |
///
/// A page names the login and the user that it was made for (`login`, without the name itself). Where
/// somebody else has signed in since, it is told `{"state":"replaced"}`, and its keep-alive counts for nobody.
///
/// Status and keep-alive judge under the policy of the page that asks, which the page's markup
/// carries, signed; neither ends a session that a page under another policy may still accept. Requests
/// that change something are refused (403) when they come from another origin. While the registry is away
/// whoever has a session gets 503 with `Retry-After` from all three.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use actix_identity::IdentityMiddleware;
/// # use actix_session::{SessionMiddleware, storage::CookieSessionStore};
/// use actix_web::{App, cookie::Key, test::{self, TestRequest, call_and_read_body}};
/// use session_expire::{Policy, SessionExpire, endpoints};
/// # let expire = SessionExpire::builder(Policy::new()).build()?;
/// let app = App::new()
///     .service(endpoints())
///     .wrap(expire)
///     .wrap(IdentityMiddleware::default())
///     .wrap(SessionMiddleware::new(CookieSessionStore::default(), Key::generate()));
/// let app = test::init_service(app).await;
/// let request = TestRequest::get().uri("/session/status").to_request();
/// assert_eq!(call_and_read_body(&app, request).await, r#"{"state":"anonymous"}"#);
/// # Ok(()) }
/// ```
pub fn endpoints() -> impl HttpServiceFactory + 'static {
    under("/session")
}

impl SessionExpire {
    /// The [`endpoints`], under the configured prefix.
    ///
    /// ```
    /// use actix_web::App;
    /// use session_expire::{Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new()).endpoints_prefix("/app/session").build()?;
    /// let app = App::new().service(expire.endpoints()); // GET /app/session/status, …
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
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
    let send = move |req: HttpRequest| {
        let Asset { kind, content, .. } = asset;
        // actix-session may renew its cookie on this answer, too: then no shared cache may have it.
        let cache = match req.headers().contains_key(COOKIE) {
            true => "private, max-age=31536000, immutable",
            false => "public, max-age=31536000, immutable",
        };
        async move {
            HttpResponse::Ok()
                .insert_header((CONTENT_TYPE, kind))
                .insert_header((CACHE_CONTROL, cache))
                .body(content)
        }
    };
    web::resource(path)
        .wrap(PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off))
        .route(web::get().to(send))
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
    if is_replaced(&gate, &asking) {
        return Ok(Status::Replaced.respond(HttpResponse::Ok()));
    }
    Ok(Status::of(gate.verdict(), &gate.policy()).respond(HttpResponse::Ok()))
}

/// The body of a keep-alive, as a form or as JSON. Whoever sends none means now.
#[derive(Deserialize, Default)]
struct Activity {
    /// For how many seconds the person has done nothing.
    idle_for: f64,
    policy: Option<String>,
    login: Option<String>,
}

impl Activity {
    fn of(req: &HttpRequest, body: &[u8]) -> Option<(Duration, Asking)> {
        let kind = req.headers().get(CONTENT_TYPE);
        Self::parse(body, kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")))
    }

    fn parse(body: &[u8], is_json: bool) -> Option<(Duration, Asking)> {
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

#[cfg(any(test, fuzzing))]
pub(crate) fn idle_for(body: &[u8], is_json: bool) -> Option<Duration> {
    Activity::parse(body, is_json).map(|(idle_for, _)| idle_for)
}

async fn keep_alive(req: HttpRequest, body: web::Bytes) -> Result<HttpResponse, StackError> {
    let gate = Gate::of(&req)?;
    gate.set_asking();
    if is_cross_site(&req) {
        return Ok(problem::cross_site());
    }
    let Some((idle_for, asking)) = Activity::of(&req, &body) else {
        return Ok(problem::bad_request(
            "idle_for must be a number of seconds, zero or more, such as 12.5",
        ));
    };
    if matches!(*gate.standing(), Standing::Unreachable) {
        return Ok(problem::unavailable());
    }
    judge_as_page(&gate, &asking, &req)?;
    if is_replaced(&gate, &asking) {
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
    let now = gate.setup.now();
    let change = ActivityUpdate { seen: gate.now.minus(idle_for), now, patch: None };
    registry.touch(key, change).await?;
    let facts = registry.load(key).await?.map_or(Facts::Unknown, |loaded| loaded.record.facts());
    let verdict = judge(&facts, &gate.policy(), now);
    if matches!(verdict, Verdict::Active(_)) {
        gate.setup.tell(&Event::Renewed { user: &record.user, id: record.id });
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
        FlashMessage::new(Level::Success, gate.text(Reason::LoggedOut, &caller))
            .with_tags("logged_out"),
    );
    Ok(match caller.kind {
        Kind::Navigation => reply::see_other(&policy.login_url),
        Kind::Htmx => reply::hx_redirect(&policy.login_url),
        Kind::Program | Kind::Resource => Status::Anonymous.respond(HttpResponse::Ok()),
    })
}
