//! Compression of responses.

use std::io::Write;

use actix_web::{
    HttpMessage, Result,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ResponseHead, ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{
            AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, Encoding, HeaderMap,
            HeaderName, HeaderValue, VARY,
        },
    },
    middleware::Next,
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};

/// Shortest body in bytes that is compressed.
const MIN_BYTES: u64 = 1_024;

pub(crate) const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// `Vary` header of responses that depend on the codings that the client accepts.
pub(crate) const VARY_BY_CODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// Middleware that compresses pages for anonymous visitors, and the scripts and styles of
/// session-expire.
///
/// It does not compress streams, because a compressor would delay events.
pub(crate) async fn compress(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>> {
    let is_accepted = accepts_gzip(&req);
    let mut res = next.call(req).await?.map_into_boxed_body();
    if !may_compress(res.status(), res.headers(), res.response().body().size()) {
        return Ok(res);
    }
    res.headers_mut().append(VARY, VARY_BY_CODING);
    // A 304 has the `Vary` header of the 200, and no body (RFC 9110 §15.4.5).
    match is_accepted && res.status() != StatusCode::NOT_MODIFIED {
        true => Ok(res.map_body(compress_body)),
        false => Ok(res),
    }
}

/// Returns `true` if the client accepts gzip.
pub(crate) fn accepts_gzip(req: &impl HttpMessage) -> bool {
    let codings = [Encoding::identity(), Encoding::gzip()];
    let accepted = req.get_header::<AcceptEncoding>();
    accepted.and_then(|accepted| accepted.negotiate(codings.iter())) == Some(Encoding::gzip())
}

/// Returns `content` in gzip format, or `None` if that is not shorter.
pub(crate) fn gzip(content: &[u8], level: Compression) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    // Writing to memory does not fail.
    encoder.write_all(content).ok()?;
    let compressed = encoder.finish().ok()?;
    (compressed.len() < content.len()).then(|| compressed.into())
}

/// Returns `true` if the response is compressed for clients that accept it.
///
/// Responses with `no-store` are not compressed, because they contain private data. The size of a
/// compressed page reveals text that occurs twice. An attacker who can set text in the URL and see
/// the size can guess the data (BREACH). Scripts and styles contain no private data.
fn may_compress(status: StatusCode, headers: &HeaderMap, size: BodySize) -> bool {
    let is_large = matches!(size, BodySize::Sized(MIN_BYTES..)) && is_text(headers);
    (is_large || status == StatusCode::NOT_MODIFIED)
        && !headers.contains_key(CONTENT_ENCODING)
        && !contains(headers, &CACHE_CONTROL, "no-store")
        // The handler has chosen the coding.
        && !contains(headers, &VARY, "accept-encoding")
}

fn compress_body(head: &mut ResponseHead, body: BoxBody) -> BoxBody {
    let content = match body.try_into_bytes() {
        Ok(content) => content,
        Err(stream) => return stream,
    };
    match gzip(&content, Compression::default()) {
        Some(compressed) => {
            head.headers_mut().insert(CONTENT_ENCODING, GZIP);
            BoxBody::new(compressed)
        }
        None => BoxBody::new(content),
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    [&b"text/"[..], b"image/svg+xml", b"application/json"].iter().any(|text| kind.starts_with(text))
        && !kind.starts_with(b"text/event-stream")
}

fn contains(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let texts = headers.get_all(name).filter_map(|value| value.to_str().ok());
    let mut words = texts.flat_map(|text| text.split(','));
    words.any(|other| other.trim().eq_ignore_ascii_case(word))
}
