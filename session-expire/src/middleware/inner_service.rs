//! Types of the services that the middleware wraps.
//!
//! The middleware and its policy layers use them.

use std::pin::Pin;

use actix_identity::IdentityMiddleware;
use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
};

/// Alias for services that the middleware can wrap.
pub trait InnerService:
    Service<ServiceRequest, Response = ServiceResponse<<Self as InnerService>::Body>, Error = Error>
    + 'static
{
    /// Body of the responses.
    type Body: MessageBody + 'static;
}

impl<S, B> InnerService for S
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Body = B;
}

/// Result of a request that passed the middleware.
pub(crate) type MiddlewareResult<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

/// Service wrapped in `IdentityMiddleware`.
pub(super) type WithIdentity<S> = <IdentityMiddleware as Transform<S, ServiceRequest>>::Transform;

/// Boxed future of a request that waits for I/O.
pub(super) type BoxedResponseFuture<B> = Pin<Box<dyn Future<Output = MiddlewareResult<B>>>>;

/// Response future of a service wrapped in `IdentityMiddleware`.
pub(super) type IdentityFuture<S> = <WithIdentity<S> as Service<ServiceRequest>>::Future;
