//! What one attribute says, and the expression that says it to the runtime crate.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// A limit that is set, or one that is switched off (`"never"`, `"unlimited"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit<T> {
    At(T),
    Off,
}

/// What happens to a login when all places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    Evict,
    LeastRecent,
    Refuse,
}

/// The keys of one `#[session_policy]`. What is `None` is inherited. Durations are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(crate) idle: Option<Limit<u64>>,
    pub(crate) absolute: Option<Limit<u64>>,
    pub(crate) warn: Option<Limit<u64>>,
    pub(crate) max_sessions: Option<Limit<u32>>,
    pub(crate) overflow: Option<Overflow>,
    pub(crate) passive: Option<bool>,
    pub(crate) message: Option<String>,
    pub(crate) login_url: Option<String>,
    pub(crate) require_login: Option<bool>,
}

impl ToTokens for Patch {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(quote!(::session_expire::PolicyPatch::new()));
        tokens.extend(call("idle", self.idle.map(duration)));
        tokens.extend(call("absolute", self.absolute.map(duration)));
        tokens.extend(call("warn", self.warn.map(duration)));
        tokens.extend(call("max_sessions", self.max_sessions.map(limit)));
        tokens.extend(call("overflow", self.overflow));
        tokens.extend(call("passive", self.passive));
        tokens.extend(call("message", self.message.as_ref()));
        tokens.extend(call("login_url", self.login_url.as_ref()));
        tokens.extend(call("require_login", self.require_login));
    }
}

fn call(method: &str, argument: Option<impl ToTokens>) -> Option<TokenStream> {
    let method = quote::format_ident!("{method}");
    argument.map(|argument| quote!(.#method(#argument)))
}

fn limit(limit: Limit<impl ToTokens>) -> TokenStream {
    match limit {
        Limit::At(value) => quote!(::session_expire::Limit::At(#value)),
        Limit::Off => quote!(::session_expire::Limit::Off),
    }
}

fn duration(ms: Limit<u64>) -> TokenStream {
    limit(match ms {
        Limit::At(ms) => Limit::At(quote!(::core::time::Duration::from_millis(#ms))),
        Limit::Off => Limit::Off,
    })
}

impl ToTokens for Overflow {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Self::Evict => quote!(::session_expire::Overflow::Evict),
            Self::LeastRecent => quote!(::session_expire::Overflow::LeastRecent),
            Self::Refuse => quote!(::session_expire::Overflow::Refuse),
        });
    }
}

/// Collects every mistake of one attribute, so that all are reported in one compiler run.
#[derive(Default)]
pub(crate) struct Mistakes(Option<syn::Error>);

impl Mistakes {
    /// The value, or `None` after noting the mistake.
    pub(crate) fn note<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|mistake| self.push(mistake)).ok()
    }

    pub(crate) fn push(&mut self, mistake: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(mistake),
            None => self.0 = Some(mistake),
        }
    }

    pub(crate) fn or<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expression_survives_a_round_trip_through_a_string() {
        let patch = Patch {
            idle: Some(Limit::At(60_000)),
            warn: Some(Limit::Off),
            overflow: Some(Overflow::LeastRecent),
            message: Some("say \"ja\" \\ \n é".to_owned()),
            ..Patch::default()
        };
        let tokens = patch.to_token_stream();
        let again: syn::Expr = syn::parse_str(&tokens.to_string()).unwrap();
        assert_eq!(again.to_token_stream().to_string(), tokens.to_string());
    }
}
