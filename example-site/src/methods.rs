//! Responses to methods that a path does not support.

use actix_web::{
    Result,
    body::{BoxBody, MessageBody},
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    http::header::ALLOW,
    middleware::{Next, from_fn},
    web,
};

use crate::pages::not_found;

/// Returns the service of all other paths. It responds with 405 if the path supports other methods,
/// else with 404. It must be registered last.
///
/// Each handler with a route attribute is a resource for one method. The guards of these resources
/// record their methods in the request. A resource without routes lists them in `Allow`.
pub(crate) fn other_paths() -> impl HttpServiceFactory {
    web::resource("/{path:.*}").wrap(from_fn(respond))
}

async fn respond(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>> {
    let res = next.call(req).await?.map_into_boxed_body();
    if res.headers().contains_key(ALLOW) {
        return Ok(res);
    }
    let page = not_found(res.request().clone()).await?;
    Ok(res.into_response(page))
}
