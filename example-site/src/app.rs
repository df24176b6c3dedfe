//! Services of the application and the middleware around them.

use actix_web::{
    App, Error,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::header::{
        CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
    middleware::{DefaultHeaders, from_fn},
    web,
};
use session_expire::{SessionExpire, SessionExpireBuilder, page::Notice};

use crate::{
    assets,
    audit::AuditLog,
    compliance::Declared,
    compression, csrf,
    device::LOST_DEVICE,
    error::SiteError,
    language::Language,
    methods,
    pages::{self, PageOptions, editor::Drafts},
    passwords::{self, Passwords},
    room::Room,
    settings::Settings,
    shutdown::{self, Requests},
    text_size::TextSize,
    users::User,
};

/// State that all workers share.
#[derive(Clone)]
pub struct Shared {
    expire: SessionExpire,
    audit: AuditLog,
    pages: PageOptions,
    drafts: web::Data<Drafts>,
    passwords: web::Data<Passwords>,
    room: web::Data<Room>,
    declared: web::Data<Declared>,
    requests: Requests,
}

impl Shared {
    /// Builds the middleware. All workers must share one.
    ///
    /// # Errors
    ///
    /// Returns [`SiteError`] if the policy is contradictory, if a policy does not meet a declared
    /// standard, or if the registry cannot be opened.
    pub async fn new(settings: Settings) -> Result<Self, SiteError> {
        let declared = Declared::check(&settings)?;
        let audit = AuditLog::default();
        let pages = PageOptions::new(&settings);
        let room = Room::new(settings.chat_rate);
        let mut builder = settings
            .registry
            .open(settings.log_limit, (&settings).into(), options(&settings, &audit))
            .await?;
        builder = declared.declare(builder);
        if let Some(clock) = settings.clock {
            builder = builder.clock(clock);
        }
        Ok(Self {
            expire: builder.build()?,
            audit,
            pages,
            drafts: web::Data::default(),
            passwords: web::Data::default(),
            room: web::Data::new(room),
            declared: web::Data::new(declared),
            requests: Requests::default(),
        })
    }
}

impl Shared {
    /// Returns the middleware.
    pub(crate) fn expire(&self) -> &SessionExpire {
        &self.expire
    }

    /// Returns the counter of the requests in progress.
    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }
}

/// Returns the builder of the middleware, without registry, standards and clock.
fn options(settings: &Settings, audit: &AuditLog) -> SessionExpireBuilder {
    let builder = SessionExpire::builder(settings.policy.clone())
        .plain_http(true) // the site has no TLS
        .cookie_key(settings.key.clone())
        .trusted_proxies(settings.proxies.iter().cloned())
        .api_when(|req| req.path().starts_with("/api/") || req.path() == pages::chat::SOCKET)
        .user_policy(|user| async move { User::policy_for(&user) })
        .ended_texts(ended_text)
        .user_language(|req| Language::chosen(req).map(|language| language.tag().to_owned()))
        .clear_site_data(settings.clear_site_data.iter().copied())
        .on_sign_out(TextSize::delete)
        .live_pages(settings.is_live)
        .async_observer(audit.observer());
    match &settings.expired_url {
        Some(path) => builder.expired_url(path.as_str()),
        None => builder,
    }
}

/// Returns the text about an ended session: the site's text for its own cause, else the default.
fn ended_text(notice: &Notice<'_>) -> String {
    let language = Language::best_of(notice.languages);
    match notice.cause {
        Some(LOST_DEVICE) => {
            language.t("You were signed out because this device was reported as lost.").to_owned()
        }
        _ => notice.default_text(),
    }
}

/// Returns the application of one worker. The last `wrap` is the outermost.
pub fn app(
    shared: Shared,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let Shared { expire, audit, pages, drafts, requests, .. } = shared;
    App::new()
        .app_data(shared.declared)
        .app_data(drafts)
        .app_data(shared.passwords)
        .app_data(shared.room)
        .app_data(web::Data::new(audit))
        .app_data(web::Data::new(expire.clone()))
        .app_data(web::Data::new(requests))
        .app_data(pages::form_config())
        .configure(|config| pages::configure(config, pages))
        .service(assets::service())
        .service(expire.endpoints())
        .service(methods::other_paths())
        .default_service(web::to(pages::not_found))
        .wrap(from_fn(pages::show_errors))
        .wrap(from_fn(passwords::end_outdated))
        .wrap(from_fn(csrf::refuse_cross_site))
        .wrap(expire.clone())
        .wrap(from_fn(pages::notify_others))
        .wrap(from_fn(pages::unavailable))
        .wrap(from_fn(compression::compress))
        .wrap(security_headers())
        .wrap(from_fn(shutdown::count))
}

