//! The application: its services, and the layers around them.

use actix_identity::IdentityMiddleware;
use actix_session::{SessionMiddleware, config::BrowserSession, storage::SessionStore};
use actix_web::{
    App, Error,
    body::MessageBody,
    cookie::{Key, time},
    dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse},
    http::header::{
        CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
    middleware::DefaultHeaders,
    web,
};
use session_expire::{Policy, SessionExpire};

use crate::{
    assets,
    error::SiteError,
    kept::outlive_browser,
    pages::{self, editor::Drafts},
    settings::{PageIdles, Settings},
    users::User,
};

/// What all workers share.
#[derive(Clone)]
pub struct Shared {
    expire: SessionExpire,
    key: Key,
    blob_ttl: time::Duration,
    idles: PageIdles,
    drafts: web::Data<Drafts>,
}

impl Shared {
    /// Builds the middleware, once: all workers must ask the same registry.
    ///
    /// # Errors
    ///
    /// A [`SiteError`] when the policy contradicts itself, or the registry cannot be used.
    pub async fn new(settings: Settings) -> Result<Self, SiteError> {
        let blob_ttl = blob_ttl(&settings.policy);
        let builder = SessionExpire::builder(settings.policy)
            .trusted_proxies(settings.proxies)
            .program_when(|req| req.path().starts_with("/api/"))
            .user_policy(|user| async move {
                User::named(&user).map(User::own_policy).unwrap_or_default()
            });
        let builder = settings.registry.open(settings.log_limit, builder).await?;
        let builder = match settings.clock {
            Some(clock) => builder.clock(clock),
            None => builder,
        };
        Ok(Self {
            expire: builder.build()?,
            key: settings.key,
            blob_ttl,
            idles: settings.idles,
            drafts: web::Data::default(),
        })
    }
}

/// The application of one worker. Of the layers, the last `wrap` runs first.
pub fn app<S: SessionStore + 'static>(
    shared: Shared,
    store: S,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let (sessions, ttl) = (sessions(store, &shared), shared.blob_ttl);
    App::new()
        .app_data(shared.drafts)
        .app_data(pages::form_config())
        .configure(|config| pages::configure(config, shared.idles))
        .service(assets::service())
        .service(session_expire::endpoints())
        .default_service(web::to(pages::not_found))
        .wrap(shared.expire)
        .wrap_fn(|req, next| {
            let answer = next.call(req);
            async move { pages::unavailable(answer.await?) }
        })
        .wrap(IdentityMiddleware::default())
        .wrap(sessions)
        .wrap_fn(move |req, next| {
            let answer = next.call(req);
            async move { Ok(outlive_browser(answer.await?, ttl)) }
        })
        .wrap(headers())
}

/// A cookie without `Max-Age`: it goes with the browser, unless somebody wants to be [kept](crate::kept)
/// signed in. How long a session really lasts is session-expire's to say.
fn sessions<S: SessionStore>(store: S, shared: &Shared) -> SessionMiddleware<S> {
    SessionMiddleware::builder(store, shared.key.clone())
        .session_lifecycle(BrowserSession::default().state_ttl(shared.blob_ttl))
        // The demo runs on http://127.0.0.1; a site on https leaves this line out.
        .cookie_secure(false)
        .build()
}

/// How long actix-session keeps what a session holds. It counts from the last write, and a session
/// under session-expire is written at login and hardly ever again: its default of one day would end
/// a busy session that may last for two. So it is longer than the absolute limit, also of those who are
/// kept signed in.
fn blob_ttl(policy: &Policy) -> time::Duration {
    let longest = policy.absolute.laxer(pages::kept_absolute());
    let longest = longest.at().and_then(|limit| time::Duration::try_from(limit).ok());
    longest.map_or(time::Duration::days(365), |limit| limit.saturating_add(time::Duration::DAY))
}

fn headers() -> DefaultHeaders {
    const POLICY: &str =
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
    DefaultHeaders::new()
        .add((CONTENT_SECURITY_POLICY, POLICY))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((X_FRAME_OPTIONS, "DENY"))
        .add((REFERRER_POLICY, "same-origin"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_session::storage::CookieSessionStore;
    use actix_web::{
        http::StatusCode,
        test::{TestRequest, call_service, init_service},
    };
    use session_expire::{Limit, ManualClock, minutes, seconds};

    /// What `path` answers to alice, some time after she has signed in.
    async fn after(rest: std::time::Duration, path: &str, idles: PageIdles) -> StatusCode {
        let clock = ManualClock::default();
        let settings = Settings { idles, clock: Some(clock.clone()), ..Settings::default() };
        let site =
            init_service(app(Shared::new(settings).await.unwrap(), CookieSessionStore::default()))
                .await;
        let form = [("username", "alice"), ("password", "alice")];
        let login = TestRequest::post().uri("/login").set_form(form).to_request();
        let login = call_service(&site, login).await;
        let cookie = login.response().cookies().next().unwrap().into_owned();
        clock.advance(rest);
        let request = TestRequest::get().uri(path).cookie(cookie).to_request();
        call_service(&site, request).await.status()
    }

    #[actix_web::test]
    async fn the_page_decides_how_long_a_session_may_rest() {
        for (path, rest, status) in [
            ("/dashboard", minutes(9), StatusCode::OK),
            ("/vault", seconds(59), StatusCode::OK),
            ("/vault", minutes(1), StatusCode::UNAUTHORIZED),
            ("/editor", minutes(59), StatusCode::OK),
            ("/editor", minutes(60), StatusCode::UNAUTHORIZED),
            ("/admin/", seconds(119), StatusCode::FORBIDDEN),
            ("/admin/", minutes(2), StatusCode::UNAUTHORIZED),
        ] {
            assert_eq!(after(rest, path, PageIdles::default()).await, status, "{path} {rest:?}");
        }
    }

    #[actix_web::test]
    async fn a_flag_takes_the_place_of_the_attribute() {
        let longer = Some(Limit::At(minutes(5)));
        let idles = PageIdles { editor: longer, vault: longer, admin: longer };
        for (path, rest, status) in [
            ("/vault", minutes(4), StatusCode::OK),
            ("/editor", minutes(5), StatusCode::UNAUTHORIZED),
            ("/admin/", minutes(4), StatusCode::FORBIDDEN),
        ] {
            assert_eq!(after(rest, path, idles).await, status, "{path} {rest:?}");
        }
    }
}
