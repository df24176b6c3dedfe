//! Expansion by the kind of item that the attribute is on.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Item, ItemFn, ItemMod, Result, Signature};

use crate::args::{Errors, Patch, parse_patch};
use crate::service_fn::ServiceType;
use crate::{handler_fn, route, service_fn};

/// Returns the item with its policy. After an error it returns the item unchanged, because a
/// missing item would cause further compiler errors.
pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let patch = errors.record(parse_patch(args)).unwrap_or_default();
    let expanded = errors.record(expand_item(item.clone(), &patch)).unwrap_or_default();
    errors.into_result(expanded).unwrap_or_else(|errors| {
        let errors = errors.into_compile_error();
        quote!(#item #errors)
    })
}

fn expand_item(item: TokenStream, patch: &Patch) -> Result<TokenStream> {
    match syn::parse2(item) {
        Ok(Item::Fn(item)) => expand_function(item, patch),
        Ok(Item::Mod(item)) => expand_module(item, patch),
        Ok(other) => Err(unsupported_item(&other)),
        Err(_) => Err(Error::new(Span::call_site(), format!("expected {SUPPORTED_ITEMS}"))),
    }
}

/// Refuses a second attribute: it would be another layer, and the source does not show which of the
/// two is outermost.
fn reject_duplicate(attrs: &[Attribute]) -> Result<()> {
    let duplicate = attrs.iter().find(|attr| route::is_session_policy(attr.path()));
    duplicate.map_or(Ok(()), |duplicate| {
        let message = "duplicate #[session_policy]; put all keys in one attribute";
        Err(Error::new_spanned(duplicate.path(), message))
    })
}

fn expand_function(mut item: ItemFn, patch: &Patch) -> Result<TokenStream> {
    reject_duplicate(&item.attrs)?;
    reject_receiver(&item.sig)?;
    if route::wrap(&mut item.attrs, patch) {
        return Ok(item.into_token_stream());
    }
    reject_main(&item.sig)?;
    reject_qualifiers(&item.sig)?;
    match ServiceType::from_signature(&item.sig)? {
        Some(service) => Ok(service_fn::expand(item, &service, patch)),
        None => handler_fn::expand(item, patch),
    }
}

fn reject_receiver(sig: &Signature) -> Result<()> {
    sig.receiver().map_or(Ok(()), |receiver| {
        let message = "a method cannot have a session policy; write a function without `self`";
        Err(Error::new_spanned(receiver, message))
    })
}

fn reject_main(sig: &Signature) -> Result<()> {
    if sig.ident == "main" {
        return Err(Error::new(sig.ident.span(), MAIN));
    }
    Ok(())
}

const MAIN: &str = "`main` cannot have a session policy; pass the policy of the application to \
                    `SessionExpire::builder`";

fn reject_qualifiers(sig: &Signature) -> Result<()> {
    let qualifiers = [
        (sig.constness.map(|word| word.span), "const"),
        (sig.unsafety.map(|word| word.span), "unsafe"),
        (sig.abi.as_ref().map(Spanned::span), "extern"),
    ];
    for (span, word) in qualifiers {
        if let Some(span) = span {
            let message = format!("`{word} fn` cannot have a session policy; remove `{word}`");
            return Err(Error::new(span, message));
        }
    }
    Ok(())
}

fn expand_module(mut item: ItemMod, patch: &Patch) -> Result<TokenStream> {
    reject_duplicate(&item.attrs)?;
    let Some((_, items)) = &mut item.content else {
        return Err(Error::new(item.ident.span(), NOT_INLINE));
    };
    match wrap_handlers(items, patch)? {
        0 => Err(Error::new(item.ident.span(), NO_HANDLER)),
        _ => Ok(item.into_token_stream()),
    }
}

const NOT_INLINE: &str = "handlers in another file do not get the policy of this module; put \
                          #[session_policy] on the handlers, or on a function that returns their \
                          scope";

const NO_HANDLER: &str = "no function in this module has a route attribute such as #[get(\"/\")]; \
                          put #[session_policy] on the handlers, or on a function that returns \
                          their scope";

/// Adds the policy to every function with a route attribute, including those in nested modules, and
/// returns their number. Attributes inside the module expand later and merge their patch into this
/// one.
fn wrap_handlers(items: &mut [Item], patch: &Patch) -> Result<usize> {
    let mut handlers = 0;
    for item in items {
        match item {
            Item::Fn(item) => handlers += usize::from(wrap_handler(item, patch)),
            Item::Mod(ItemMod { content: Some((_, items)), .. }) => {
                handlers += wrap_handlers(items, patch)?;
            }
            Item::Mod(item) => return Err(Error::new(item.ident.span(), NOT_INLINE)),
            Item::Macro(item) if item.mac.path.is_ident("include") => {
                return Err(Error::new_spanned(&item.mac.path, NOT_INLINE));
            }
            _ => {}
        }
    }
    Ok(handlers)
}

fn wrap_handler(item: &mut ItemFn, patch: &Patch) -> bool {
    let wrapped = route::wrap(&mut item.attrs, patch);
    if wrapped {
        route::lift_policies(&mut item.attrs);
    }
    wrapped
}

const SUPPORTED_ITEMS: &str =
    "a handler, a function that returns a scope or a resource, or a module of handlers";

