//! Arguments of the attribute.

mod duration;
mod errors;
mod keys;
mod patch;
mod setting;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{Error, Result};

pub(crate) use self::{errors::Errors, patch::Patch};
use self::{keys::list_keys, patch::Argument, setting::Setting};

/// Reads the arguments of one attribute.
///
/// # Errors
///
/// Returns every error in the arguments, each at its own token.
pub(crate) fn parse_patch(args: TokenStream) -> Result<Patch> {
    let mut errors = Errors::default();
    if args.is_empty() {
        let message = format!("#[session_policy] needs at least one key: {}", list_keys());
        errors.push(Error::new(Span::call_site(), message));
    }
    let settings = parse_settings(args, &mut errors);
    let mut patch = Patch::default();
    for setting in &settings {
        if let Some(argument) = errors.record(setting.read_argument()) {
            patch.set(setting.key.name, argument);
        }
    }
    errors.record(check_warn(&patch, &settings));
    errors.record(check_lock(&patch, &settings));
    errors.into_result(patch)
}

/// Returns the settings whose key is known and not a duplicate.
fn parse_settings(args: TokenStream, errors: &mut Errors) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for tokens in split_at_commas(args, errors) {
        let Some(setting) = errors.record(Setting::parse(tokens)) else { continue };
        if settings.iter().any(|earlier| earlier.key.name == setting.key.name) {
            let message = format!("duplicate key `{}`", setting.key.name);
            errors.push(Error::new(setting.key_span, message));
        } else {
            settings.push(setting);
        }
    }
    settings
}

