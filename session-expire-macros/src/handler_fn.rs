//! Handlers without a visible route attribute: the policy becomes the first extractor.
//!
//! Actix starts the extractors of a handler from left to right, and runs each until its first
//! `await`. The first extractor applies the policy before it awaits, so all others see its result.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::{Error, FnArg, ItemFn, PatType, Result, Token, Visibility, parse_quote};

use crate::args::Patch;

/// Actix implements `Handler` for functions with at most this many arguments.
const MAX_EXTRACTORS: usize = 16;

/// Clippy warns about functions with more arguments. The hidden argument must not cause that
/// warning.
const CLIPPY_MAX_ARGUMENTS: usize = 7;

pub(crate) fn expand(mut item: ItemFn, patch: &Patch) -> Result<TokenStream> {
    let policy = format_ident!("__SessionPolicy_{}", item.sig.ident);
    if item.sig.inputs.len() == CLIPPY_MAX_ARGUMENTS {
        item.attrs.insert(0, parse_quote!(#[allow(clippy::too_many_arguments)]));
    }
    insert_extractor(&mut item.sig.inputs, &policy)?;
    let policy = declare_policy(&item.vis, &policy, patch);
    Ok(quote!(#item #policy))
}

fn insert_extractor(args: &mut Punctuated<FnArg, Token![,]>, policy: &Ident) -> Result<()> {
    let extractor = quote!(::session_expire::__private::PolicyExtractor<#policy>);
    if let Some(surplus) = args.iter().nth(MAX_EXTRACTORS) {
        return Err(Error::new_spanned(surplus, TOO_MANY));
    }
    let full = args.len() == MAX_EXTRACTORS;
    match args.first_mut() {
        Some(FnArg::Typed(PatType { pat, ty, .. })) if full => {
            *pat = parse_quote!((_, #pat));
            *ty = parse_quote!((#extractor, #ty));
        }
        _ => args.insert(0, parse_quote!(_: #extractor)),
    }
    Ok(())
}

const TOO_MANY: &str = "a handler must not have more than 16 extractors; combine some of them in a \
                        tuple, such as `(a, b): (A, B)`";

/// The type has the visibility of the handler: rustc warns about a private type in a public
/// signature.
fn declare_policy(vis: &Visibility, policy: &Ident, patch: &Patch) -> impl ToTokens {
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, unreachable_pub)]
        #vis struct #policy;

        impl ::session_expire::__private::HandlerPolicy for #policy {
            const NAME: &'static ::core::primitive::str = ::core::concat!(
                ::core::module_path!(),
                "::",
                ::core::stringify!(#policy),
            );

            fn patch() -> &'static ::session_expire::PolicyPatch {
                static PATCH: ::std::sync::OnceLock<::session_expire::PolicyPatch> =
                    ::std::sync::OnceLock::new();
                PATCH.get_or_init(|| #patch)
            }
        }
    }
}
