//! Warning dialog: texts, markup, script and style.
//!
//! `SessionVars` renders it, and the endpoints serve its files.

pub(crate) mod assets;
pub(crate) mod html;
pub(crate) mod texts;
