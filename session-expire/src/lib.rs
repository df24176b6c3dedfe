//! stub
mod claim;
mod error;
mod event;
mod facts;
mod judge;
mod path;
mod policy;
mod registry;
mod text;
mod time;
mod web;
pub use error::*;
pub use event::*;
pub use facts::*;
pub use judge::*;
pub use path::*;
pub use policy::*;
pub use registry::*;
pub use session_expire_macros::*;
pub use text::Languages;
pub use time::*;
pub use web::{
    builder::Builder,
    endpoints::endpoints,
    flash::{FlashMessage, Level},
    handle::SessionHandle,
    middleware::SessionExpire,
    vars::{FlashMessages, Markup, Seconds, SessionVars},
};
#[doc(hidden)]
pub mod __private {
    pub use crate::web::layer::{PatchSource, Patched, WrapWithPolicy, wrap_with_policy};
    pub use actix_web;
}
