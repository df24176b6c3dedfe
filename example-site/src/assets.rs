//! Static files: a style sheet, scripts and an icon.
//!
//! Nothing is inline, because the content security policy allows only files of the site's origin.

use std::{fmt, sync::LazyLock};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    dev::HttpServiceFactory,
    http::header::{
        CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETag, EntityTag, IfNoneMatch, VARY,
    },
    web::{self, Bytes},
};
use flate2::Compression;
use session_expire::{Limit, PolicyPatch};

use crate::compression::{GZIP, VARY_BY_CODING, accepts_gzip, gzip};

/// Static file. Displays its URL.
pub(crate) struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    /// Hash of the content, calculated at compile time: every page contains it.
    hash: u64,
}

pub(crate) const STYLE: Asset =
    Asset::new("site.css", "text/css; charset=utf-8", include_str!("../static/site.css"));

pub(crate) const CLOCK: Asset = script("clock.js", include_str!("../static/clock.js"));

pub(crate) const COUNTDOWN: Asset = script("countdown.js", include_str!("../static/countdown.js"));

pub(crate) const DRAFT: Asset = script("draft.js", include_str!("../static/draft.js"));

pub(crate) const CHAT: Asset = script("chat.js", include_str!("../static/chat.js"));

pub(crate) const DEVICES: Asset = script("devices.js", include_str!("../static/devices.js"));

pub(crate) const TIMES: Asset = script("times.js", include_str!("../static/times.js"));

pub(crate) const POLL: Asset = script("poll.js", include_str!("../static/poll.js"));

pub(crate) const ASK_FIRST: Asset = script("ask_first.js", include_str!("../static/ask_first.js"));

pub(crate) const NAVIGATION: Asset =
    script("navigation.js", include_str!("../static/navigation.js"));

pub(crate) const SUBMIT_ONCE: Asset =
    script("submit_once.js", include_str!("../static/submit_once.js"));

pub(crate) const ICON: Asset =
    Asset::new("icon.svg", "image/svg+xml", include_str!("../static/icon.svg"));

/// All files.
const ASSETS: [Asset; 12] = [
    STYLE,
    CLOCK,
    COUNTDOWN,
    DRAFT,
    CHAT,
    DEVICES,
    TIMES,
    POLL,
    ASK_FIRST,
    NAVIGATION,
    SUBMIT_ONCE,
    ICON,
];

const fn script(name: &'static str, content: &'static str) -> Asset {
    Asset::new(name, "text/javascript; charset=utf-8", content)
}

impl Asset {
    const fn new(name: &'static str, kind: &'static str, content: &'static str) -> Self {
        Self { name, kind, content, hash: fnv1a(content.as_bytes()) }
    }

    fn version(&self) -> String {
        format!("{:016x}", self.hash)
    }
}

impl fmt::Display for Asset {
    /// Writes a URL that changes with the content, which lets browsers cache the file indefinitely.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/static/{}?v={}", self.name, self.version())
    }
}

/// Returns the FNV-1a hash. It distinguishes versions of a file and is not cryptographic.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// Static file in each coding that the service sends.
struct File {
    asset: Asset,
    plain: Representation,
    /// `None` if compression does not make the file shorter.
    gzip: Option<Representation>,
}

/// Bytes of a file in one coding. The entity tag is strong, so each coding has its own.
struct Representation {
    body: Bytes,
    tag: EntityTag,
}

/// All files. All workers share the compressed content.
static FILES: LazyLock<Vec<File>> = LazyLock::new(|| ASSETS.into_iter().map(File::new).collect());

impl File {
    fn new(asset: Asset) -> Self {
        let version = asset.version();
        let gzip = gzip(asset.content.as_bytes(), Compression::best()).map(|body| Representation {
            body,
            tag: EntityTag::new_strong(version.clone() + "-gzip"),
        });
        let body = Bytes::from_static(asset.content.as_bytes());
        Self { asset, plain: Representation { body, tag: EntityTag::new_strong(version) }, gzip }
    }

    /// Returns the file, or 304 if the client has it.
    fn respond(&self, req: &HttpRequest) -> HttpResponse {
        let gzip = self.gzip.as_ref().filter(|_| accepts_gzip(req));
        let sent = gzip.unwrap_or(&self.plain);
        let is_known = has_tag(req, &sent.tag);
        let mut response = match is_known {
            true => HttpResponse::NotModified(),
            false => HttpResponse::Ok(),
        };
        response
            .insert_header((CACHE_CONTROL, self.cache_control(req)))
            .insert_header(ETag(sent.tag.clone()))
            .insert_header((VARY, VARY_BY_CODING));
        if is_known {
            return response.finish();
        }
        if gzip.is_some() {
            response.insert_header((CONTENT_ENCODING, GZIP));
        }
        response.insert_header((CONTENT_TYPE, self.asset.kind)).body(sent.body.clone())
    }

    /// Returns the `Cache-Control` header. Caches must not store the content under the URL of
    /// another version: during a rolling deployment, a page may request the version of another
    /// process.
    fn cache_control(&self, req: &HttpRequest) -> &'static str {
        match req.query_string().strip_prefix("v=") == Some(&self.asset.version()) {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        }
    }
}

fn has_tag(req: &HttpRequest, tag: &EntityTag) -> bool {
    match req.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
        None => false,
    }
}

/// Returns the service of the files. Loading one is not activity and ends no session.
pub(crate) fn service() -> impl HttpServiceFactory + 'static {
    let policy = PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off);
    FILES
        .iter()
        .fold(web::scope("/static"), |scope, file| {
            let send = move |req: HttpRequest| async move { file.respond(&req) };
            scope.service(web::resource(file.asset.name).get(send).head(send))
        })
        .wrap(policy.exempt_from_standards("public files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Right-to-left pages need logical sides. Safari 15.4, Chrome 97 and Firefox 98 lack the
    /// recent features.
    #[test]
    fn style_sheet_has_no_physical_side_and_no_recent_feature() {
        for word in
            ["-left", "-right", "left:", "right:", ":has(", "light-dark(", "color-mix(", "&"]
        {
            assert!(!STYLE.content.contains(word), "{word}");
        }
    }

    #[test]
    fn style_sheet_has_weights_of_static_fonts_only() {
        for weight in STYLE.content.split("font-weight: ").skip(1) {
            let weight = weight.split(';').next().unwrap_or_default();
            assert!(["400", "600", "700"].contains(&weight), "{weight}");
        }
    }
}
