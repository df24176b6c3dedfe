//! The [`macro@session_policy`] attribute of `session-expire`. Use it from that crate, which
//! documents it.

#![forbid(unsafe_code)]

use proc_macro::TokenStream;

mod builder;
mod duration;
mod expand;
mod handler;
mod model;
mod parse;
mod route;
mod value;

/// Attribute that sets the session policy of a handler, a scope or a module. `session_expire` exports
/// and documents it.
#[proc_macro_attribute]
pub fn session_policy(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(args.into(), &item.into()).into()
}
