//! The mounted middleware and the future of its responses.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_identity::IdentityMiddleware;
use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{Extensions, Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    error::InternalError,
    http::{StatusCode, uri::PathAndQuery},
};
use pin_project_lite::pin_project;

use super::body_check::check_slow_body;
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
    local_path::local_path,
    registry::key::RecordKey,
    request::{RequestInfo, kind::ResponseFormat, return_path::is_at},
    response::{caching::CachingRule, challenge::challenge, replace::replace},
    settle::{
        failure::{inspect_error, settle_failure},
        is_settled,
        reply::as_page_for_people,
        settle,
    },
};

/// Alias of the services that can be wrapped.
pub trait InnerService:
    Service<ServiceRequest, Response = ServiceResponse<<Self as InnerService>::Body>, Error = Error>
    + 'static
{
    /// Body of its responses.
    type Body: MessageBody + 'static;
}

impl<S, B> InnerService for S
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Body = B;
}

/// Response of the middleware.
pub(crate) type MiddlewareResult<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

/// `IdentityMiddleware` around a service.
type WithIdentity<S> = <IdentityMiddleware as Transform<S, ServiceRequest>>::Transform;

/// Future of a request that waits for I/O.
type Boxed<B> = Pin<Box<dyn Future<Output = MiddlewareResult<B>>>>;

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
        let session = AppSession::of_service_request(&req, config.identity_key);
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
                stranger: Stranger::new(&self.mounted, session, req.request()),
                inner: self.inner.call(req),
            },
        }
    }
}

/// Requests that may sign a user in are watched for another session layer further in.
fn must_manage(req: &ServiceRequest, mounted: &Mounted) -> bool {
    !req.method().is_safe() || !mounted.is_only_layer()
}

