//! An `async fn` without a visible route attribute: the policy becomes its first extractor.
//!
//! Actix calls the extractors of a handler from left to right, each until its first `await`. The
//! first one patches the policy right then, so every other extractor sees the patched session.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::{Error, FnArg, ItemFn, PatType, Result, Token, Visibility, parse_quote};

use crate::model::Patch;

/// Actix implements `Handler` for functions of up to so many arguments.
const MOST_EXTRACTORS: usize = 16;

/// Clippy's threshold. The hidden argument must not be the one that crosses it.
const CLIPPY_ARGUMENTS: usize = 7;

pub(crate) fn expand(mut item: ItemFn, patch: &Patch) -> Result<TokenStream> {
    let source = format_ident!("__SessionPolicyOf_{}", item.sig.ident);
    if item.sig.inputs.len() == CLIPPY_ARGUMENTS {
        item.attrs.insert(0, parse_quote!(#[allow(clippy::too_many_arguments)]));
    }
    put_first(&mut item.sig.inputs, &source)?;
    let source = declare(&item.vis, &source, patch);
    Ok(quote!(#item #source))
}

fn put_first(args: &mut Punctuated<FnArg, Token![,]>, source: &Ident) -> Result<()> {
    let extractor = quote!(::session_expire::__private::PolicyExtractor<#source>);
    if let Some(surplus) = args.iter().nth(MOST_EXTRACTORS) {
        return Err(Error::new_spanned(surplus, TOO_MANY));
    }
    let full = args.len() == MOST_EXTRACTORS;
    match args.first_mut() {
        Some(FnArg::Typed(PatType { pat, ty, .. })) if full => {
            *pat = parse_quote!((_, #pat));
            *ty = parse_quote!((#extractor, #ty));
        }
        _ => args.insert(0, parse_quote!(_: #extractor)),
    }
    Ok(())
}

const TOO_MANY: &str = "a handler has at most 16 extractors: take several of them as one tuple, \
                        such as `(a, b): (A, B)`";

/// As visible as the handler whose signature names it, or rustc warns of a private type there.
fn declare(vis: &Visibility, source: &Ident, patch: &Patch) -> impl ToTokens {
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, unreachable_pub)]
        #vis struct #source;

        impl ::session_expire::__private::HandlerPolicy for #source {
            const NAME: &'static ::core::primitive::str = ::core::concat!(
                ::core::module_path!(),
                "::",
                ::core::stringify!(#source),
            );

            fn patch() -> &'static ::session_expire::PolicyPatch {
                static PATCH: ::std::sync::OnceLock<::session_expire::PolicyPatch> =
                    ::std::sync::OnceLock::new();
                PATCH.get_or_init(|| #patch)
            }
        }
    }
}
