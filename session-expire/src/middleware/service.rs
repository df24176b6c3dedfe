//! The mounted middleware.

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
        adoption::{adopt, may_adopt},
        load::LoadedSession,
        mounted::Mounted,
        session_data::AppSession,
    },
    cookies::RequestCookies,
    error::SetupError,
    session::key::RecordKey,
};

/// Service of [`SessionExpire`](crate::SessionExpire).
pub struct SessionExpireService<S: InnerService> {
    mounted: Rc<Mounted>,
    /// Gives layers and extractors further in access to `mounted`.
    extensions: Rc<Extensions>,
    inner: Rc<WithIdentity<S>>,
}

impl<S: InnerService> SessionExpireService<S> {
    pub(crate) fn new(
        mounted: Rc<Mounted>,
        extensions: Rc<Extensions>,
        inner: WithIdentity<S>,
    ) -> Self {
        Self { mounted, extensions, inner: Rc::new(inner) }
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
        if context.lacks_login() {
            return ResponseFuture::challenge(context, req);
        }
        check_slow_body(&context, &mut req);
        ResponseFuture::Managed { context, inner: self.inner.call(req) }
    }

    /// Adopts a session of another session layer, then goes on as [`start`](Self::start) does.
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
                cookies.is_adopted = loaded.record().is_some();
                service.start(session, cookies, loaded, req).await
            }),
        }
    }

    /// Loads the record over a connection, then goes on as [`start`](Self::start) does.
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
        if req.app_data::<Rc<Mounted>>().is_some() {
            return ResponseFuture::refuse(req, SetupError::MountedTwice);
        }
        let session = AppSession::of_request(req.request(), config.identity_key);
        if !session.is_empty() {
            config.diagnostics.error_other_session_layer("outside");
            return ResponseFuture::refuse(req, SetupError::OtherSessionLayer);
        }
        req.add_data_container(Rc::clone(&self.extensions));
        let mut cookies = config.cookies.read(req.headers(), || config.now());
        // Only a record names a user.
        cookies.anonymous.data.remove(config.identity_key);
        let key = cookies.key.filter(|key| !cookies.anonymous.has_finished(key));
        match key {
            Some(key) => {
                let load = LoadedSession::load(config, key, self.mounted.counts_sessions());
                match load.try_ready() {
                    Ok(outcome) => {
                        let loaded = LoadedSession::new(config, key, outcome);
                        self.start(session, cookies, loaded, req)
                    }
                    // The registry is asked anew: its future may not outlive this call.
                    Err(_) => self.load_later(session, cookies, key, req),
                }
            }
            None if !cookies.has_session_cookie && may_adopt(config, req.request()) => {
                self.adopt_later(session, cookies, req)
            }
            None if cookies.has_anonymous_cookie
                || cookies.has_session_cookie
                || must_manage(&req, &self.mounted) =>
            {
                self.start(session, cookies, LoadedSession::Anonymous, req)
            }
            None => ResponseFuture::PassThrough {
                anonymous: AnonymousRequest::new(&self.mounted, session, req.request()),
                inner: self.inner.call(req),
            },
        }
    }
}

/// Requests that may sign a user in are watched for another session layer further in. Where the
/// application requires a login, each request is checked.
fn must_manage(req: &ServiceRequest, mounted: &Mounted) -> bool {
    !req.method().is_safe() || !mounted.is_only_layer() || mounted.config.policy.require_login
}
