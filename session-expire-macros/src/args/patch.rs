//! Policy patch of one attribute.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};

/// A limit that is set, or one that is switched off (`"never"`, `"unlimited"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit<T> {
    At(T),
    Off,
}

/// Argument of a setter of `PolicyPatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// In milliseconds.
    Duration(Limit<u64>),
    Count(Limit<u32>),
    /// The name of a variant of `Overflow`.
    Overflow(&'static str),
    /// The name of a variant of `AtEnd`.
    AtEnd(&'static str),
    Flag(bool),
    Text(String),
}

/// Keys and values of one attribute. It expands to an expression of the type `PolicyPatch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patch(Vec<(&'static str, Argument)>);

impl Patch {
    pub(super) fn set(&mut self, key: &'static str, argument: Argument) {
        self.0.push((key, argument));
    }

    pub(super) fn get(&self, key: &str) -> Option<&Argument> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, argument)| argument)
    }

    /// Returns the duration of a key in milliseconds, if it is a limit.
    pub(super) fn milliseconds(&self, key: &str) -> Option<u64> {
        match self.get(key) {
            Some(Argument::Duration(Limit::At(ms))) => Some(*ms),
            _ => None,
        }
    }

    pub(super) fn is_never(&self, key: &str) -> bool {
        self.get(key) == Some(&Argument::Duration(Limit::Off))
    }
}

impl ToTokens for Patch {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(quote!(::session_expire::PolicyPatch::new()));
        for (key, argument) in &self.0 {
            let setter = format_ident!("{key}");
            tokens.extend(quote!(.#setter(#argument)));
        }
    }
}

impl ToTokens for Argument {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Self::Duration(Limit::At(ms)) => {
                limit_tokens(Limit::At(quote!(::core::time::Duration::from_millis(#ms))))
            }
            Self::Count(Limit::At(count)) => limit_tokens(Limit::At(count.to_token_stream())),
            Self::Duration(Limit::Off) | Self::Count(Limit::Off) => limit_tokens(Limit::Off),
            Self::Overflow(variant) => {
                let variant = format_ident!("{variant}");
                quote!(::session_expire::Overflow::#variant)
            }
            Self::AtEnd(variant) => {
                let variant = format_ident!("{variant}");
                quote!(::session_expire::AtEnd::#variant)
            }
            Self::Flag(flag) => flag.to_token_stream(),
            Self::Text(text) => text.to_token_stream(),
        });
    }
}

fn limit_tokens(limit: Limit<TokenStream>) -> TokenStream {
    match limit {
        Limit::At(value) => quote!(::session_expire::Limit::At(#value)),
        Limit::Off => quote!(::session_expire::Limit::Off),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_expression_survives_conversion_to_string() {
        let mut patch = Patch::default();
        patch.set("idle", Argument::Duration(Limit::At(60_000)));
        patch.set("warn", Argument::Duration(Limit::Off));
        patch.set("overflow", Argument::Overflow("LeastRecent"));
        patch.set("message", Argument::Text("say \"ja\" \\ \n é".to_owned()));
        let tokens = patch.to_token_stream();
        let again: syn::Expr = syn::parse_str(&tokens.to_string()).unwrap();
        assert_eq!(again.to_token_stream().to_string(), tokens.to_string());
    }
}
