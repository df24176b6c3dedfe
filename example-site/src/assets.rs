//! Static files: a style sheet, scripts and an icon.
//!
//! Nothing is inline, because the content security policy allows only files of the site's origin.

use std::fmt;

use actix_web::{
    HttpResponse,
    dev::HttpServiceFactory,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web,
};
use session_expire::{Limit, PolicyPatch};

/// Static file. Displays its URL.
pub(crate) struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

pub(crate) const STYLE: Asset = Asset {
    name: "site.css",
    kind: "text/css; charset=utf-8",
    content: include_str!("../static/site.css"),
};

pub(crate) const COUNTDOWN: Asset = script("countdown.js", include_str!("../static/countdown.js"));

pub(crate) const DRAFT: Asset = script("draft.js", include_str!("../static/draft.js"));

pub(crate) const CHAT: Asset = script("chat.js", include_str!("../static/chat.js"));

pub(crate) const DEVICES: Asset = script("devices.js", include_str!("../static/devices.js"));

pub(crate) const SUBMIT_ONCE: Asset =
    script("submit_once.js", include_str!("../static/submit_once.js"));

pub(crate) const ICON: Asset =
    Asset { name: "icon.svg", kind: "image/svg+xml", content: include_str!("../static/icon.svg") };

const fn script(name: &'static str, content: &'static str) -> Asset {
    Asset { name, kind: "text/javascript; charset=utf-8", content }
}

impl fmt::Display for Asset {
    /// Writes a URL that changes with the content, which lets browsers cache the file indefinitely.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/static/{}?v={:016x}", self.name, fnv1a(self.content.as_bytes()))
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Returns the service of the files. Loading one is not activity and ends no session.
pub(crate) fn service() -> impl HttpServiceFactory + 'static {
    let files = [STYLE, COUNTDOWN, DRAFT, CHAT, DEVICES, SUBMIT_ONCE, ICON].into_iter();
    let policy = PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off);
    files
        .fold(web::scope("/static"), |scope, file| {
            let Asset { name, kind, content } = file;
            scope.route(name, web::get().to(move || send(kind, content)))
        })
        .wrap(policy.exempt_from_standards("public files"))
}

async fn send(kind: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(content)
}
