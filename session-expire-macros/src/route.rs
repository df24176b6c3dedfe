//! Route attributes of Actix Web: the policy becomes their last `wrap`.
//!
//! `#[get("/x", wrap = "A", wrap = "B")]` expands to `.wrap(A).wrap(B)`, and the last wrap runs first
//! (actix-web-codegen 4, `route.rs`). The policy must be checked before the wraps of the handler,
//! so it is the last one.
//!
//! A route has at most one policy layer. The attribute of a module expands before the attributes
//! inside it, and each of these merges its patch into the existing layer. With two layers, the
//! outer one would require a login before the inner one could set `require_login = false`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, MetaNameValue, Path, Token};

use crate::args::Patch;

const ROUTE_NAMES: [&str; 11] = [
    "connect", "delete", "get", "head", "options", "patch", "post", "put", "query", "route",
    "trace",
];

/// Comment at the start of each generated wrap, which distinguishes it from wraps in the source.
/// Actix parses the text as an expression and drops the comment.
const MARKER: &str = "/* #[session_policy] */ ";

/// Adds the policy to every route of a function. Returns `false` if no route was changed: a name is
/// not enough, because other crates have attributes such as `#[trace]`.
pub(crate) fn wrap(attrs: &mut [Attribute], patch: &Patch) -> bool {
    attrs.iter_mut().map(|attr| wrap_meta(&mut attr.meta, patch)).sum::<usize>() > 0
}

/// Returns the number of routes that were changed. The functions of a module still have their
/// `cfg_attr`, which may contain a route.
fn wrap_meta(meta: &mut Meta, patch: &Patch) -> usize {
    let Some(mut parts) = cfg_attr_parts(meta) else { return wrap_route(meta, patch) };
    let wrapped = parts.iter_mut().skip(1).map(|part| wrap_meta(part, patch)).sum();
    replace_tokens(meta, parts.to_token_stream());
    wrapped
}

fn cfg_attr_parts(meta: &Meta) -> Option<Punctuated<Meta, Token![,]>> {
    match meta {
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            list.parse_args_with(Punctuated::parse_terminated).ok()
        }
        _ => None,
    }
}

fn wrap_route(meta: &mut Meta, patch: &Patch) -> usize {
    let Some(mut route) = parse_route(meta) else { return 0 };
    route.add_policy(patch);
    replace_tokens(meta, route.to_token_stream());
    1
}

fn parse_route(meta: &Meta) -> Option<RouteArgs> {
    match meta {
        Meta::List(list) if is_route_name(&list.path) => list.parse_args().ok(),
        _ => None,
    }
}

fn is_route_name(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| ROUTE_NAMES.iter().any(|name| last.ident == name))
}

fn replace_tokens(meta: &mut Meta, tokens: TokenStream) {
    if let Meta::List(list) = meta {
        list.tokens = tokens;
    }
}

/// Arguments of a route attribute: `"/path", guard = "…", wrap = "…"`.
struct RouteArgs {
    path: LitStr,
    options: Vec<MetaNameValue>,
}

impl RouteArgs {
    fn add_policy(&mut self, patch: &Patch) {
        let patch = patch.to_token_stream();
        let layer = self.options.iter_mut().find_map(|option| Some((policy_in(option)?, option)));
        match layer {
            Some((outer, option)) => {
                *option = wrap_option(&format!("{patch}.over_patch(&{outer})"));
            }
            None => self.options.push(wrap_option(&patch.to_string())),
        }
    }
}

fn wrap_option(policy: &str) -> MetaNameValue {
    let text = LitStr::new(&format!("{MARKER}{policy}"), Span::call_site());
    syn::parse_quote!(wrap = #text)
}

/// Returns the expression after the marker.
fn policy_in(option: &MetaNameValue) -> Option<String> {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &option.value else { return None };
    let is_wrap = option.path.is_ident("wrap");
    text.value().strip_prefix(MARKER).filter(|_| is_wrap).map(str::to_owned)
}

/// Moves the policy attributes of a function above its route attributes. Below a route attribute, a
/// policy expands later than the route and cannot merge into the layer of the module.
pub(crate) fn lift_policies(attrs: &mut Vec<Attribute>) {
    let (policies, others): (Vec<_>, Vec<_>) =
        attrs.drain(..).flat_map(split_cfg_attr).partition(|attr| is_policy(&attr.meta));
    attrs.extend(policies.into_iter().chain(others));
}

fn is_policy(meta: &Meta) -> bool {
    match cfg_attr_parts(meta) {
        Some(parts) => parts.len() > 1 && parts.iter().skip(1).all(is_policy),
        None => is_session_policy(meta.path()),
    }
}

pub(crate) fn is_session_policy(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| last.ident == "session_policy")
}

