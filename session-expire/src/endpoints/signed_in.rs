//! Last page of the sign-in for a locked page.
//!
//! The dialog of a locked page opens the login page in a new tab, with this page as the return
//! path. The page notifies the other tabs and closes its own. It names no user.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};

use crate::{
    config::SIGNED_IN,
    context::{RequestContext, access::AccessState},
    dialog::{
        assets::{SIGNED_IN_SCRIPT, SIGNED_IN_STYLE},
        html::{Markup, channel_attribute, escape},
        texts::DialogTexts,
    },
    error::SetupError,
    request::return_path::login_location,
    response::problem::unavailable,
    session::verdict::Verdict,
};

const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Responds with 200 to visitors without an active session, too, because the middleware would
/// replace a 401 with a redirect.
pub(super) async fn signed_in(req: HttpRequest) -> Result<HttpResponse, SetupError> {
    let context = RequestContext::get(&req)?;
    if *context.access() == AccessState::Unavailable {
        return Ok(unavailable());
    }
    let config = context.config();
    let texts = config.dialog_texts(&req);
    let page = match context.verdict() {
        Verdict::Active(_) => signed_in_page(&texts, &config.prefix),
        _ => {
            let own_path = format!("{}{SIGNED_IN}", config.prefix);
            let login = login_location(&context.policy().login_url, Some(&own_path));
            visitor_page(&texts, &config.prefix, &login)
        }
    };
    Ok(HttpResponse::Ok()
        .insert_header(ContentType::html())
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((VARY, "Cookie, Accept-Language"))
        .body(page.to_string()))
}

fn signed_in_page(texts: &DialogTexts, prefix: &str) -> Markup {
    let (path, channel) = (SIGNED_IN_SCRIPT.path(), channel_attribute(prefix));
    let head = format!("<script src=\"{}/{path}\"{channel} defer></script>", escape(prefix));
    page(texts, prefix, &texts.signed_in, &head, "")
}

fn visitor_page(texts: &DialogTexts, prefix: &str, login: &str) -> Markup {
    let link = format!("<p><a href=\"{}\">{}</a></p>", escape(login), escape(&texts.sign_in));
    page(texts, prefix, &texts.not_signed_in, "", &link)
}

/// Returns a page with `text` as its heading and its title.
fn page(texts: &DialogTexts, prefix: &str, text: &str, head: &str, end: &str) -> Markup {
    let (lang, dir, text) = (escape(&texts.lang), escape(&texts.dir), escape(text));
    let (prefix, style) = (escape(prefix), SIGNED_IN_STYLE.path());
    Markup::new(format!(
        "<!doctype html><html lang=\"{lang}\" dir=\"{dir}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{text}</title>\
         <link rel=\"stylesheet\" href=\"{prefix}/{style}\">{head}</head><body><main><h1>{text}</h1>{end}</main></body></html>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_paths_are_escaped() {
        let mut texts = DialogTexts::default();
        for text in [
            &mut texts.signed_in,
            &mut texts.not_signed_in,
            &mut texts.sign_in,
            &mut texts.lang,
            &mut texts.dir,
        ] {
            *text = "\"><b>".into();
        }
        for page in [signed_in_page(&texts, "/\"><b>"), visitor_page(&texts, "/\"><b>", "/\"><b>")]
        {
            let html = page.to_string();
            assert!(!html.contains("<b>") && html.contains("&lt;b&gt;"), "{html}");
        }
    }
}
