//! The [`macro@session_policy`] attribute of `session-expire`, which re-exports and documents it.

#![forbid(unsafe_code)]

use proc_macro::TokenStream;

mod args;
mod expand;
mod handler_fn;
mod route;
mod service_fn;

/// Sets the session policy of a handler, a scope or a module.
///
/// Documented at `session_expire::session_policy`.
#[proc_macro_attribute]
pub fn session_policy(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(args.into(), &item.into()).into()
}