fn unsupported_item(item: &Item) -> Error {
    let (found, span) = match item {
        Item::Struct(item) => ("a struct", item.ident.span()),
        Item::Enum(item) => ("an enum", item.ident.span()),
        Item::Union(item) => ("a union", item.ident.span()),
        Item::Trait(item) => ("a trait", item.ident.span()),
        Item::Type(item) => ("a type alias", item.ident.span()),
        Item::Const(item) => ("a constant", item.ident.span()),
        Item::Static(item) => ("a static", item.ident.span()),
        Item::Impl(item) => ("an impl", item.self_ty.span()),
        Item::Use(item) => ("an import", item.tree.span()),
        _ => return Error::new(Span::call_site(), format!("expected {SUPPORTED_ITEMS}")),
    };
    Error::new(span, format!("expected {SUPPORTED_ITEMS}, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items and a part of their expansion.
    const ITEMS: [(&str, &str); 24] = [
        ("#[get(\"/\")] async fn x() {}", "wrap = "),
        ("#[a::get(\"/\")] fn x() -> impl Future<Output = ()> {}", "wrap = "),
        ("#[routes] #[get(\"/a\")] #[post(\"/b\")] async fn x() {}", "wrap = "),
        ("#[get(\"/\")] async fn main() {}", "wrap = "),
        ("mod m { #[get(\"/\")] async fn x() {} }", "wrap = "),
        ("mod m { mod n { #[cfg_attr(a, get(\"/\"))] async fn x() {} } }", "wrap = "),
        ("async fn x() {}", "PolicyExtractor"),
        ("#[trace] async fn x() {}", "PolicyExtractor"),
        ("#[trace(name = \"x\")] async fn x() {}", "PolicyExtractor"),
        ("#[fetch(\"/\")] async fn x() {}", "PolicyExtractor"),
        ("#[routes] async fn x() {}", "PolicyExtractor"),
        ("async fn x() -> Resource {}", "PolicyExtractor"),
        ("fn x() -> impl Future<Output = ()> {}", "PolicyExtractor"),
        ("fn x() -> Scope {}", "wrap_with_policy"),
        ("fn x() -> (web::Resource) {}", "wrap_with_policy"),
        ("fn x() -> io::Result<Scope> {}", "wrap_with_policy"),
        ("async fn x() -> Result<impl HttpServiceFactory, E> {}", "wrap_with_policy"),
        ("mod m { async fn x() {} }", "compile_error"),
        ("mod m { #[trace] async fn x() {} }", "compile_error"),
        ("mod m { #[get(\"/\")] async fn x() {} mod n; }", "compile_error"),
        ("mod m { #[get(\"/\")] async fn x() {} include!(\"y.rs\"); }", "compile_error"),
        ("mod m { #[session_policy(passive)] async fn x() {} }", "compile_error"),
        ("fn x() -> Result<String, Scope> {}", "compile_error"),
        ("fn x();", "compile_error"),
    ];

    #[test]
    fn each_item_gets_the_policy_or_an_error() {
        for (item, expected) in ITEMS {
            let tokens = item.parse::<TokenStream>().unwrap();
            let expanded = expand(quote!(passive), &tokens).to_string();
            assert!(expanded.contains(expected), "{item}: {expanded}");
            let refused = expanded.contains("compile_error");
            assert_eq!(refused, expected == "compile_error", "{item}: {expanded}");
        }
    }

    #[test]
    fn each_path_of_routes_gets_the_policy_once() {
        let item = quote!(
            #[routes]
            #[get("/a")]
            #[get("/b")]
            #[post("/b")]
            async fn x() {}
        );
        let expanded = expand(quote!(passive), &item).to_string();
        assert_eq!(expanded.matches("PolicyPatch").count(), 3, "{expanded}");
    }

    #[test]
    fn attributes_in_a_module_merge_into_its_layer() {
        let item = quote!(
            mod m {
                mod n {
                    #[get("/")]
                    #[session_policy(require_login = false)]
                    async fn x() {}
                }
            }
        );
        let outer: ItemMod = syn::parse2(expand(quote!(require_login), &item)).unwrap();
        let [Item::Mod(inner)] = &*outer.content.unwrap().1 else { unreachable!() };
        let inner = expand(quote!(idle = "1m"), &inner.to_token_stream());
        let inner: ItemMod = syn::parse2(inner).unwrap();
        let [Item::Fn(handler)] = &*inner.content.unwrap().1 else { unreachable!() };
        let mut handler = handler.clone();
        let own = handler.attrs.remove(0);
        assert!(own.path().is_ident("session_policy"), "the attribute moves above the route");
        let args = own.meta.require_list().unwrap().tokens.clone();
        let expanded = expand(args, &handler.to_token_stream()).to_string();
        assert_eq!(expanded.matches("wrap = ").count(), 1, "{expanded}");
        let position = |words: &str| expanded.find(words).unwrap();
        assert!(position("require_login (false)") < position("idle"), "{expanded}");
        assert!(position("idle") < position("require_login (true)"), "{expanded}");
    }

    #[test]
    fn item_with_an_error_stays_unchanged() {
        let item = quote!(
            #[get("/")]
            async fn x() {}
        );
        let expanded = expand(quote!(idle = 600), &item).to_string();
        assert!(expanded.starts_with(&item.to_string()), "{expanded}");
    }
}
