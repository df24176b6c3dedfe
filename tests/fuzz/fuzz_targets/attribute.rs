#![no_main]
//! The words of `#[session_policy(…)]`. A macro can't be called from outside, so its files stand here.
#![allow(dead_code)]

#[path = "../../../session-expire-macros/src/duration.rs"]
mod duration;
#[path = "../../../session-expire-macros/src/model.rs"]
mod model;
#[path = "../../../session-expire-macros/src/parse.rs"]
mod parse;
#[path = "../../../session-expire-macros/src/value.rs"]
mod value;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(tokens) = text.parse::<proc_macro2::TokenStream>() {
        let _ = parse::patch(tokens);
    }
});
