//! Policy of a scope, a resource or a handler: as a middleware, and as an extractor where no
//! middleware fits.

use std::{
    any::TypeId,
    cell::RefCell,
    future::{Ready, ready},
    marker::PhantomData,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    Error, FromRequest, HttpRequest, HttpResponse, Resource, Scope,
    body::{EitherBody, MessageBody},
    dev::{
        HttpServiceFactory, Payload, Service, ServiceFactory, ServiceRequest, ServiceResponse,
        Transform, forward_ready,
    },
    error::InternalError,
    http::StatusCode,
};
use pin_project_lite::pin_project;

use super::inner_service::{InnerService, MiddlewareResult};
use crate::{
    context::{
        RequestContext,
        mounted::{HandlerPatch, announce},
        policy_stack::MergedPolicy,
    },
    error::SetupError,
    policy::{Policy, PolicyPatch},
};

/// Policy of a scope, a resource or a handler: the innermost wins, key by key.
///
/// A session that is expired under this policy is hidden from everything further in. What a
/// middleware further out has read of it before is not: with
/// [`require_login`](PolicyPatch::require_login) such a request goes no further.
///
/// ```
/// use actix_web::web;
/// use session_expire::{PolicyPatch, minutes};
/// let admin = web::scope("/admin").wrap(PolicyPatch::new().idle(minutes(2)).require_login(true));
/// # let _ = admin.service(web::resource("/").to(actix_web::HttpResponse::Ok));
/// ```
impl<S: InnerService> Transform<S, ServiceRequest> for PolicyPatch {
    type Response = ServiceResponse<EitherBody<S::Body>>;
    type Error = Error;
    type Transform = PolicyService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        if let Err(error) = self.validate() {
            tracing::error!(event = "sys_invalid_policy", %error, "policy layer not mounted");
            return ready(Err(()));
        }
        announce(self);
        ready(Ok(PolicyService { patch: self.clone(), last: RefCell::default(), inner: service }))
    }
}

/// Service of a mounted [`PolicyPatch`].
#[derive(Debug)]
pub struct PolicyService<S> {
    patch: PolicyPatch,
    /// The policy below, and what resulted: the same for almost every request.
    last: RefCell<Option<(Arc<Policy>, MergedPolicy)>>,
    inner: S,
}

impl<S> PolicyService<S> {
    fn enter(&self, req: &HttpRequest) -> Result<Rc<RequestContext>, SetupError> {
        let context = RequestContext::get(req)?;
        context.add_layer(&self.patch, |below| self.merge(below), req)?;
        Ok(context)
    }

    fn merge(&self, below: &Arc<Policy>) -> MergedPolicy {
        match &*self.last.borrow() {
            Some((known, merged)) if Arc::ptr_eq(known, below) => return merged.clone(),
            _ => {}
        }
        let merged = MergedPolicy::new(&self.patch, below);
        self.last.replace(Some((Arc::clone(below), merged.clone())));
        merged
    }
}

impl<S: InnerService> Service<ServiceRequest> for PolicyService<S> {
    type Response = ServiceResponse<EitherBody<S::Body>>;
    type Error = Error;
    type Future = PolicyResponseFuture<S>;

    forward_ready!(inner);

    fn call(&self, req: ServiceRequest) -> Self::Future {
        let response = match self.enter(req.request()) {
            Ok(context) if context.lacks_login() => HttpResponse::Unauthorized().finish(),
            Ok(_) => return PolicyResponseFuture::Inner { inner: self.inner.call(req) },
            Err(error) => HttpResponse::from_error(error),
        };
        let response = req.into_response(response).map_into_right_body();
        PolicyResponseFuture::Rejected { response: Some(Box::new(response)) }
    }
}

pin_project! {
    /// Response future of a [`PolicyPatch`].
    #[project = PolicyResponseFutureProj]
    pub enum PolicyResponseFuture<S: InnerService> {
        /// The request goes on.
        Inner { #[pin] inner: S::Future },
        /// The request goes no further. The response is boxed: every layer moves its future.
        Rejected { response: Option<Box<ServiceResponse<EitherBody<S::Body>>>> },
    }
}

impl<S: InnerService> Future for PolicyResponseFuture<S> {
    type Output = MiddlewareResult<S::Body>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            PolicyResponseFutureProj::Inner { inner } => {
                inner.poll(cx).map_ok(ServiceResponse::map_into_left_body)
            }
            // Polled after completion.
            PolicyResponseFutureProj::Rejected { response } => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(*response)))
            }
        }
    }
}

/// Names the patch of a handler that `#[session_policy]` cannot wrap.
pub trait HandlerPolicy: 'static {
    /// Path of the handler: the same in all processes of one version of the application.
    const NAME: &'static str;

    /// The patch.
    fn patch() -> &'static PolicyPatch;
}

/// The first extractor of such a handler: it checks before any other extractor reads the session.
#[derive(Debug)]
pub struct PolicyExtractor<P>(PhantomData<P>);

impl<P: HandlerPolicy> FromRequest for PolicyExtractor<P> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let handler = HandlerPatch { handler: TypeId::of::<P>(), name: P::NAME, patch: P::patch() };
        ready(enter(handler, req).map(|()| Self(PhantomData)))
    }
}

fn enter(handler: HandlerPatch, req: &HttpRequest) -> Result<(), Error> {
    let context = RequestContext::get(req)?;
    context.add_handler(handler, req)?;
    match context.lacks_login() {
        true => Err(InternalError::new("login required", StatusCode::UNAUTHORIZED).into()),
        false => Ok(()),
    }
}

/// What `#[session_policy]` can wrap when a function builds it.
#[diagnostic::on_unimplemented(
    message = "`#[session_policy]` cannot change the policy of a `{Self}`",
    label = "this function must return an actix_web `Scope` or `Resource`",
    note = "put the attribute on an `async fn` handler, on a function that returns a `Scope` or a `Resource`, or on a module of handlers"
)]
pub trait WrapWithPolicy {
    /// The scope or resource with the policy around it.
    fn wrap_with_policy(self, patch: PolicyPatch) -> impl HttpServiceFactory + 'static;
}

impl<T, B> WrapWithPolicy for Scope<T>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    fn wrap_with_policy(self, patch: PolicyPatch) -> impl HttpServiceFactory + 'static {
        self.wrap(patch)
    }
}

impl<T, B> WrapWithPolicy for Resource<T>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    fn wrap_with_policy(self, patch: PolicyPatch) -> impl HttpServiceFactory + 'static {
        self.wrap(patch)
    }
}
