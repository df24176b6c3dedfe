//! From the words of the attribute to a [`Patch`], with one error for each mistake.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::{Error, Result};

use crate::model::{Limit, Mistakes, Patch};
use crate::value::{Value, example};

const KEYS: [&str; 9] = [
    "idle",
    "absolute",
    "warn",
    "max_sessions",
    "overflow",
    "passive",
    "message",
    "login_url",
    "require_login",
];

/// Reads the whole attribute. Every mistake in it is in the error, each at its own word.
pub(crate) fn patch(args: TokenStream) -> Result<Patch> {
    let mut mistakes = Mistakes::default();
    if args.is_empty() {
        mistakes.push(Error::new(Span::call_site(), nothing_to_do()));
    }
    let settings = settings(args, &mut mistakes);
    let mut patch = Patch::default();
    for setting in &settings {
        mistakes.note(apply(setting, &mut patch));
    }
    mistakes.note(check_warn(&patch, &settings));
    mistakes.or(patch)
}

/// Well-formed settings with known keys, each key once. Everything else becomes a mistake, here and
/// only here, so that no key can be forgotten by the guard.
fn settings(args: TokenStream, mistakes: &mut Mistakes) -> Vec<Value> {
    let mut settings: Vec<Value> = Vec::new();
    for words in split_at_commas(args, mistakes) {
        let Some(setting) = mistakes.note(setting(words)) else { continue };
        if settings.iter().any(|earlier| earlier.key == setting.key) {
            let cure = format!("`{}` is given twice: keep one of them", setting.key);
            mistakes.push(Error::new(setting.key.span(), cure));
        } else {
            settings.push(setting);
        }
    }
    settings
}

