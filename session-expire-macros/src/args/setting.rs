//! One key of the attribute and its value.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Error, Lit, LitInt, Result};

use super::{
    duration,
    keys::{Key, Kind, list_keys},
    patch::{Argument, Limit},
};

/// `key = value`, or a key alone.
pub(super) struct Setting {
    pub(super) key: &'static Key,
    pub(super) key_span: Span,
    value: Option<TokenStream>,
}

impl Setting {
    pub(super) fn parse(tokens: Vec<TokenTree>) -> Result<Self> {
        let mut tokens = tokens.into_iter();
        let (key, key_span) = match tokens.next() {
            Some(TokenTree::Ident(name)) => (find_key(&name)?, name.span()),
            other => return Err(Error::new_spanned(TokenStream::from_iter(other), no_key())),
        };
        let value = match tokens.next() {
            None => None,
            Some(TokenTree::Punct(p)) if p.as_char() == '=' => Some(tokens.collect()),
            Some(other) => return Err(Error::new(other.span(), no_equals_sign(key))),
        };
        match value {
            Some(value) if TokenStream::is_empty(&value) => Err(no_value(key, key_span)),
            value => Ok(Self { key, key_span, value }),
        }
    }

    /// Reads the value as the key requires.
    pub(super) fn read_argument(&self) -> Result<Argument> {
        match self.key.kind {
            Kind::Flag => self.read_flag().map(Argument::Flag),
            _ if self.value.is_none() => Err(no_value(self.key, self.key_span)),
            Kind::Duration => self.read_duration().map(Argument::Duration),
            Kind::Count => self.read_count().map(Argument::Count),
            Kind::Overflow => self.read_overflow().map(Argument::Overflow),
            Kind::AtEnd => self.read_at_end().map(Argument::AtEnd),
            Kind::Text => self.read_text().map(Argument::Text),
            Kind::LocalPath => self.read_local_path().map(Argument::Text),
        }
    }

    fn read_flag(&self) -> Result<bool> {
        match (&self.value, self.literal()) {
            (None, _) => Ok(true),
            (_, Some(Lit::Bool(flag))) => Ok(flag.value()),
            _ => self.fail("expected `true` or `false`, without quotes"),
        }
    }

    fn read_duration(&self) -> Result<Limit<u64>> {
        match self.literal() {
            Some(Lit::Str(text)) => duration::parse(&text.value()).or_else(|text| self.fail(text)),
            Some(Lit::Int(number)) => self.fail(unquoted_duration(&number)),
            _ => self.fail("expected a duration in quotes, such as \"10m\", or \"never\""),
        }
    }

    fn read_count(&self) -> Result<Limit<u32>> {
        match self.literal() {
            Some(Lit::Int(number)) if number.suffix().is_empty() => match number.base10_parse() {
                Ok(0) => Ok(Limit::Off),
                Ok(number) => Ok(Limit::At(number)),
                Err(_) => self.fail(out_of_range(&number)),
            },
            Some(Lit::Str(text)) if text.value() == "unlimited" => Ok(Limit::Off),
            Some(Lit::Str(text)) => self.fail(quoted_count(&text.value())),
            _ => self.fail(NO_COUNT),
        }
    }

    fn read_overflow(&self) -> Result<&'static str> {
        match self.text().as_deref() {
            Some("evict") => Ok("Evict"),
            Some("least_recent" | "least-recent") => Ok("LeastRecent"),
            Some("refuse") => Ok("Refuse"),
            _ => self.fail("expected \"evict\", \"least_recent\" or \"refuse\""),
        }
    }

    fn read_at_end(&self) -> Result<&'static str> {
        match self.text().as_deref() {
            Some("leave") => Ok("Leave"),
            Some("lock") => Ok("Lock"),
            _ => self.fail("expected \"leave\" or \"lock\""),
        }
    }

    fn read_text(&self) -> Result<String> {
        match self.text() {
            Some(text) if text.is_empty() || !text.trim().is_empty() => Ok(text),
            Some(_) => self.fail("the text is blank; write \"\" for no message"),
            None => self.fail("expected a quoted string, such as \"Please sign in again\""),
        }
    }

    fn read_local_path(&self) -> Result<String> {
        match self.text() {
            Some(text) if is_local_path(&text) => Ok(text),
            Some(_) => self.fail(NO_LOCAL_PATH),
            None => self.fail("expected a path in quotes, such as \"/login\""),
        }
    }

    /// Returns the value if it is a string literal.
    pub(super) fn text(&self) -> Option<String> {
        match self.literal() {
            Some(Lit::Str(text)) => Some(text.value()),
            _ => None,
        }
    }

    fn literal(&self) -> Option<Lit> {
        self.value.as_ref().and_then(|value| syn::parse2(value.clone()).ok())
    }

    fn fail<T>(&self, problem: impl AsRef<str>) -> Result<T> {
        Err(self.error_at_value(format!("`{}`: {}", self.key.name, problem.as_ref())))
    }

    pub(super) fn error_at_value(&self, message: String) -> Error {
        match &self.value {
            Some(value) => Error::new_spanned(value, message),
            None => Error::new(self.key_span, message),
        }
    }
}

fn find_key(word: &Ident) -> Result<&'static Key> {
    let name = word.to_string();
    Key::find(&name).ok_or_else(|| {
        let similar = Key::find_similar(&name).map(|key| format!("; did you mean `{}`?", key.name));
        let similar = similar.unwrap_or_default();
        let keys = list_keys();
        Error::new(word.span(), format!("unknown key `{name}`, expected one of {keys}{similar}"))
    })
}

fn no_key() -> String {
    format!("expected a key and a value, such as `idle = \"10m\"`; the keys are {}", list_keys())
}

fn no_equals_sign(key: &Key) -> String {
    format!("expected `=` between the key and its value, as in `{}`", key.usage())
}

fn no_value(key: &Key, span: Span) -> Error {
    Error::new(span, format!("`{}` needs a value, such as `{}`", key.name, key.usage()))
}

/// `600` has no unit. `10m` has no quotes: the compiler reads it as a number with a suffix.
fn unquoted_duration(number: &LitInt) -> String {
    let written = number.to_token_stream().to_string();
    match duration::parse(&written) {
        Ok(_) => format!("a duration must be in quotes; write \"{written}\""),
        Err(problem) => problem,
    }
}

const NO_COUNT: &str = "expected a whole number, such as 3, or \"unlimited\"";

fn out_of_range(number: &LitInt) -> &'static str {
    if number.base10_digits().starts_with('-') {
        return NO_COUNT;
    }
    "the number is too large; write \"unlimited\" for no limit"
}

fn quoted_count(text: &str) -> String {
    match text.parse::<u32>() {
        Ok(number) => format!("a number must not be in quotes; write {number}"),
        Err(_) => NO_COUNT.to_owned(),
    }
}

const NO_LOCAL_PATH: &str = "expected a path of this site, such as \"/login\": one leading `/`, no \
                             host, no backslash, no space, other characters percent-encoded";

/// Accepts the paths that the runtime accepts. Browsers read `//host` and `/\host` as other sites,
/// and may drop or replace characters that are not printable ASCII.
fn is_local_path(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    text.len() <= 2_048
        && path.starts_with('/')
        && !path.contains("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}