fn security_headers() -> DefaultHeaders {
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
    use actix_web::{
        http::StatusCode,
        test::{TestRequest, call_service, init_service},
    };
    use session_expire::{Limit, clock::ManualClock, minutes, seconds};

    use super::*;
    use crate::PageIdles;

    /// Returns the status of `path` for `user` after `idle` without a request.
    async fn status_after(
        idle: std::time::Duration,
        user: &str,
        path: &str,
        idles: PageIdles,
    ) -> StatusCode {
        let clock = ManualClock::default();
        let settings = Settings { idles, clock: Some(clock.clone()), ..Settings::default() };
        let site = init_service(app(Shared::new(settings).await.unwrap())).await;
        let form = [("username", user), ("password", user)];
        let login = TestRequest::post().uri("/login").set_form(form).to_request();
        let login = call_service(&site, login).await;
        let cookie = login.response().cookies().next().unwrap().into_owned();
        clock.advance(idle);
        let request = TestRequest::get().uri(path).cookie(cookie).to_request();
        call_service(&site, request).await.status()
    }

    #[actix_web::test]
    async fn attribute_of_page_decides_idle_timeout() {
        for (path, idle, status) in [
            ("/dashboard", minutes(9), StatusCode::OK),
            ("/dashboard", minutes(10), StatusCode::UNAUTHORIZED),
            ("/vault", seconds(59), StatusCode::OK),
            ("/vault", minutes(1), StatusCode::UNAUTHORIZED),
            ("/editor", minutes(59), StatusCode::OK),
            ("/editor", minutes(60), StatusCode::UNAUTHORIZED),
            ("/admin/", seconds(119), StatusCode::OK),
            ("/admin/", minutes(2), StatusCode::UNAUTHORIZED),
        ] {
            let got = status_after(idle, "root", path, PageIdles::default()).await;
            assert_eq!(got, status, "{path} {idle:?}");
        }
    }

    #[actix_web::test]
    async fn patch_of_page_equals_its_attribute() {
        for (path, patch) in pages::patches(PageOptions::new(&Settings::default())) {
            let Some(Limit::At(idle)) = patch.idle else { panic!("{path}") };
            let path = path.replace("/admin", "/admin/");
            for (after, status) in
                [(idle - seconds(1), StatusCode::OK), (idle, StatusCode::UNAUTHORIZED)]
            {
                let got = status_after(after, "root", &path, PageIdles::default()).await;
                assert_eq!(got, status, "{path} {after:?}");
            }
        }
    }

    #[actix_web::test]
    async fn flag_replaces_idle_timeout_of_attribute() {
        let longer = Some(Limit::At(minutes(5)));
        let idles = PageIdles { editor: longer, vault: longer, admin: longer };
        for (path, idle, status) in [
            ("/vault", minutes(4), StatusCode::OK),
            ("/editor", minutes(5), StatusCode::UNAUTHORIZED),
            ("/admin/", minutes(4), StatusCode::OK),
            ("/admin/", minutes(5), StatusCode::UNAUTHORIZED),
        ] {
            assert_eq!(status_after(idle, "root", path, idles).await, status, "{path} {idle:?}");
        }
    }

    #[actix_web::test]
    async fn admin_paths_need_a_superuser_whether_they_exist_or_not() {
        let flag = PageIdles { admin: Some(Limit::At(minutes(2))), ..PageIdles::default() };
        for idles in [PageIdles::default(), flag] {
            for path in ["/admin", "/admin/", "/admin/users", "/admin/nowhere"] {
                let member = status_after(seconds(1), "alice", path, idles).await;
                assert_eq!(member, StatusCode::FORBIDDEN, "{path}");
                let expired = status_after(minutes(2), "alice", path, idles).await;
                assert_eq!(expired, StatusCode::UNAUTHORIZED, "{path}");
            }
            let unknown = status_after(seconds(1), "root", "/admin/nowhere", idles).await;
            assert_eq!(unknown, StatusCode::NOT_FOUND);
        }
    }
}
