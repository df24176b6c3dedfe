//! Functions that return a scope or a resource: the returned service is wrapped.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Error, FnArg, GenericArgument, ItemFn, Path, PathArguments, Result, ReturnType, Signature,
    Type, TypeParamBound, parse_quote,
};

use crate::args::Patch;

/// Return type of a function that returns a scope or a resource.
pub(crate) struct ServiceType {
    /// The return type with each `impl` replaced with `_`, as a closure can have it.
    inferred: Type,
    is_result: bool,
}

impl ServiceType {
    /// Returns `None` if the function is a handler.
    pub(crate) fn from_signature(sig: &Signature) -> Result<Option<Self>> {
        let is_async = sig.asyncness.is_some();
        let ty = match &sig.output {
            ReturnType::Type(_, ty) => without_parentheses(ty),
            ReturnType::Default if is_async => return Ok(None),
            ReturnType::Default => return Err(not_a_service(sig, &sig.ident)),
        };
        match Self::from_type(ty) {
            // An async function that returns `Resource` may be a handler, if its responder has that
            // name. `HttpServiceFactory` is unambiguous.
            Some(_) if is_async && !names_factory(ty) => Ok(None),
            Some(service) => Ok(Some(service)),
            None if is_async || has_bound(ty, "Future") => Ok(None),
            None => Err(not_a_service(sig, ty)),
        }
    }

    fn from_type(ty: &Type) -> Option<Self> {
        let mut inferred = ty.clone();
        if is_service(ty) {
            infer_impl(&mut inferred);
            return Some(Self { inferred, is_result: false });
        }
        let service = ok_type(&mut inferred).filter(|inner| is_service(inner))?;
        infer_impl(service);
        Some(Self { inferred, is_result: true })
    }
}

/// Replaces `impl …` with `_`. `Scope` stays, or its import would be unused.
fn infer_impl(service: &mut Type) {
    match service {
        Type::Path(ty) if !contains_impl(ty) => {}
        Type::Path(ty) => {
            if let Some(last) = ty.path.segments.last_mut() {
                last.arguments = PathArguments::AngleBracketed(parse_quote!(<_>));
            }
        }
        other => *other = parse_quote!(_),
    }
}

fn contains_impl(ty: &impl ToTokens) -> bool {
    fn search(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(word) => word == "impl",
            TokenTree::Group(group) => search(group.stream()),
            _ => false,
        })
    }
    search(ty.to_token_stream())
}

fn without_parentheses(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => without_parentheses(&group.elem),
        Type::Paren(paren) => without_parentheses(&paren.elem),
        other => other,
    }
}

fn is_service(ty: &Type) -> bool {
    has_bound(ty, "HttpServiceFactory") || is_concrete(ty)
}

fn is_concrete(ty: &Type) -> bool {
    matches!(without_parentheses(ty), Type::Path(ty) if ends_with(&ty.path, &["Scope", "Resource"]))
}

fn has_bound(ty: &Type, name: &str) -> bool {
    let Type::ImplTrait(ty) = without_parentheses(ty) else { return false };
    let named = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Trait(bound) if ends_with(&bound.path, &[name]));
    ty.bounds.iter().any(named)
}

fn ends_with(path: &Path, names: &[&str]) -> bool {
    path.segments.last().is_some_and(|last| names.iter().any(|name| last.ident == name))
}

fn names_factory(ty: &Type) -> bool {
    let mut ty = ty.clone();
    has_bound(&ty, "HttpServiceFactory")
        || ok_type(&mut ty).is_some_and(|inner| has_bound(inner, "HttpServiceFactory"))
}

/// Returns the `T` of a `Result<T, …>`.
fn ok_type(ty: &mut Type) -> Option<&mut Type> {
    let Type::Path(ty) = ty else { return None };
    let last = ty.path.segments.last_mut().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(args) = &mut last.arguments else { return None };
    match args.args.first_mut() {
        Some(GenericArgument::Type(inner)) => Some(inner),
        _ => None,
    }
}

fn not_a_service(sig: &Signature, at: &impl ToTokens) -> Error {
    if sig.inputs.iter().any(takes_service_config) {
        return Error::new_spanned(&sig.ident, SERVICE_CONFIG);
    }
    Error::new_spanned(at, NOT_A_SERVICE)
}

fn takes_service_config(arg: &FnArg) -> bool {
    let FnArg::Typed(arg) = arg else { return false };
    let Type::Reference(ty) = without_parentheses(&arg.ty) else { return false };
    matches!(without_parentheses(&ty.elem), Type::Path(ty) if ends_with(&ty.path, &["ServiceConfig"]))
}

const SERVICE_CONFIG: &str = "a function that takes `ServiceConfig` cannot have a session policy; \
                              return a scope, such as `fn admin() -> impl HttpServiceFactory { \
                              web::scope(\"/admin\").configure(routes) }`";

const NOT_A_SERVICE: &str = "expected a handler (`async fn`) or a function that returns a scope or a \
                             resource (`-> impl HttpServiceFactory`)";

/// Moves the body into a closure. A `return` or `?` in the body returns from the closure, not from
/// the function that wraps the service.
pub(crate) fn expand(mut item: ItemFn, service: &ServiceType, patch: &Patch) -> TokenStream {
    let built = call_body(&item, service);
    let wrapped = wrap_built(&item.sig.output, service, patch);
    hide_concrete_type(&mut item.sig.output);
    *item.block = parse_quote!({
        #[allow(clippy::redundant_closure_call)]
        let __built = #built;
        #wrapped
    });
    item.into_token_stream()
}

/// All tokens have the span of the return type: if the returned type cannot be wrapped, the
/// compiler reports one error there.
fn wrap_built(output: &ReturnType, service: &ServiceType, patch: &Patch) -> TokenStream {
    let span = match output {
        ReturnType::Type(_, ty) => Span::call_site().located_at(ty.span()),
        ReturnType::Default => Span::call_site(),
    };
    let wrapped = quote_spanned! {span=>
        ::session_expire::__private::WrapWithPolicy::wrap_with_policy(__built, #patch)
    };
    if service.is_result { quote_spanned!(span=> __built.map(|__built| #wrapped)) } else { wrapped }
}

fn call_body(item: &ItemFn, service: &ServiceType) -> TokenStream {
    let (body, ty) = (&item.block, &service.inferred);
    match item.sig.asyncness {
        Some(_) => quote!((async move || -> #ty #body)().await),
        None => quote!((move || -> #ty #body)()),
    }
}

/// Replaces `Scope` with `impl HttpServiceFactory`: the type of a wrapped scope cannot be named.
fn hide_concrete_type(output: &mut ReturnType) {
    let ReturnType::Type(_, ty) = output else { return };
    let service = match ok_type(ty) {
        Some(inner) => inner,
        None => ty,
    };
    if is_concrete(service) {
        *service =
            parse_quote!(impl ::session_expire::__private::actix_web::dev::HttpServiceFactory);
    }
}
