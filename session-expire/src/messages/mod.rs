//! Flash messages, and the texts about ended sessions.
//!
//! The extractors show them, and the session record or the anonymous cookie stores them.

pub(crate) mod ended_texts;
pub(crate) mod flash;
pub(crate) mod notice;
pub(crate) mod queue;

/// Returns the names of fields with mutable references to the fields.
#[cfg(feature = "translations")]
macro_rules! fields {
    ($texts:ident: $($field:ident),+) => {
        vec![$((stringify!($field), &mut $texts.$field)),+]
    };
}
#[cfg(feature = "translations")]
pub(crate) use fields;
