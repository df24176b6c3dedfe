//! Response future of the middleware.
//!
//! The common cases settle without an allocation; all others settle in a boxed future.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpResponse,
    body::EitherBody,
    dev::{ServiceRequest, ServiceResponse},
};
use pin_project_lite::pin_project;

use super::{
    anonymous_request::{AnonymousRequest, challenge_anonymous},
    inner_service::{BoxedResponseFuture, IdentityFuture, InnerService, MiddlewareResult},
};
use crate::{
    context::{RequestContext, slot::ContextSlot},
    error::SetupError,
    response::{caching::CachingRule, replace::replace},
    settle::{failure::settle_failure, is_settled, respond::render_problem, settle},
};

pin_project! {
    /// Response future for [`SessionExpire`](crate::SessionExpire).
    #[project = ResponseFutureProj]
    pub enum ResponseFuture<S: InnerService> {
        /// Request without cookies. Most of them need no settling.
        PassThrough { anonymous: AnonymousRequest, #[pin] inner: IdentityFuture<S> },
        /// Request with a context.
        Managed { context: Rc<RequestContext>, #[pin] inner: IdentityFuture<S> },
        /// Request that waits for I/O, before or after the handler.
        Waiting { work: BoxedResponseFuture<S::Body> },
        /// Request that is refused before the handler runs.
        Refused { response: Option<Box<ServiceResponse<EitherBody<S::Body>>>> },
    }
}

impl<S: InnerService> ResponseFuture<S> {
    pub(super) fn refuse(req: ServiceRequest, error: SetupError) -> Self {
        let response = req.into_response(HttpResponse::from_error(error)).map_into_right_body();
        Self::Refused { response: Some(Box::new(response)) }
    }

    /// Challenges a request without the login that the application's policy requires.
    pub(super) fn challenge(context: Rc<RequestContext>, req: ServiceRequest) -> Self {
        let response = HttpResponse::Unauthorized().finish();
        let response = req.into_response(response).map_into_right_body();
        Self::Waiting { work: Box::pin(async move { Ok(settle(&context, response).await) }) }
    }
}

impl<S: InnerService> Future for ResponseFuture<S> {
    type Output = MiddlewareResult<S::Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let work = match self.as_mut().project() {
            ResponseFutureProj::Waiting { work } => return work.as_mut().poll(cx),
            // `Pending` if the future is polled after completion.
            ResponseFutureProj::Refused { response } => {
                return response
                    .take()
                    .map_or(Poll::Pending, |response| Poll::Ready(Ok(*response)));
            }
            ResponseFutureProj::PassThrough { anonymous, inner } => {
                match ready!(inner.poll(cx)).map(ServiceResponse::map_into_left_body) {
                    Ok(res) if anonymous.is_settled(&res) => {
                        let mut res = res;
                        CachingRule::VaryCookie.apply(res.headers_mut());
                        return Poll::Ready(Ok(render_problem(&anonymous.mounted.config, res)));
                    }
                    result => settle_anonymous::<S>(anonymous, result),
                }
            }
            ResponseFutureProj::Managed { context, inner } => {
                let Poll::Ready(result) = inner.poll(cx) else {
                    context.set_waiting();
                    return Poll::Pending;
                };
                context.record_completion();
                match result.map(ServiceResponse::map_into_left_body) {
                    Ok(mut res) if is_settled(context, res.request(), res.status()) => {
                        CachingRule::PrivatePage.apply(res.headers_mut());
                        context.set_settled();
                        return Poll::Ready(Ok(render_problem(context.config(), res)));
                    }
                    result => settle_managed::<S>(Rc::clone(context), result),
                }
            }
        };
        self.set(Self::Waiting { work });
        self.poll(cx)
    }
}

/// Settles a request in a boxed future, to limit the size of the future for the common case.
fn settle_managed<S: InnerService>(
    context: Rc<RequestContext>,
    result: MiddlewareResult<S::Body>,
) -> BoxedResponseFuture<S::Body> {
    Box::pin(async move {
        match result {
            Ok(res) => Ok(settle(&context, res).await),
            Err(error) => Err(settle_failure(&context, error).await),
        }
    })
}

fn settle_anonymous<S: InnerService>(
    anonymous: &AnonymousRequest,
    result: MiddlewareResult<S::Body>,
) -> BoxedResponseFuture<S::Body> {
    match result {
        Ok(res) => match RequestContext::get(res.request()) {
            Ok(context) => settle_managed::<S>(context, Ok(res)),
            Err(error) => {
                let response = HttpResponse::from_error(error);
                Box::pin(std::future::ready(Ok(replace(res, response))))
            }
        },
        Err(error) => match anonymous.context.as_ref().and_then(ContextSlot::take) {
            Some(context) => settle_managed::<S>(context, Err(error)),
            None => Box::pin(std::future::ready(Err(challenge_anonymous(anonymous, error)))),
        },
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::sync::Arc;

    use actix_web::{HttpRequest, dev::fn_service, test::TestRequest};

    use super::*;
    use crate::{
        Policy, SessionExpire,
        context::{load::LoadedSession, mounted::MountedApp, session_data::AppSession},
        cookies::RequestCookies,
        middleware::policy_layer::PolicyResponseFuture,
    };

    /// Largest allocation in bytes that glibc's malloc serves from its thread cache.
    const MAX_CACHED_SIZE: usize = 1_032;

    fn context(req: &HttpRequest) -> Rc<RequestContext> {
        let expire = SessionExpire::builder(Policy::new()).build().unwrap();
        let mounted = Rc::new(MountedApp::new(Arc::clone(expire.config())).unwrap());
        let session = AppSession::from_request(req, mounted.config.identity_key);
        let cookies = RequestCookies::default();
        RequestContext::start(mounted, session, cookies, LoadedSession::Anonymous, req)
    }

    fn response_futures<S: InnerService>(_: &S) -> [usize; 2] {
        [size_of::<ResponseFuture<S>>(), size_of::<PolicyResponseFuture<S>>()]
    }

    #[test]
    fn response_futures_stay_small() {
        let service = fn_service(|req: ServiceRequest| {
            std::future::ready(Ok(req.into_response(HttpResponse::Ok().finish())))
        });
        let [all, layer] = response_futures(&service);
        assert!(all <= 112, "response future of the middleware: {all}");
        assert!(layer <= 160, "response future of a policy layer: {layer}");
    }

    #[test]
    fn context_and_settle_futures_fit_malloc_cache() {
        let res = TestRequest::default().to_srv_response(HttpResponse::Ok().finish());
        let context = context(res.request());
        let context_size = size_of_val(&*context) + 2 * size_of::<usize>();
        assert!(context_size <= MAX_CACHED_SIZE, "context of a request: {context_size}");
        let error = actix_web::error::ErrorInternalServerError("");
        let failure = size_of_val(&settle_failure(&context, error));
        let settle =
            size_of_val(&settle(&context, res.map_into_left_body::<actix_web::body::BoxBody>()));
        assert!(settle <= MAX_CACHED_SIZE, "future of settling: {settle}");
        assert!(failure <= MAX_CACHED_SIZE, "future of settling a failure: {failure}");
    }
}
