//! Policy layers of scopes, resources and handlers.
//!
//! A layer is a middleware. It is an extractor for handlers that no middleware can wrap. The output
//! of `#[session_policy]` uses both.

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
    config::Config,
    context::{
        RequestContext,
        mounted::{HandlerPatch, Layer, register_layer},
        policy_stack::MergedPolicy,
    },
    error::SetupError,
    policy::{Policy, PolicyPatch},
};

/// Policy layer of a scope, a resource or a handler. For each key, the innermost layer takes
/// precedence.
///
/// # Security
///
/// A session that is expired under this policy is suspended for inner layers. A middleware outside
/// of this layer may have read the session before. With
/// [`require_login`](PolicyPatch::require_login), such a request is challenged.
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
        ready(PolicyService::mount(Layer { patch: self.clone(), is_exempt: false }, service))
    }
}

/// Service of a mounted [`PolicyPatch`].
#[derive(Debug)]
pub struct PolicyService<S> {
    layer: Layer,
    /// Last outer policy with the merged result. Most requests have the same outer policy.
    last: RefCell<Option<(Arc<Policy>, MergedPolicy)>>,
    inner: S,
}

impl<S> PolicyService<S> {
    /// Registers a layer. Fails, and logs an error, if its patch is invalid.
    pub(super) fn mount(layer: Layer, inner: S) -> Result<Self, ()> {
        if let Err(error) = layer.patch.validate() {
            tracing::error!(event = "sys_invalid_policy", %error, "invalid layer policy");
            return Err(());
        }
        register_layer(&layer);
        Ok(Self { layer, last: RefCell::default(), inner })
    }

    fn add_layer(&self, req: &HttpRequest) -> Result<Rc<RequestContext>, SetupError> {
        let context = RequestContext::get(req)?;
        context.add_layer(&self.layer.patch, |below| self.merge(below, context.config()), req)?;
        Ok(context)
    }

    fn merge(&self, below: &Arc<Policy>, config: &Config) -> MergedPolicy {
        match &*self.last.borrow() {
            Some((known, merged)) if Arc::ptr_eq(known, below) => return merged.clone(),
            _ => {}
        }
        let merged = match self.layer.is_exempt {
            true => MergedPolicy::exempt(&self.layer.patch, below),
            false => MergedPolicy::new(&self.layer.patch, below, config),
        };
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
        let response = match self.add_layer(req.request()) {
            Ok(context) if context.refuses(req.request()) => HttpResponse::Unauthorized().finish(),
            Ok(_) => return PolicyResponseFuture::Inner { inner: self.inner.call(req) },
            Err(error) => HttpResponse::from_error(error),
        };
        let response = req.into_response(response).map_into_right_body();
        PolicyResponseFuture::Rejected { response: Some(Box::new(response)) }
    }
}

pin_project! {
    /// Response future for [`PolicyService`].
    #[project = PolicyResponseFutureProj]
    pub enum PolicyResponseFuture<S: InnerService> {
        /// Request that the inner service handles.
        Inner { #[pin] inner: S::Future },
        /// Request that the layer has rejected. The response is boxed, because every layer moves
        /// this future.
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
            // `Pending` if the future is polled after completion.
            PolicyResponseFutureProj::Rejected { response } => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(*response)))
            }
        }
    }
}

/// Policy patch of a handler that `#[session_policy]` cannot wrap in a middleware.
pub trait HandlerPolicy: 'static {
    /// Path of the handler. It is the same in all processes of one version of the application.
    const NAME: &'static str;

    /// Returns the patch.
    fn patch() -> &'static PolicyPatch;
}

/// First extractor of a handler with a [`HandlerPolicy`]. It runs before any other extractor reads
/// the session.
#[derive(Debug)]
pub struct PolicyExtractor<P>(PhantomData<P>);

impl<P: HandlerPolicy> FromRequest for PolicyExtractor<P> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let handler = HandlerPatch { handler: TypeId::of::<P>(), name: P::NAME, patch: P::patch() };
        ready(add_handler_layer(handler, req).map(|()| Self(PhantomData)))
    }
}

fn add_handler_layer(handler: HandlerPatch, req: &HttpRequest) -> Result<(), Error> {
    let context = RequestContext::get(req)?;
    context.add_handler(handler, req)?;
    match context.refuses(req) {
        true => Err(InternalError::new("refused by the policy", StatusCode::UNAUTHORIZED).into()),
        false => Ok(()),
    }
}

/// Scope or resource that a function builds and `#[session_policy]` wraps.
#[diagnostic::on_unimplemented(
    message = "`#[session_policy]` cannot change the policy of a `{Self}`",
    label = "this function must return an actix_web `Scope` or `Resource`",
    note = "put the attribute on an `async fn` handler, on a function that returns a `Scope` or a `Resource`, or on a module of handlers"
)]
pub trait WrapWithPolicy {
    /// Wraps `self` in a policy layer.
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
