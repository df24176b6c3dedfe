//! What the middleware wraps.

use std::pin::Pin;

use actix_identity::IdentityMiddleware;
use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
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
pub(super) type WithIdentity<S> = <IdentityMiddleware as Transform<S, ServiceRequest>>::Transform;

/// Future of a request that waits for I/O.
pub(super) type Boxed<B> = Pin<Box<dyn Future<Output = MiddlewareResult<B>>>>;

/// Future of a service further in.
pub(super) type IdentityFuture<S> = <WithIdentity<S> as Service<ServiceRequest>>::Future;
