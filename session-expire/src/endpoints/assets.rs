//! Endpoints for the script and the style of the warning dialog.
//!
//! Caches may store the files for a year, because their names change with the content.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::HttpServiceFactory,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, X_CONTENT_TYPE_OPTIONS},
    web,
};

use crate::{
    dialog::assets::Asset,
    policy::{PolicyPatch, limit::Limit},
};

/// Returns a resource that serves `asset`. Its policy has no timeouts: a file must not end a
/// session that its page still accepts.
pub(super) fn asset_resource(asset: Asset) -> impl HttpServiceFactory + 'static {
    let send = move |req: HttpRequest| {
        // The response to a request with cookies may set a cookie. No shared cache may store it.
        let cache = match req.headers().contains_key(COOKIE) {
            true => "private, max-age=31536000, immutable",
            false => "public, max-age=31536000, immutable",
        };
        async move {
            HttpResponse::Ok()
                .insert_header((CONTENT_TYPE, asset.content_type))
                .insert_header((CACHE_CONTROL, cache))
                .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .body(asset.content)
        }
    };
    let policy = PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off);
    web::resource(asset.path())
        .wrap(policy.exempt_from_standards("public file"))
        .route(web::get().to(send))
}
