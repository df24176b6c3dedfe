//! What the attribute stands on decides how the policy gets there.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Item, ItemFn, ItemMod, Result};

use crate::model::{Mistakes, Patch};
use crate::{builder, handler, parse, route};

/// Returns the item with its policy. After a mistake it returns the item unchanged, so that no other
/// error hides the one that matters.
pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let patch = mistakes.note(parse::patch(args)).unwrap_or_default();
    let placed = mistakes.note(place(item.clone(), &patch));
    mistakes.or(placed.unwrap_or_default()).unwrap_or_else(|mistakes| {
        let mistakes = mistakes.into_compile_error();
        quote!(#item #mistakes)
    })
}

fn place(item: TokenStream, patch: &Patch) -> Result<TokenStream> {
    match syn::parse2(item) {
        Ok(Item::Fn(item)) => once(&item.attrs).and_then(|()| on_function(item, patch)),
        Ok(Item::Mod(item)) => once(&item.attrs).and_then(|()| on_module(item, patch)),
        Ok(other) => Err(wrong_place(&other)),
        Err(_) => Err(Error::new(Span::call_site(), PLACES)),
    }
}

/// Two attributes would have an order that the source does not show.
fn once(attrs: &[Attribute]) -> Result<()> {
    let again = attrs.iter().find(|attr| route::is_session_policy(attr.path()));
    again.map_or(Ok(()), |again| {
        let cure = "a second #[session_policy] on the same item: put all keys in one attribute";
        Err(Error::new_spanned(again.path(), cure))
    })
}

fn on_function(mut item: ItemFn, patch: &Patch) -> Result<TokenStream> {
    refuse_receiver(&item)?;
    if route::wrap(&mut item.attrs, patch) {
        return Ok(item.into_token_stream());
    }
    refuse_signature(&item)?;
    match builder::Product::of(&item)? {
        Some(product) => Ok(builder::expand(item, &product, patch)),
        None => handler::expand(item, patch),
    }
}

fn refuse_receiver(item: &ItemFn) -> Result<()> {
    item.sig.receiver().map_or(Ok(()), |receiver| {
        let cure = "a method can't have a session policy: write a function without `self`";
        Err(Error::new_spanned(receiver, cure))
    })
}

fn refuse_signature(item: &ItemFn) -> Result<()> {
    let sig = &item.sig;
    let refuse = |span, cure| Err(Error::new(span, cure));
    if sig.ident == "main" {
        return refuse(sig.ident.span(), MAIN);
    }
    match (&sig.constness, &sig.unsafety, &sig.abi) {
        (Some(word), _, _) => refuse(word.span, "a `const fn` serves no requests: remove `const`"),
        (_, Some(word), _) => {
            refuse(word.span, "an `unsafe fn` can't be a handler: remove `unsafe`")
        }
        (_, _, Some(abi)) => {
            refuse(abi.span(), "an `extern fn` serves no requests: remove `extern`")
        }
        _ => Ok(()),
    }
}

const MAIN: &str = "`main` serves no requests: put #[session_policy] on a handler, and the policy \
                    of the whole application into `SessionExpire::builder`";

fn on_module(mut item: ItemMod, patch: &Patch) -> Result<TokenStream> {
    let Some((_, items)) = &mut item.content else {
        return Err(Error::new(item.ident.span(), NOT_INLINE));
    };
    match wrap_all(items, patch)? {
        0 => Err(Error::new(item.ident.span(), NO_HANDLER)),
        _ => Ok(item.into_token_stream()),
    }
}

const NOT_INLINE: &str = "the handlers of a module in another file can't be seen from here: put \
                          #[session_policy] on the handlers there, or on a function that returns \
                          their scope";

const NO_HANDLER: &str = "no function in this module has a route attribute such as #[get(\"/\")], \
                          so the policy would take no effect: put #[session_policy] on the \
                          handlers, or on a function that returns their scope";

/// Hangs the policy on every routed function, however deep, and counts them. Attributes further
/// in expand later, and merge their patch into this one.
fn wrap_all(items: &mut [Item], patch: &Patch) -> Result<usize> {
    let mut handlers = 0;
    for item in items {
        match item {
            Item::Fn(item) => handlers += usize::from(wrap_handler(item, patch)),
            Item::Mod(ItemMod { content: Some((_, items)), .. }) => {
                handlers += wrap_all(items, patch)?;
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

const PLACES: &str = "#[session_policy] goes on a handler, on a function that returns a scope or \
                      a resource, or on a module of handlers";

fn wrong_place(item: &Item) -> Error {
    let (what, span) = match item {
        Item::Struct(item) => ("a struct", item.ident.span()),
        Item::Enum(item) => ("an enum", item.ident.span()),
        Item::Union(item) => ("a union", item.ident.span()),
        Item::Trait(item) => ("a trait", item.ident.span()),
        Item::Type(item) => ("a type alias", item.ident.span()),
        Item::Const(item) => ("a constant", item.ident.span()),
        Item::Static(item) => ("a static", item.ident.span()),
        Item::Impl(item) => ("an impl", item.self_ty.span()),
        Item::Use(item) => ("an import", item.tree.span()),
        _ => return Error::new(Span::call_site(), PLACES),
    };
    Error::new(span, format!("{what} serves no requests: {PLACES}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything the attribute can stand on, by what has to become of it.
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
    fn nothing_is_accepted_without_effect() {
        for (item, effect) in ITEMS {
            let tokens = item.parse::<TokenStream>().unwrap();
            let expanded = expand(quote!(passive), &tokens).to_string();
            assert!(expanded.contains(effect), "{item}: {expanded}");
            let refused = expanded.contains("compile_error");
            assert_eq!(refused, effect == "compile_error", "{item}: {expanded}");
        }
    }

    #[test]
    fn every_path_of_routes_gets_the_policy_once() {
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
    fn attributes_inside_a_module_merge_into_its_layer() {
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
        let place = |words: &str| expanded.find(words).unwrap();
        assert!(place("require_login (false)") < place("idle"), "{expanded}");
        assert!(place("idle") < place("require_login (true)"), "{expanded}");
    }

    #[test]
    fn an_item_with_a_mistake_is_still_there_unchanged() {
        let item = quote!(
            #[get("/")]
            async fn x() {}
        );
        let expanded = expand(quote!(idle = 600), &item).to_string();
        assert!(expanded.starts_with(&item.to_string()), "{expanded}");
    }
}