/// Splits `#[cfg_attr(x, a, b)]` into `#[cfg_attr(x, a)] #[cfg_attr(x, b)]`.
fn split_cfg_attr(attr: Attribute) -> Vec<Attribute> {
    let parts = cfg_attr_parts(&attr.meta).map(Vec::from_iter).unwrap_or_default();
    let [condition, metas @ ..] = &*parts else { return vec![attr] };
    let split = |meta: &Meta| {
        let mut attr = attr.clone();
        replace_tokens(&mut attr.meta, quote!(#condition, #meta));
        attr
    };
    metas.iter().map(split).collect()
}

impl Parse for RouteArgs {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path = input.parse()?;
        if input.is_empty() {
            return Ok(Self { path, options: Vec::new() });
        }
        input.parse::<Token![,]>()?;
        let options = input.parse_terminated(MetaNameValue::parse, Token![,])?;
        Ok(Self { path, options: options.into_iter().collect() })
    }
}

impl ToTokens for RouteArgs {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { path, options } = self;
        tokens.extend(quote!(#path #(, #options)*));
    }
}

#[cfg(test)]
mod tests {
    use syn::{ItemFn, parse_quote};

    use super::*;
    use crate::args::parse_patch;

    fn patch(args: &str) -> Patch {
        parse_patch(args.parse().unwrap()).unwrap()
    }

    /// The values of the `wrap` options, innermost first.
    fn wraps(item: &ItemFn) -> Vec<String> {
        let Meta::List(list) = &item.attrs[0].meta else { unreachable!() };
        let route: RouteArgs = list.parse_args().unwrap();
        route.options.iter().map(|option| option.value.to_token_stream().to_string()).collect()
    }

    #[test]
    fn policy_is_outside_the_wraps_of_the_handler() {
        let mut item: ItemFn = parse_quote!(
            #[actix_web::get("/x", wrap = "A", wrap = "B")]
            async fn x() {}
        );
        assert!(wrap(&mut item.attrs, &patch("passive")));
        let wraps = wraps(&item);
        assert_eq!(wraps[..2], ["\"A\"", "\"B\""]);
        assert!(wraps[2].contains("passive (true)"), "{wraps:?}");
    }

    #[test]
    fn policies_of_modules_and_handler_are_one_layer() {
        let mut item: ItemFn = parse_quote!(
            #[route("/x", method = "GET", wrap = "A")]
            async fn x() {}
        );
        let message = |text: &str| patch(&format!("message = {text:?}"));
        for text in ["module", "inner \"module\"", "handler"] {
            wrap(&mut item.attrs, &message(text));
        }
        let wraps = wraps(&item);
        assert_eq!(wraps.len(), 3, "{wraps:?}");
        let layer: LitStr = syn::parse_str(&wraps[2]).unwrap();
        let [handler, inner, outer] =
            ["handler", "inner \"module\"", "module"].map(|text| message(text).to_token_stream());
        let expected = quote!(#handler.over_patch(&#inner.over_patch(&#outer)));
        let layer: Expr = syn::parse_str(&layer.value()).unwrap();
        assert_eq!(layer.to_token_stream().to_string(), expected.to_string());
    }

    #[test]
    fn policy_below_a_route_moves_above_it() {
        let mut item: ItemFn = parse_quote!(
            #[doc = "x"]
            #[get("/a")]
            #[session_expire::session_policy(passive)]
            #[cfg_attr(a, post("/b"), session_policy(passive), inline)]
            #[cfg_attr(a, cfg_attr(b, session_policy(passive)))]
            async fn x() {}
        );
        lift_policies(&mut item.attrs);
        let expected: ItemFn = parse_quote!(
            #[session_expire::session_policy(passive)]
            #[cfg_attr(a, session_policy(passive))]
            #[cfg_attr(a, cfg_attr(b, session_policy(passive)))]
            #[doc = "x"]
            #[get("/a")]
            #[cfg_attr(a, post("/b"))]
            #[cfg_attr(a, inline)]
            async fn x() {}
        );
        assert_eq!(item.to_token_stream().to_string(), expected.to_token_stream().to_string());
    }

    #[test]
    fn route_in_cfg_attr_gets_the_policy() {
        let mut item: ItemFn = parse_quote!(
            #[cfg_attr(feature = "x", doc = "x", get("/x"))]
            async fn x() {}
        );
        assert!(wrap(&mut item.attrs, &patch("passive")));
        assert!(item.to_token_stream().to_string().contains("PolicyPatch"));
    }

    #[test]
    fn function_without_a_route_stays_unchanged() {
        let mut item: ItemFn = parse_quote!(
            #[getter]
            #[doc = "get"]
            #[fastrace::trace]
            #[trace(name = "x")]
            async fn x() {}
        );
        assert!(!wrap(&mut item.attrs, &patch("passive")));
        assert!(!item.to_token_stream().to_string().contains("PolicyPatch"));
    }
}
