//! What may stand behind each key.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Error, Lit, LitInt, Result};

use crate::duration;
use crate::model::{Limit, Overflow};

/// A key and what was written behind it. The value stays tokens: what may stand there, the key says.
pub(crate) struct Value {
    pub(crate) key: Ident,
    tokens: Option<TokenStream>,
}

impl Value {
    pub(crate) fn bare(key: Ident) -> Self {
        Self { key, tokens: None }
    }

    pub(crate) fn given(key: Ident, tokens: TokenStream) -> Result<Self> {
        if tokens.is_empty() {
            return Err(missing(&key));
        }
        Ok(Self { key, tokens: Some(tokens) })
    }

    pub(crate) fn duration(&self) -> Result<Limit<u64>> {
        match self.literal() {
            Some(Lit::Str(text)) => duration::parse(&text.value()).map_err(|m| self.mistake(m)),
            Some(Lit::Int(number)) => Err(self.mistake(unquoted(&number))),
            _ => Err(self.mistake("write a duration in quotes, such as \"10m\", or \"never\"")),
        }
    }

    pub(crate) fn count(&self) -> Result<Limit<u32>> {
        match self.literal() {
            Some(Lit::Int(number)) if number.suffix().is_empty() => match number.base10_parse() {
                Ok(0) => Ok(Limit::Off),
                Ok(number) => Ok(Limit::At(number)),
                Err(_) => Err(self.mistake(out_of_range(&number))),
            },
            Some(Lit::Str(text)) if text.value() == "unlimited" => Ok(Limit::Off),
            Some(Lit::Str(text)) => Err(self.mistake(quoted(&text.value()))),
            _ => Err(self.mistake(COUNT)),
        }
    }

    pub(crate) fn overflow(&self) -> Result<Overflow> {
        match self.text().as_deref() {
            Some("evict") => Ok(Overflow::Evict),
            Some("least_recent" | "least-recent") => Ok(Overflow::LeastRecent),
            Some("refuse") => Ok(Overflow::Refuse),
            _ => Err(self.mistake("write one of \"evict\", \"least_recent\" and \"refuse\"")),
        }
    }

    pub(crate) fn flag(&self) -> Result<bool> {
        match (&self.tokens, self.literal()) {
            (None, _) => Ok(true),
            (_, Some(Lit::Bool(flag))) => Ok(flag.value()),
            _ => Err(self.mistake(unclear_flag(&self.key))),
        }
    }

    pub(crate) fn message(&self) -> Result<String> {
        match self.text() {
            Some(text) if text.is_empty() || !text.trim().is_empty() => Ok(text),
            Some(_) => Err(self.mistake("the message is blank: write one, or \"\" for no message")),
            None => Err(self.mistake("write the text in quotes, such as \"Please sign in again\"")),
        }
    }

    pub(crate) fn login_url(&self) -> Result<String> {
        match self.text() {
            Some(text) if is_local_path(&text) => Ok(text),
            Some(_) => Err(self.mistake(LOGIN_URL)),
            None => Err(self.mistake("write the path in quotes, such as \"/login\"")),
        }
    }

    fn text(&self) -> Option<String> {
        match self.literal() {
            Some(Lit::Str(text)) => Some(text.value()),
            _ => None,
        }
    }

    fn literal(&self) -> Option<Lit> {
        self.tokens.as_ref().and_then(|tokens| syn::parse2(tokens.clone()).ok())
    }

    /// An error at the value; at the key, if that stands alone.
    pub(crate) fn mistake(&self, cure: impl AsRef<str>) -> Error {
        let cure = format!("`{}`: {}", self.key, cure.as_ref());
        match &self.tokens {
            Some(tokens) => Error::new_spanned(tokens, cure),
            None => missing(&self.key),
        }
    }
}

const COUNT: &str = "write a whole number, such as 3, or \"unlimited\"";

const LOGIN_URL: &str = "write a path on this site, such as \"/login\": one `/` in front, no host, \
                         no backslash, no spaces, anything else percent-encoded";

fn missing(key: &Ident) -> Error {
    Error::new(key.span(), format!("`{key}` needs a value, such as `{}`", example(key)))
}

/// The key as it is used, for messages that must show how.
pub(crate) fn example(key: &Ident) -> &'static str {
    match key.to_string().as_str() {
        "idle" => "idle = \"10m\"",
        "absolute" => "absolute = \"8h\"",
        "warn" => "warn = \"30s\"",
        "max_sessions" => "max_sessions = 3",
        "overflow" => "overflow = \"evict\"",
        "passive" => "passive = true",
        "message" => "message = \"Please sign in again\"",
        "require_login" => "require_login = true",
        _ => "login_url = \"/login\"",
    }
}

fn unclear_flag(key: &Ident) -> String {
    format!("write `{key}`, or `{key} = false` to undo an outer one")
}

/// `600` lacks a unit; `10m` lacks its quotes: to the compiler it is a number with a suffix.
fn unquoted(number: &LitInt) -> String {
    let written = number.to_token_stream().to_string();
    match duration::parse(&written) {
        Ok(_) => format!("write the duration in quotes: \"{written}\""),
        Err(mistake) => mistake,
    }
}

fn out_of_range(number: &LitInt) -> &'static str {
    if number.base10_digits().starts_with('-') {
        return COUNT;
    }
    "too many: write \"unlimited\" for no limit"
}

fn quoted(text: &str) -> String {
    match text.parse::<u32>() {
        Ok(number) => format!("write the number without quotes: {number}"),
        Err(_) => COUNT.to_owned(),
    }
}

/// The runtime's `local_path`, so that what compiles also starts: `//host` and `/\host` are other
/// sites to a browser, and what is not printable ASCII may vanish from a URL or turn into a dot.
fn is_local_path(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    text.len() <= 2_048
        && path.starts_with('/')
        && !path.contains("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}
