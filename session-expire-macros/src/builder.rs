//! A function that builds a scope or a resource: what it returns is wrapped.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Error, FnArg, GenericArgument, ItemFn, Path, PathArguments, Result, ReturnType, Type,
    TypeParamBound, parse_quote,
};

use crate::model::Patch;

/// What a building function returns.
pub(crate) struct Product {
    /// The return type, with every `impl` in it left open for the body to infer.
    open: Type,
    fallible: bool,
}

impl Product {
    /// `None` means the function is a handler.
    pub(crate) fn of(item: &ItemFn) -> Result<Option<Self>> {
        let ReturnType::Type(_, ty) = &item.sig.output else { return without_return(item) };
        let ty = bare(ty);
        match (item.sig.asyncness.is_some(), Self::of_type(ty)) {
            // An async `-> Resource` may be a handler that answers with the author's own type of
            // that name. `HttpServiceFactory` says what it is.
            (true, Some(product)) if mentions_factory(ty) => Ok(Some(product)),
            (true, _) => Ok(None),
            (false, Some(product)) => Ok(Some(product)),
            (false, None) if has_bound(ty, "Future") => Ok(None),
            (false, None) => Err(not_a_service(item, ty)),
        }
    }

    fn of_type(ty: &Type) -> Option<Self> {
        let mut open = ty.clone();
        if is_service(ty) {
            leave_open(&mut open);
            return Some(Self { open, fallible: false });
        }
        let service = result_of(&mut open).filter(|inner| is_service(inner))?;
        leave_open(service);
        Some(Self { open, fallible: true })
    }
}

/// `Scope` stays `Scope`, so that the import of its name is still used. `impl …` becomes `_`.
fn leave_open(service: &mut Type) {
    match service {
        Type::Path(ty) if !mentions_impl(ty) => {}
        Type::Path(ty) => {
            if let Some(last) = ty.path.segments.last_mut() {
                last.arguments = PathArguments::AngleBracketed(parse_quote!(<_>));
            }
        }
        other => *other = parse_quote!(_),
    }
}

fn mentions_impl(ty: &impl ToTokens) -> bool {
    fn search(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(word) => word == "impl",
            TokenTree::Group(group) => search(group.stream()),
            _ => false,
        })
    }
    search(ty.to_token_stream())
}

fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

fn is_service(ty: &Type) -> bool {
    has_bound(ty, "HttpServiceFactory") || is_concrete(ty)
}

fn is_concrete(ty: &Type) -> bool {
    matches!(bare(ty), Type::Path(ty) if ends_with(&ty.path, &["Scope", "Resource"]))
}

fn has_bound(ty: &Type, name: &str) -> bool {
    let Type::ImplTrait(ty) = bare(ty) else { return false };
    let named = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Trait(bound) if ends_with(&bound.path, &[name]));
    ty.bounds.iter().any(named)
}

fn ends_with(path: &Path, names: &[&str]) -> bool {
    path.segments.last().is_some_and(|last| names.iter().any(|name| last.ident == name))
}

fn mentions_factory(ty: &Type) -> bool {
    let mut ty = ty.clone();
    has_bound(&ty, "HttpServiceFactory")
        || result_of(&mut ty).is_some_and(|inner| has_bound(inner, "HttpServiceFactory"))
}

/// The `T` of a `Result<T, …>`.
fn result_of(ty: &mut Type) -> Option<&mut Type> {
    let Type::Path(ty) = ty else { return None };
    let last = ty.path.segments.last_mut().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(args) = &mut last.arguments else { return None };
    match args.args.first_mut() {
        Some(GenericArgument::Type(inner)) => Some(inner),
        _ => None,
    }
}

fn without_return(item: &ItemFn) -> Result<Option<Product>> {
    match item.sig.asyncness {
        Some(_) => Ok(None),
        None => Err(not_a_service(item, &item.sig.ident)),
    }
}

fn not_a_service(item: &ItemFn, at: &impl ToTokens) -> Error {
    if item.sig.inputs.iter().any(takes_service_config) {
        return Error::new_spanned(&item.sig.ident, CONFIGURES);
    }
    Error::new_spanned(at, NOT_A_SERVICE)
}

fn takes_service_config(arg: &FnArg) -> bool {
    let FnArg::Typed(arg) = arg else { return false };
    let Type::Reference(ty) = bare(&arg.ty) else { return false };
    matches!(bare(&ty.elem), Type::Path(ty) if ends_with(&ty.path, &["ServiceConfig"]))
}

const CONFIGURES: &str = "a `ServiceConfig` has no place for a policy: return a scope instead, \
                          such as `fn admin() -> impl HttpServiceFactory { \
                          web::scope(\"/admin\").configure(routes) }`";

const NOT_A_SERVICE: &str = "a session policy needs a handler (`async fn`) or a function that \
                             returns a scope or a resource (`-> impl HttpServiceFactory`)";

/// The body moves into a closure, so that a `return` or `?` in it doesn't get past the policy.
pub(crate) fn expand(mut item: ItemFn, product: &Product, patch: &Patch) -> TokenStream {
    let built = call_of_body(&item, product);
    let wrapped = wrapped(&item.sig.output, product, patch);
    hide_concrete_type(&mut item.sig.output);
    *item.block = parse_quote!({
        #[allow(clippy::redundant_closure_call)]
        let __built = #built;
        #wrapped
    });
    item.into_token_stream()
}

/// Every token of the call is placed at the return type: that is where the compiler points, once,
/// when what the function returns can't be wrapped.
fn wrapped(output: &ReturnType, product: &Product, patch: &Patch) -> TokenStream {
    let at = match output {
        ReturnType::Type(_, ty) => Span::call_site().located_at(ty.span()),
        ReturnType::Default => Span::call_site(),
    };
    let wrapped = quote_spanned! {at=>
        ::session_expire::__private::WrapWithPolicy::wrap_with_policy(__built, #patch)
    };
    if product.fallible { quote_spanned!(at=> __built.map(|__built| #wrapped)) } else { wrapped }
}

fn call_of_body(item: &ItemFn, product: &Product) -> TokenStream {
    let (body, ty) = (&item.block, &product.open);
    match item.sig.asyncness {
        Some(_) => quote!((async move || -> #ty #body)().await),
        None => quote!((move || -> #ty #body)()),
    }
}

/// A wrapped `Scope` is another type than a `Scope`, one that has no name to write.
fn hide_concrete_type(output: &mut ReturnType) {
    let ReturnType::Type(_, ty) = output else { return };
    let service = match result_of(ty) {
        Some(inner) => inner,
        None => ty,
    };
    if is_concrete(service) {
        *service =
            parse_quote!(impl ::session_expire::__private::actix_web::dev::HttpServiceFactory);
    }
}
