#![no_main]
//! Arguments of `#[session_policy(…)]`. A proc-macro crate exports no functions, so the module is
//! included.
#![allow(dead_code, unused_imports)]

#[path = "../../../session-expire-macros/src/args/mod.rs"]
mod args;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(tokens) = text.parse::<proc_macro2::TokenStream>() {
        let _ = args::parse_patch(tokens);
    }
});