fn split_at_commas(args: TokenStream, errors: &mut Errors) -> Vec<Vec<TokenTree>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    for token in args {
        match &token {
            TokenTree::Punct(p) if p.as_char() == ',' && part.is_empty() => {
                errors.push(Error::new(p.span(), "unexpected `,`; remove it"));
            }
            TokenTree::Punct(p) if p.as_char() == ',' => parts.push(std::mem::take(&mut part)),
            _ => part.push(token),
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Checks that `warn` is shorter than the limits of the same attribute.
fn check_warn(patch: &Patch, settings: &[Setting]) -> Result<()> {
    let setting = settings.iter().find(|setting| setting.key.name == "warn");
    let (Some(setting), Some(warn)) = (setting, patch.milliseconds("warn")) else { return Ok(()) };
    for key in ["idle", "absolute"] {
        if let Some(limit) = patch.milliseconds(key)
            && warn >= limit
        {
            let (warn, limit) = (duration::format(warn), duration::format(limit));
            let message = format!("`warn` ({warn}) must be shorter than `{key}` ({limit})");
            return Err(setting.error_at_value(message));
        }
    }
    if patch.is_never("idle") && patch.is_never("absolute") {
        let message = "`warn` has no effect if `idle` and `absolute` are \"never\"";
        return Err(setting.error_at_value(message.to_owned()));
    }
    Ok(())
}

/// Checks that `at_end` and `lock_for` have an effect with the other keys of the attribute.
fn check_lock(patch: &Patch, settings: &[Setting]) -> Result<()> {
    let fail = |key: &str, message: &str| {
        let setting = settings.iter().find(|setting| setting.key.name == key);
        setting.map_or(Ok(()), |setting| Err(setting.error_at_value(message.to_owned())))
    };
    match patch.get("at_end") {
        Some(Argument::AtEnd("Lock")) if patch.is_never("idle") => {
            fail("at_end", "`at_end` = \"lock\" has no effect if `idle` is \"never\"")
        }
        Some(Argument::AtEnd("Leave")) => {
            fail("lock_for", "`lock_for` has no effect if `at_end` is \"leave\"")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    fn parse(args: &str) -> Result<Patch> {
        parse_patch(args.parse().unwrap())
    }

    fn messages(args: &str) -> Vec<String> {
        parse(args).unwrap_err().into_iter().map(|error| error.to_string()).collect()
    }

    #[test]
    fn each_key_becomes_a_call_of_its_setter() {
        for (args, call) in [
            ("idle = \"1m\"", ".idle(At(from_millis(60000u64)))"),
            ("absolute = \"never\"", ".absolute(Off)"),
            ("warn = \"30s\"", ".warn(At(from_millis(30000u64)))"),
            ("max_sessions = 1", ".max_sessions(At(1u32))"),
            ("max_sessions = 0", ".max_sessions(Off)"),
            ("max_sessions = \"unlimited\"", ".max_sessions(Off)"),
            ("overflow = \"evict\"", ".overflow(Evict)"),
            ("overflow = \"least_recent\"", ".overflow(LeastRecent)"),
            ("overflow = \"least-recent\"", ".overflow(LeastRecent)"),
            ("overflow = \"refuse\"", ".overflow(Refuse)"),
            ("at_end = \"leave\"", ".at_end(Leave)"),
            (
                "at_end = \"lock\", lock_for = \"1h\"",
                ".at_end(Lock).lock_for(At(from_millis(3600000u64)))",
            ),
            ("lock_for = \"never\"", ".lock_for(Off)"),
            ("passive", ".passive(true)"),
            ("passive = false", ".passive(false)"),
            ("message = \"Bye\"", ".message(\"Bye\")"),
            ("message = \"\"", ".message(\"\")"),
            ("login_url = \"/in?a=//b\"", ".login_url(\"/in?a=//b\")"),
            ("require_login", ".require_login(true)"),
            ("require_login = true", ".require_login(true)"),
            ("require_login = false,", ".require_login(false)"),
            ("passive, idle = \"never\"", ".passive(true).idle(Off)"),
        ] {
            assert_eq!(short_tokens(&parse(args).unwrap()), call, "{args}");
        }
    }

    /// The tokens without `PolicyPatch::new()`, paths and spaces.
    fn short_tokens(patch: &Patch) -> String {
        let mut text = patch.to_token_stream().to_string().replace(' ', "");
        for path in [
            "::session_expire::PolicyPatch::new()",
            "::session_expire::Limit::",
            "::session_expire::Overflow::",
            "::session_expire::AtEnd::",
            "::core::time::Duration::",
        ] {
            text = text.replace(path, "");
        }
        text
    }

    #[test]
    fn invalid_argument_is_one_error_with_a_reason() {
        let table = [
            ("", "needs at least one key"),
            (",", "unexpected `,`; remove it"),
            ("idle = \"1m\",, passive", "unexpected `,`; remove it"),
            ("\"1m\"", "expected a key and a value"),
            ("idel = \"1m\"", "did you mean `idle`?"),
            ("maxsessions = 0", "did you mean `max_sessions`?"),
            ("timeout = 7", "expected one of idle"),
            ("r#idle = 7", "did you mean `idle`?"),
            ("idle = \"1m\", idle = 7", "duplicate key `idle`"),
            ("idle(\"1m\")", "expected `=`"),
            ("idle: \"1m\"", "expected `=`"),
            ("idle", "needs a value, such as `idle = \"10m\"`"),
            ("warn =", "needs a value, such as `warn = \"30s\"`"),
            ("idle = 600", "such as \"600s\""),
            ("idle = 10m", "in quotes; write \"10m\""),
            ("idle = 10min", "write \"10m\""),
            ("idle = -5", "is not a duration"),
            ("idle = never", "in quotes"),
            ("idle = \"10m\" \"\"", "in quotes"),
            ("max_sessions = \"3\"", "in quotes; write 3"),
            ("max_sessions = \"never\"", "\"unlimited\""),
            ("max_sessions = -1", "whole number"),
            ("max_sessions = 1.5", "\"unlimited\""),
            ("max_sessions = 3u8", "\"unlimited\""),
            ("max_sessions = 4294967296", "too large"),
            ("overflow = \"lru\"", "\"least_recent\""),
            ("overflow", "needs a value"),
            ("at_end = \"stay\"", "expected \"leave\" or \"lock\""),
            ("at_end = lock", "expected \"leave\" or \"lock\""),
            ("at_end", "needs a value, such as `at_end = \"lock\"`"),
            ("atend = \"lock\"", "did you mean `at_end`?"),
            ("lockfor = \"1h\"", "did you mean `lock_for`?"),
            ("lock_for = 3600", "such as \"3600s\""),
            ("at_end = \"lock\", idle = \"never\"", "has no effect if `idle` is \"never\""),
            ("at_end = \"leave\", lock_for = \"1h\"", "has no effect if `at_end` is \"leave\""),
            ("passive = \"true\"", "expected `true` or `false`"),
            ("require_login = \"true\"", "expected `true` or `false`"),
            ("require_login = 1", "expected `true` or `false`"),
            ("require_login =", "such as `require_login = true`"),
            ("require_login(true)", "expected `=`"),
            ("requires_login", "did you mean `require_login`?"),
            ("login_required", "expected one of idle"),
            ("message = \" \"", "blank"),
            ("message = \"\\n\"", "blank"),
            ("message =", "needs a value"),
            ("message = b\"x\"", "a quoted string"),
            ("login_url = \"login\"", "one leading `/`"),
            ("login_url = \"//evil.example\"", "one leading `/`"),
            ("login_url = \"/\\\\evil\"", "no backslash"),
            ("login_url = \"/a b\"", "no space"),
            ("login_url = \"/a\\t\"", "no space"),
            ("warn = \"1m\", idle = \"1m\"", "`warn` (1m) must be shorter than `idle` (1m)"),
            (
                "warn = \"2m\", absolute = \"1m\"",
                "`warn` (2m) must be shorter than `absolute` (1m)",
            ),
            ("idle = \"never\", absolute = \"never\", warn = \"1m\"", "`warn` has no effect"),
        ];
        for (args, expected) in table {
            let messages = messages(args);
            assert_eq!(messages.len(), 1, "{args}: {messages:?}");
            assert!(messages[0].contains(expected), "{args}: {messages:?}");
        }
    }

    #[test]
    fn several_errors_are_reported_together() {
        assert_eq!(messages("idle = 600, colour = 3, overflow = 3, passive, passive").len(), 4);
    }

    #[test]
    fn fuzzing_corpus_is_read_without_panic() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/attribute");
        let files = std::fs::read_dir(folder).unwrap();
        let texts = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        let count =
            texts.filter_map(|text| String::from_utf8_lossy(&text).parse().ok()).map(parse_patch);
        assert!(count.count() >= 6);
    }
}
