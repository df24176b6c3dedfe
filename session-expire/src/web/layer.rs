//! A policy for some handlers: as a middleware, and as an extractor for where no middleware fits.

use std::{
    cell::RefCell,
    future::{Ready, ready},
    marker::PhantomData,
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll},
};

use actix_web::{
    Error, FromRequest, HttpRequest, HttpResponse, Resource, Scope,
    body::{EitherBody, MessageBody},
    dev::{
        HttpServiceFactory, Payload, ServiceFactory, ServiceRequest, ServiceResponse, Transform,
    },
};
use pin_project_lite::pin_project;

use super::{
    advice,
    around::{Around, Inside, Reply, Wrapped},
    gate::Gate,
    slack::{lay, note_slack},
};
use crate::{
    error::StackError,
    limit::Limit,
    policy::{Policy, PolicyPatch},
};

/// The policy of a scope, a resource or a handler: the innermost wins, field by field.
///
/// Session and identity are hidden from those further in when the session is over under this policy.
/// What a middleware further out has read from them before is not: read the user inside the policy.
///
/// ```
/// use actix_web::web;
/// use session_expire::{PolicyPatch, minutes};
/// let admin = web::scope("/admin").wrap(PolicyPatch::new().idle(minutes(2)));
/// # let _ = admin.service(web::resource("/").to(actix_web::HttpResponse::Ok));
/// ```
impl<S: Inside> Transform<S, ServiceRequest> for PolicyPatch {
    type Response = ServiceResponse<EitherBody<S::Body>>;
    type Error = Error;
    type Transform = Wrapped<Layer, S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        if let Err(error) = self.validate() {
            static SAID: AtomicBool = AtomicBool::new(false);
            advice::say(&SAID, &format!("a session policy contradicts itself: {error}"));
            return ready(Err(()));
        }
        note_slack(&self.over(&Policy::new().idle(Limit::Off)));
        Wrapped::ready(Layer { patch: self.clone(), last: RefCell::default() }, service)
    }
}

/// A [`PolicyPatch`], mounted in one worker. The policy below it is almost always the same, so what
/// results is kept.
#[derive(Debug)]
pub struct Layer {
    patch: PolicyPatch,
    /// The policy below, and the one that resulted.
    last: RefCell<Option<(Arc<Policy>, Arc<Policy>)>>,
}

impl Layer {
    fn refine(&self, req: &HttpRequest) -> Result<(), StackError> {
        Gate::of(req)?.refine_with(&self.patch, |below| self.over(below), req)
    }

    fn over(&self, below: &Arc<Policy>) -> Arc<Policy> {
        match &*self.last.borrow() {
            Some((known, result)) if Arc::ptr_eq(known, below) => return Arc::clone(result),
            _ => {}
        }
        let result = lay(&self.patch, below);
        self.last.replace(Some((Arc::clone(below), Arc::clone(&result))));
        result
    }
}

impl<S: Inside> Around<S> for Layer {
    type Future = Inward<S::Future, S::Body>;

    fn call(&self, service: &Rc<S>, req: ServiceRequest) -> Self::Future {
        match self.refine(req.request()) {
            Ok(()) => Inward::On { inside: service.call(req) },
            Err(error) => {
                let answer =
                    req.into_response(HttpResponse::from_error(error)).map_into_right_body();
                Inward::Refused { answer: Some(answer) }
            }
        }
    }
}

fn refine(patch: &PolicyPatch, req: &HttpRequest) -> Result<(), StackError> {
    Gate::of(req)?.refine(patch, req)
}

pin_project! {
    /// A request on its way through a policy.
    #[project = Way]
    pub enum Inward<F, B> {
        /// It goes on.
        On { #[pin] inside: F },
        /// There is no middleware to work with.
        Refused { answer: Option<ServiceResponse<EitherBody<B>>> },
    }
}

impl<F, B> Future for Inward<F, B>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Reply<B>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Way::On { inside } => inside.poll(cx).map_ok(ServiceResponse::map_into_left_body),
            // A future is asked once it is ready only by mistake; then it never answers again.
            Way::Refused { answer } => {
                answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)))
            }
        }
    }
}

/// Names the patch of a handler that `#[session_policy]` can't wrap.
pub trait PatchSource: 'static {
    /// The patch.
    fn patch() -> &'static PolicyPatch;
}

/// The first extractor of such a handler: it judges before any other extractor looks at the session.
#[derive(Debug)]
pub struct Patched<P>(PhantomData<P>);

impl<P: PatchSource> FromRequest for Patched<P> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(refine(P::patch(), req).map(|()| Self(PhantomData)).map_err(Error::from))
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
