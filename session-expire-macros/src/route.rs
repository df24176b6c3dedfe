//! Actix's route attributes, and how a policy is hung on them.
//!
//! `#[get("/x", wrap = "A", wrap = "B")]` becomes `.wrap(A).wrap(B)`: the last one is outermost and
//! runs first (actix-web-codegen 4, `route.rs`). A policy must be judged before the wraps of the
//! handler's author, so it is listed last. The policy of a module must be further out than that of
//! a handler in it, so that the handler has the last word; and the module's attribute expands first.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, MetaNameValue, Path, Token};

use crate::model::Patch;

const NAMES: [&str; 11] = [
    "connect", "delete", "get", "head", "options", "patch", "post", "put", "query", "route",
    "trace",
];

/// Stands in front of each wrap of ours, so that it isn't mistaken for one the author wrote. Actix
/// reads the text as an expression, and drops the comment.
const MARK: &str = "/* #[session_policy] */ ";

/// Hangs the policy on every route of a function. `false` means there was none to hang it on: only
/// what was changed counts, for other crates have attributes of the same names, such as `#[trace]`.
pub(crate) fn wrap(attrs: &mut [Attribute], patch: &Patch) -> bool {
    attrs.iter_mut().map(|attr| wrap_meta(&mut attr.meta, patch)).sum::<usize>() > 0
}

/// The functions of a module still carry their `cfg_attr`, with the route inside.
fn wrap_meta(meta: &mut Meta, patch: &Patch) -> usize {
    let Some(mut parts) = conditional(meta) else { return wrap_route(meta, patch) };
    let wrapped = parts.iter_mut().skip(1).map(|part| wrap_meta(part, patch)).sum();
    replace_tokens(meta, parts.to_token_stream());
    wrapped
}

fn conditional(meta: &Meta) -> Option<Punctuated<Meta, Token![,]>> {
    match meta {
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            list.parse_args_with(Punctuated::parse_terminated).ok()
        }
        _ => None,
    }
}

fn wrap_route(meta: &mut Meta, patch: &Patch) -> usize {
    let Some(mut route) = route(meta) else { return 0 };
    route.add(patch);
    replace_tokens(meta, route.to_token_stream());
    1
}

fn route(meta: &Meta) -> Option<RouteArgs> {
    match meta {
        Meta::List(list) if is_route_name(&list.path) => list.parse_args().ok(),
        _ => None,
    }
}

fn is_route_name(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| NAMES.iter().any(|name| last.ident == name))
}

fn replace_tokens(meta: &mut Meta, tokens: TokenStream) {
    if let Meta::List(list) = meta {
        list.tokens = tokens;
    }
}

/// `"/path", guard = "…", wrap = "…"`
struct RouteArgs {
    path: LitStr,
    options: Vec<MetaNameValue>,
}

impl RouteArgs {
    fn add(&mut self, patch: &Patch) {
        let text = format!("{MARK}{}", patch.to_token_stream());
        let text = LitStr::new(&text, Span::call_site());
        let place = self.options.iter().position(is_ours).unwrap_or(self.options.len());
        self.options.insert(place, syn::parse_quote!(wrap = #text));
    }
}

fn is_ours(option: &MetaNameValue) -> bool {
    matches!(&option.value, Expr::Lit(ExprLit { lit: Lit::Str(text), .. })
        if option.path.is_ident("wrap") && text.value().starts_with(MARK))
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

    fn passive(flag: bool) -> Patch {
        Patch { passive: Some(flag), ..Patch::default() }
    }

    /// Each `true`, `false`, `A` in the order of the wraps, innermost first.
    fn order(item: &ItemFn) -> Vec<String> {
        let Meta::List(list) = &item.attrs[0].meta else { unreachable!() };
        let route: RouteArgs = list.parse_args().unwrap();
        route.options.iter().map(|option| option.value.to_token_stream().to_string()).collect()
    }

    #[test]
    fn the_policy_is_outside_the_wraps_of_the_author() {
        let mut item: ItemFn = parse_quote!(
            #[actix_web::get("/x", wrap = "A", wrap = "B")]
            async fn x() {}
        );
        assert!(wrap(&mut item.attrs, &passive(true)));
        let order = order(&item);
        assert_eq!(order[..2], ["\"A\"", "\"B\""]);
        assert!(order[2].contains("passive (true)"), "{order:?}");
    }

    #[test]
    fn the_policy_of_the_handler_is_inside_the_policy_of_the_module() {
        let mut item: ItemFn = parse_quote!(
            #[route("/x", method = "GET", wrap = "A")]
            async fn x() {}
        );
        wrap(&mut item.attrs, &passive(false));
        wrap(&mut item.attrs, &passive(true));
        let order = order(&item);
        assert!(order[2].contains("passive (true)"), "{order:?}");
        assert!(order[3].contains("passive (false)"), "{order:?}");
    }

    #[test]
    fn a_route_inside_cfg_attr_is_found() {
        let mut item: ItemFn = parse_quote!(
            #[cfg_attr(feature = "x", doc = "x", get("/x"))]
            async fn x() {}
        );
        assert!(wrap(&mut item.attrs, &passive(true)));
        assert!(item.to_token_stream().to_string().contains("PolicyPatch"));
    }

    #[test]
    fn a_function_without_a_route_is_left_alone() {
        let mut item: ItemFn = parse_quote!(
            #[getter]
            #[doc = "get"]
            #[fastrace::trace]
            #[trace(name = "x")]
            async fn x() {}
        );
        assert!(!wrap(&mut item.attrs, &passive(true)));
        assert!(!item.to_token_stream().to_string().contains("PolicyPatch"));
    }
}
