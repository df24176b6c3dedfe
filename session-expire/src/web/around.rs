//! The boilerplate of a middleware, once.

use std::{future::Ready, rc::Rc};

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, forward_ready},
};

/// What our layers answer: the inner answer, or one of ours.
pub(crate) type Reply<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

/// The service that a layer is wrapped around.
pub trait Inside:
    Service<ServiceRequest, Response = ServiceResponse<<Self as Inside>::Body>, Error = Error> + 'static
{
    /// The body of its answers.
    type Body: MessageBody + 'static;
}

impl<S, B> Inside for S
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Body = B;
}

/// A layer: what it does around a request.
pub trait Around<S: Inside>: 'static {
    /// The answer to come.
    type Future: Future<Output = Reply<S::Body>>;

    /// Handles one request; `service` is what lies inside.
    fn call(&self, service: &Rc<S>, req: ServiceRequest) -> Self::Future;
}

/// A layer around a service.
#[derive(Debug)]
pub struct Wrapped<A, S> {
    around: A,
    service: Rc<S>,
}

impl<A, S> Wrapped<A, S> {
    /// Puts `around` around `service`, at once.
    pub(crate) fn ready<E>(around: A, service: S) -> Ready<Result<Self, E>> {
        std::future::ready(Ok(Self { around, service: Rc::new(service) }))
    }
}

impl<A: Around<S>, S: Inside> Service<ServiceRequest> for Wrapped<A, S> {
    type Response = ServiceResponse<EitherBody<S::Body>>;
    type Error = Error;
    type Future = A::Future;

    forward_ready!(service);

    fn call(&self, req: ServiceRequest) -> Self::Future {
        self.around.call(&self.service, req)
    }
}
