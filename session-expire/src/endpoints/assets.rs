//! Endpoints for the script and the style of the warning dialog.
//!
//! Caches may store the files for a year, because their names change with the content. During a
//! rolling deployment, a page may request the version of another process. The process that receives
//! the request sends its own version, which caches must revalidate.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    dev::HttpServiceFactory,
    http::header::{
        CACHE_CONTROL, CONTENT_TYPE, COOKIE, ETag, EntityTag, IfNoneMatch, X_CONTENT_TYPE_OPTIONS,
    },
    web,
};

use crate::{
    dialog::assets::Asset,
    policy::{PolicyPatch, limit::Limit},
};

/// Returns a resource that serves `asset`. Its policy has no timeouts: a file must not end a
/// session that its page still accepts.
pub(super) fn asset_resource(asset: Asset) -> impl HttpServiceFactory + 'static {
    let send = move |req: HttpRequest, version: web::Path<String>| async move {
        respond(asset, &version, &req)
    };
    let policy = PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off);
    web::resource(asset.path_pattern())
        .wrap(policy.exempt_from_standards("public file"))
        .get(send)
        .head(send)
}

/// Returns the file, or 304 if the client has the current version. `version` is the requested one.
fn respond(asset: Asset, version: &str, req: &HttpRequest) -> HttpResponse {
    let current = asset.version();
    let cache = cache_control(version == current, req.headers().contains_key(COOKIE));
    // The tag is weak, because a compressing middleware of the application may change the bytes.
    let tag = EntityTag::new_weak(current);
    let is_known = has_tag(req, &tag);
    let mut response = match is_known {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    response
        .insert_header((CACHE_CONTROL, cache))
        .insert_header(ETag(tag))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    match is_known {
        true => response.finish(),
        false => response.insert_header((CONTENT_TYPE, asset.content_type)).body(asset.content),
    }
}

/// Returns the `Cache-Control` header. The response to a request with cookies may set a cookie, so
/// no shared cache may store it.
fn cache_control(is_current: bool, has_cookies: bool) -> &'static str {
    match (is_current, has_cookies) {
        (true, true) => "private, max-age=31536000, immutable",
        (true, false) => "public, max-age=31536000, immutable",
        (false, true) => "private, no-cache",
        (false, false) => "no-cache",
    }
}

fn has_tag(req: &HttpRequest, tag: &EntityTag) -> bool {
    match req.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
        None => false,
    }
}
