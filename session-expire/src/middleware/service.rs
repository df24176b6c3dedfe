//! Service of the middleware: loads the session of a request before inner services run.
//!
//! The session is loaded once per request. Inner services see only a user that the record names.

use std::rc::Rc;

use actix_web::{
    Error,
    body::EitherBody,
    dev::{Extensions, Service, ServiceRequest, ServiceResponse, forward_ready},
};

use super::{
    anonymous_request::AnonymousRequest,
    body_check::check_slow_body,
    inner_service::{InnerService, WithIdentity},
    response_future::ResponseFuture,
};
use crate::{
    context::{
        RequestContext,
        load::LoadedSession,
        login::adoption::{adopt, may_adopt},
        login::security_stamp::check_stamp,
        mounted::MountedApp,
        session_data::AppSession,
    },
    cookies::RequestCookies,
    error::SetupError,
    session::key::RecordKey,
};

/// Service of [`SessionExpire`](crate::SessionExpire).
pub struct SessionExpireService<S: InnerService> {
    mounted: Rc<MountedApp>,
    /// Contains `mounted` for inner layers and extractors.
    extensions: Rc<Extensions>,
    inner: Rc<WithIdentity<S>>,
}

impl<S: InnerService> SessionExpireService<S> {
    pub(crate) fn new(
        mounted: Rc<MountedApp>,
        extensions: Rc<Extensions>,
        inner: WithIdentity<S>,
    ) -> Self {
        Self { mounted, extensions, inner: Rc::new(inner) }
    }

    /// Loads or adopts the session of a request, if it has one, and calls the inner service.
    fn handle_request(
        &self,
        session: AppSession,
        cookies: RequestCookies,
        req: ServiceRequest,
    ) -> ResponseFuture<S> {
        match cookies.key.filter(|key| !cookies.anonymous.can_skip_lookup(key)) {
            Some(key) => self.load(session, cookies, key, req),
            None if !cookies.has_session_cookie
                && may_adopt(&self.mounted.config, req.request()) =>
            {
                self.adopt_later(session, cookies, req)
            }
            None if cookies.has_anonymous_cookie
                || cookies.has_session_cookie
                || needs_context(&req, &self.mounted) =>
            {
                self.start(session, cookies, LoadedSession::Anonymous, req)
            }
            None => ResponseFuture::PassThrough {
                anonymous: AnonymousRequest::new(&self.mounted, session, req.request()),
                inner: self.inner.call(req),
            },
        }
    }

    /// Loads the record, then calls [`start`](Self::start), without waiting if possible.
    fn load(
        &self,
        session: AppSession,
        cookies: RequestCookies,
        key: RecordKey,
        req: ServiceRequest,
    ) -> ResponseFuture<S> {
        let config = &self.mounted.config;
        let load = LoadedSession::load(config, key, self.mounted.counts_sessions());
        match load.try_ready() {
            Ok(outcome) => {
                let loaded = LoadedSession::new(config, key, outcome);
                match config.checks_stamps() {
                    true => self.check_later(session, cookies, loaded, req),
                    false => self.start(session, cookies, loaded, req),
                }
            }
            // The future borrows from `self`. It cannot outlive this call, so load again.
            Err(_) => self.load_later(session, cookies, key, req),
        }
    }

    fn start(
        &self,
        session: AppSession,
        cookies: RequestCookies,
        loaded: LoadedSession,
        mut req: ServiceRequest,
    ) -> ResponseFuture<S> {
        let mounted = Rc::clone(&self.mounted);
        let context = RequestContext::start(mounted, session, cookies, loaded, req.request());
        if context.refuses(req.request()) {
            return ResponseFuture::challenge(context, req);
        }
        check_slow_body(&context, &mut req);
        ResponseFuture::Managed { context, inner: self.inner.call(req) }
    }

    /// Adopts an old session, then calls [`start`](Self::start).
    fn adopt_later(
        &self,
        session: AppSession,
        mut cookies: RequestCookies,
        req: ServiceRequest,
    ) -> ResponseFuture<S> {
        let service = self.clone();
        ResponseFuture::Waiting {
            work: Box::pin(async move {
                let loaded = adopt(&service.mounted.config, req.request()).await;
                let loaded = check_stamp(&service.mounted.config, loaded, req.request()).await;
                cookies.is_adopted = loaded.record().is_some();
                service.start(session, cookies, loaded, req).await
            }),
        }
    }

    /// Waits until the record is loaded, then calls [`start`](Self::start).
    fn load_later(
        &self,
        session: AppSession,
        cookies: RequestCookies,
        key: RecordKey,
        req: ServiceRequest,
    ) -> ResponseFuture<S> {
        let service = self.clone();
        ResponseFuture::Waiting {
            work: Box::pin(async move {
                let mounted = &service.mounted;
                let load = LoadedSession::load(&mounted.config, key, mounted.counts_sessions());
                let loaded = LoadedSession::new(&mounted.config, key, load.await);
                let loaded = check_stamp(&mounted.config, loaded, req.request()).await;
                service.start(session, cookies, loaded, req).await
            }),
        }
    }

    /// Checks the security stamp of a loaded session, then calls [`start`](Self::start).
    fn check_later(
        &self,
        session: AppSession,
        cookies: RequestCookies,
        loaded: LoadedSession,
        req: ServiceRequest,
    ) -> ResponseFuture<S> {
        let service = self.clone();
        ResponseFuture::Waiting {
            work: Box::pin(async move {
                let loaded = check_stamp(&service.mounted.config, loaded, req.request()).await;
                service.start(session, cookies, loaded, req).await
            }),
        }
    }
}

impl<S: InnerService> Clone for SessionExpireService<S> {
    fn clone(&self) -> Self {
        Self {
            mounted: Rc::clone(&self.mounted),
            extensions: Rc::clone(&self.extensions),
            inner: Rc::clone(&self.inner),
        }
    }
}

impl<S: InnerService> Service<ServiceRequest> for SessionExpireService<S> {
    type Response = ServiceResponse<EitherBody<S::Body>>;
    type Error = Error;
    type Future = ResponseFuture<S>;

    forward_ready!(inner);

    fn call(&self, mut req: ServiceRequest) -> Self::Future {
        let config = &self.mounted.config;
        if req.app_data::<Rc<MountedApp>>().is_some() {
            return ResponseFuture::refuse(req, SetupError::MountedTwice);
        }
        let session = AppSession::from_request(req.request(), config.identity_key);
        if !session.is_empty() {
            config.diagnostics.error_other_session_layer("outside");
            return ResponseFuture::refuse(req, SetupError::OtherSessionLayer);
        }
        req.add_data_container(Rc::clone(&self.extensions));
        let mut cookies = config.cookies.read(req.headers(), || config.now());
        // Only a record may name a user.
        cookies.anonymous.data.remove(config.identity_key);
        self.handle_request(session, cookies, req)
    }
}

/// Returns `true` for requests that may sign a user in, and for all requests until an inner session
/// layer has been ruled out. If the application requires a login, every request needs a context.
fn needs_context(req: &ServiceRequest, mounted: &MountedApp) -> bool {
    !req.method().is_safe() || !mounted.is_only_layer() || mounted.config.policy.require_login
}