pin_project! {
    /// Response future of [`SessionExpire`](crate::SessionExpire).
    #[project = ResponseFutureProj]
    pub enum ResponseFuture<S: InnerService> {
        /// A request without cookies: mostly there is nothing to settle.
        PassThrough { stranger: Stranger, #[pin] inner: IdentityFuture<S> },
        /// A request whose session is known.
        Managed { context: Rc<RequestContext>, #[pin] inner: IdentityFuture<S> },
        /// A request that waits for I/O, before or after the handler.
        Waiting { work: Boxed<S::Body> },
        /// A request that is refused.
        Refused { response: Option<Box<ServiceResponse<EitherBody<S::Body>>>> },
    }
}

type IdentityFuture<S> = <WithIdentity<S> as Service<ServiceRequest>>::Future;

/// A visitor without cookies.
pub struct Stranger {
    mounted: Rc<Mounted>,
    session: AppSession,
    format: ResponseFormat,
    /// Where to return to after a challenge.
    page: Option<PathAndQuery>,
}

impl Stranger {
    fn new(mounted: &Rc<Mounted>, session: AppSession, req: &HttpRequest) -> Self {
        let format = ResponseFormat::classify(req, mounted.config.is_api(req));
        let page = req.uri().path_and_query().filter(|_| format == ResponseFormat::Page).cloned();
        Self { mounted: Rc::clone(mounted), session, format, page }
    }

    /// Returns `true` if there is nothing to settle.
    fn is_settled<B>(&self, res: &ServiceResponse<B>) -> bool {
        res.status() != StatusCode::UNAUTHORIZED
            && self.session.is_untouched()
            && !RequestContext::exists(res.request())
    }
}

impl<S: InnerService> ResponseFuture<S> {
    fn refuse(req: ServiceRequest, error: SetupError) -> Self {
        let response = req.into_response(HttpResponse::from_error(error)).map_into_right_body();
        Self::Refused { response: Some(Box::new(response)) }
    }
}

impl<S: InnerService> Future for ResponseFuture<S> {
    type Output = MiddlewareResult<S::Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let work = match self.as_mut().project() {
            ResponseFutureProj::Waiting { work } => return work.as_mut().poll(cx),
            // Polled after completion.
            ResponseFutureProj::Refused { response } => {
                return response
                    .take()
                    .map_or(Poll::Pending, |response| Poll::Ready(Ok(*response)));
            }
            ResponseFutureProj::PassThrough { stranger, inner } => {
                match ready!(inner.poll(cx)).map(ServiceResponse::map_into_left_body) {
                    Ok(res) if stranger.is_settled(&res) => {
                        let mut res = res;
                        CachingRule::VaryCookie.apply(res.headers_mut());
                        return Poll::Ready(Ok(res));
                    }
                    result => settle_stranger::<S>(stranger, result),
                }
            }
            ResponseFutureProj::Managed { context, inner } => {
                let Poll::Ready(result) = inner.poll(cx) else {
                    context.set_waiting();
                    return Poll::Pending;
                };
                context.note_completion();
                match result.map(ServiceResponse::map_into_left_body) {
                    Ok(mut res) if is_settled(context, res.request(), res.status()) => {
                        CachingRule::PrivatePage.apply(res.headers_mut());
                        context.set_settled();
                        return Poll::Ready(Ok(as_page_for_people(context, res)));
                    }
                    result => settle_managed::<S>(Rc::clone(context), result),
                }
            }
        };
        self.set(Self::Waiting { work });
        self.poll(cx)
    }
}

/// Settles a request in a future of its own, so that the future of the common case stays small.
fn settle_managed<S: InnerService>(
    context: Rc<RequestContext>,
    result: MiddlewareResult<S::Body>,
) -> Boxed<S::Body> {
    Box::pin(async move {
        match result {
            Ok(res) => Ok(settle(&context, res).await),
            Err(error) => Err(settle_failure(&context, error).await),
        }
    })
}

fn settle_stranger<S: InnerService>(
    stranger: &Stranger,
    result: MiddlewareResult<S::Body>,
) -> Boxed<S::Body> {
    match result {
        Ok(res) => match RequestContext::get(res.request()) {
            Ok(context) => settle_managed::<S>(context, Ok(res)),
            Err(error) => {
                let response = HttpResponse::from_error(error);
                Box::pin(std::future::ready(Ok(replace(res, response))))
            }
        },
        Err(error) => {
            let error = challenge_stranger(stranger, error);
            Box::pin(std::future::ready(Err(error)))
        }
    }
}

/// A middleware that fails with an empty 401 wants a login, as a handler does.
fn challenge_stranger(stranger: &Stranger, error: Error) -> Error {
    let policy = &stranger.mounted.config.policy;
    let path = stranger.page.as_ref().map_or("", PathAndQuery::path);
    let is_at_login = is_at(path, &policy.login_url);
    let (error, is_unauthorized) = inspect_error(error);
    if is_at_login || !stranger.mounted.config.challenge_anonymous || !is_unauthorized {
        return error;
    }
    let return_path = stranger.page.as_ref().and_then(|page| local_path(page.as_str()));
    let info = RequestInfo::for_challenge(stranger.format, return_path);
    let response = challenge(&info, &policy.login_url, None);
    InternalError::from_response(error, response).into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::{dev::fn_service, test::TestRequest};

    use super::*;
    use crate::{Policy, SessionExpire, middleware::policy_layer::PolicyResponseFuture};

    /// Memory up to this size comes from malloc's fast path.
    const FAST: usize = 1_032;

    fn context(req: &HttpRequest) -> Rc<RequestContext> {
        let expire = SessionExpire::builder(Policy::new()).build().unwrap();
        let mounted = Rc::new(Mounted::new(Arc::clone(expire.config())));
        let session = AppSession::of_request(req, mounted.config.identity_key);
        let cookies = RequestCookies::default();
        RequestContext::start(mounted, session, cookies, LoadedSession::Anonymous, req)
    }

    fn response_futures<S: InnerService>(_: &S) -> [usize; 2] {
        [size_of::<ResponseFuture<S>>(), size_of::<PolicyResponseFuture<S>>()]
    }

    #[test]
    fn futures_of_requests_stay_small() {
        let service = fn_service(|req: ServiceRequest| {
            std::future::ready(Ok(req.into_response(HttpResponse::Ok().finish())))
        });
        let [all, layer] = response_futures(&service);
        assert!(all <= 112, "response future of the middleware: {all}");
        assert!(layer <= 160, "response future of a policy layer: {layer}");
    }

    #[test]
    fn context_and_settling_fit_the_fast_path_of_malloc() {
        let res = TestRequest::default().to_srv_response(HttpResponse::Ok().finish());
        let context = context(res.request());
        let context_size = size_of_val(&*context) + 2 * size_of::<usize>();
        assert!(context_size <= FAST, "context of a request: {context_size}");
        let error = actix_web::error::ErrorInternalServerError("");
        let failure = size_of_val(&settle_failure(&context, error));
        let settle =
            size_of_val(&settle(&context, res.map_into_left_body::<actix_web::body::BoxBody>()));
        assert!(settle <= FAST, "future of settling: {settle}");
        assert!(failure <= FAST, "future of settling a failure: {failure}");
    }
}