fn split_at_commas(args: TokenStream, mistakes: &mut Mistakes) -> Vec<Vec<TokenTree>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    for token in args {
        match &token {
            TokenTree::Punct(p) if p.as_char() == ',' && part.is_empty() => {
                mistakes.push(Error::new(p.span(), "remove this comma"));
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

/// `key = value` or a bare `key`.
fn setting(words: Vec<TokenTree>) -> Result<Value> {
    let mut words = words.into_iter();
    let key = match words.next() {
        Some(TokenTree::Ident(key)) => known(key)?,
        other => return Err(Error::new_spanned(TokenStream::from_iter(other), key_missing())),
    };
    match words.next() {
        None => Ok(Value::bare(key)),
        Some(TokenTree::Punct(p)) if p.as_char() == '=' => Value::given(key, words.collect()),
        Some(other) => Err(Error::new(other.span(), equals_missing(&key))),
    }
}

fn apply(setting: &Value, patch: &mut Patch) -> Result<()> {
    match setting.key.to_string().as_str() {
        "idle" => patch.idle = Some(setting.duration()?),
        "absolute" => patch.absolute = Some(setting.duration()?),
        "warn" => patch.warn = Some(setting.duration()?),
        "max_sessions" => patch.max_sessions = Some(setting.count()?),
        "overflow" => patch.overflow = Some(setting.overflow()?),
        "passive" => patch.passive = Some(setting.flag()?),
        "message" => patch.message = Some(setting.message()?),
        "require_login" => patch.require_login = Some(setting.flag()?),
        _ => patch.login_url = Some(setting.login_url()?),
    }
    Ok(())
}

fn check_warn(patch: &Patch, settings: &[Value]) -> Result<()> {
    let warn = settings.iter().find(|setting| setting.key == "warn");
    let (Some(warn), Some(Limit::At(at))) = (warn, patch.warn) else { return Ok(()) };
    let too_early = |limit: Option<Limit<u64>>| matches!(limit, Some(Limit::At(l)) if at >= l);
    if too_early(patch.idle) {
        return Err(warn.mistake("must be shorter than `idle`, or the warning would never go away"));
    }
    if too_early(patch.absolute) {
        return Err(warn.mistake("must be shorter than `absolute`, or the warning is always there"));
    }
    if (patch.idle, patch.absolute) == (Some(Limit::Off), Some(Limit::Off)) {
        return Err(warn.mistake("nothing to warn of: `idle` and `absolute` are both \"never\""));
    }
    Ok(())
}

fn known(key: Ident) -> Result<Ident> {
    if KEYS.iter().any(|known| key == known) {
        return Ok(key);
    }
    let advice = match nearest(&key.to_string()) {
        Some(meant) => format!("did you mean `{meant}`? The keys are"),
        None => "use one of".to_owned(),
    };
    let cure = format!("there is no key `{key}`: {advice} {}", keys());
    Err(Error::new(key.span(), cure))
}

fn keys() -> String {
    KEYS.join(", ")
}

fn nothing_to_do() -> String {
    format!("nothing to override: write a key, such as `idle = \"10m\"`; the keys are {}", keys())
}

fn key_missing() -> String {
    format!("write a key in front, such as `idle = \"10m\"`; the keys are {}", keys())
}

fn equals_missing(key: &Ident) -> String {
    format!("write `=` between the key and its value, as in `{}`", example(key))
}

fn nearest(word: &str) -> Option<&'static str> {
    let distances = KEYS.iter().map(|key| (distance(word, key), *key));
    distances.filter(|(far, key)| *far <= key.len().div_ceil(3)).min().map(|(_, key)| key)
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let kept = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = kept.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Overflow;

    fn read(words: &str) -> Result<Patch> {
        patch(words.parse().unwrap())
    }

    fn mistakes(words: &str) -> Vec<String> {
        read(words).unwrap_err().into_iter().map(|mistake| mistake.to_string()).collect()
    }

    #[test]
    fn every_key_is_read() {
        let all = read(
            r#"idle = "1m", absolute = "never", warn = "30s", max_sessions = 1, overflow = "refuse",
               passive, message = "Bye", login_url = "/in?a=//b", require_login,"#,
        );
        let expected = Patch {
            idle: Some(Limit::At(60_000)),
            absolute: Some(Limit::Off),
            warn: Some(Limit::At(30_000)),
            max_sessions: Some(Limit::At(1)),
            overflow: Some(Overflow::Refuse),
            passive: Some(true),
            message: Some("Bye".to_owned()),
            login_url: Some("/in?a=//b".to_owned()),
            require_login: Some(true),
        };
        assert_eq!(all.unwrap(), expected);
    }

    #[test]
    fn both_spellings_of_no_limit_switch_it_off() {
        for words in ["max_sessions = 0", "max_sessions = \"unlimited\""] {
            assert_eq!(read(words).unwrap().max_sessions, Some(Limit::Off), "{words}");
        }
        assert_eq!(read("passive = false").unwrap().passive, Some(false));
    }

    #[test]
    fn require_login_is_read_bare_and_with_a_value() {
        for (words, expected) in [
            ("require_login", true),
            ("require_login = true", true),
            ("require_login = false", false),
        ] {
            assert_eq!(read(words).unwrap().require_login, Some(expected), "{words}");
        }
    }

    #[test]
    fn empty_message_is_read_as_no_message() {
        assert_eq!(read("message = \"\"").unwrap().message.as_deref(), Some(""));
    }

    #[test]
    fn one_mistake_is_one_error_with_the_cure() {
        let table = [
            ("", "nothing to override"),
            (",", "remove this comma"),
            ("idle = \"1m\",, passive", "remove this comma"),
            ("\"1m\"", "write a key in front"),
            ("idel = \"1m\"", "did you mean `idle`?"),
            ("maxsessions = 0", "did you mean `max_sessions`?"),
            ("timeout = 7", "use one of idle"),
            ("r#idle = 7", "did you mean `idle`?"),
            ("idle = \"1m\", idle = 7", "given twice"),
            ("idle(\"1m\")", "write `=`"),
            ("idle: \"1m\"", "write `=`"),
            ("idle", "needs a value, such as `idle = \"10m\"`"),
            ("warn =", "needs a value, such as `warn = \"30s\"`"),
            ("idle = 600", "such as \"600s\""),
            ("idle = 10m", "in quotes: \"10m\""),
            ("idle = 10min", "write \"10m\""),
            ("idle = -5", "is not a duration"),
            ("idle = never", "in quotes"),
            ("idle = \"10m\" \"\"", "in quotes"),
            ("max_sessions = \"3\"", "without quotes: 3"),
            ("max_sessions = \"never\"", "\"unlimited\""),
            ("max_sessions = -1", "whole number"),
            ("max_sessions = 1.5", "\"unlimited\""),
            ("max_sessions = 3u8", "\"unlimited\""),
            ("max_sessions = 4294967296", "too many"),
            ("overflow = \"lru\"", "\"least_recent\""),
            ("overflow", "needs a value"),
            ("passive = \"true\"", "write `passive`"),
            ("require_login = \"true\"", "write `require_login`"),
            ("require_login = 1", "write `require_login`"),
            ("require_login =", "such as `require_login = true`"),
            ("require_login(true)", "write `=`"),
            ("requires_login", "did you mean `require_login`?"),
            ("login_required", "use one of idle"),
            ("message = \" \"", "blank"),
            ("message = \"\\n\"", "blank"),
            ("message =", "needs a value"),
            ("message = b\"x\"", "in quotes"),
            ("login_url = \"login\"", "one `/` in front"),
            ("login_url = \"//evil.example\"", "one `/` in front"),
            ("login_url = \"/\\\\evil\"", "no backslash"),
            ("login_url = \"/a b\"", "no spaces"),
            ("login_url = \"/a\\t\"", "no spaces"),
            ("warn = \"1m\", idle = \"1m\"", "shorter than `idle`"),
            ("warn = \"2m\", absolute = \"1m\"", "shorter than `absolute`"),
            ("idle = \"never\", absolute = \"never\", warn = \"1m\"", "nothing to warn of"),
        ];
        for (words, cure) in table {
            let mistakes = mistakes(words);
            assert_eq!(mistakes.len(), 1, "{words}: {mistakes:?}");
            assert!(mistakes[0].contains(cure), "{words}: {mistakes:?}");
        }
    }

    #[test]
    fn several_mistakes_are_all_reported_at_once() {
        assert_eq!(mistakes("idle = 600, colour = 3, overflow = 3, passive, passive").len(), 4);
    }

    #[test]
    fn what_fuzzers_have_found_is_replayed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/attribute");
        let found = std::fs::read_dir(folder).unwrap();
        let texts = found.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        let count = texts.filter_map(|text| String::from_utf8_lossy(&text).parse().ok()).map(patch);
        assert!(count.count() >= 6);
    }
}
