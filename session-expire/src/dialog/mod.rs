//! The warning dialog: texts, markup, script and style.

pub(crate) mod assets;
pub(crate) mod html;
pub(crate) mod texts;
