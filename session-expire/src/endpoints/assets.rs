//! Script and style of the warning dialog.

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

/// Serves a file whose name changes with its content. Every session may load it: a file must not
/// end a session that the page it belongs to still accepts.
pub(super) fn asset(asset: Asset) -> impl HttpServiceFactory + 'static {
    let send = move |req: HttpRequest| {
        // A response to a request with cookies may set one: no shared cache may have it then.
        let cache = match req.headers().contains_key(COOKIE) {
            true => "private, max-age=31536000, immutable",
            false => "public, max-age=31536000, immutable",
        };
        async move {
            HttpResponse::Ok()
                .insert_header((CONTENT_TYPE, asset.kind))
                .insert_header((CACHE_CONTROL, cache))
                .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .body(asset.content)
        }
    };
    web::resource(asset.path())
        .wrap(PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off))
        .route(web::get().to(send))
}
