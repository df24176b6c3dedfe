//! Tests that each text of the pages has a translation in each language.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{Catalog, Entry, file};
use crate::language::Language;

/// Names that are the same in all languages.
const NAMES: [&str; 1] = ["session-expire"];

/// Attributes that users read or hear.
const READ_ATTRIBUTES: [&str; 6] = [
    "aria-label",
    "aria-description",
    "alt",
    "title",
    "placeholder",
    "name=\"description\" content",
];

/// Methods and functions whose first text is a key. For plurals, the second text is the key.
const LOOK_UPS: [&str; 5] = [".t(", ".fill(", ".around(", "text(", ".plural("];

fn translations() -> impl Iterator<Item = (Language, &'static Catalog)> {
    let translated = Language::ALL.into_iter().filter(|language| *language != Language::English);
    translated.map(|language| (language, Catalog::of(language)))
}

/// Returns the files below `folder` of this package, with their contents.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut found = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => found.push((path.clone(), fs::read_to_string(path).unwrap())),
            }
        }
    }
    found
}

/// Returns the templates that are translated. The administrators' pages are in English.
fn templates() -> Vec<(PathBuf, String)> {
    let all = files("templates").into_iter();
    all.filter(|(path, _)| !path.parent().unwrap().ends_with("admin")).collect()
}

/// Returns the string literal at the start of `code`, and the code after it. Returns `None` if
/// `code` starts with other code.
fn literal(code: &str) -> Option<(String, &str)> {
    let mut chars = code.char_indices().skip_while(|(_, c)| c.is_whitespace());
    chars.next().filter(|(_, c)| *c == '"')?;
    let mut text = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &code[at + 1..])),
            '\\' => match chars.next()?.1 {
                '\n' => {
                    let rest = &code[at + 2..];
                    let skipped = rest.len() - rest.trim_start().len();
                    chars.by_ref().take(skipped).for_each(drop);
                }
                escaped => text.push(escaped),
            },
            c => text.push(c),
        }
    }
    None
}

/// Returns the keys of a source file, each with `true` if it has plural forms.
fn keys_of(source: &str) -> Vec<(String, bool)> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let calls = |call: &'static str| code.split(call).skip(1).map(move |rest| (call, rest));
    let key = |(call, rest): (&str, &str)| {
        if call != ".plural(" {
            return Some((literal(rest)?.0, false));
        }
        let (_one, rest) = literal(rest.split_once(',')?.1)?;
        Some((literal(rest.trim_start().strip_prefix(',')?)?.0, true))
    };
    LOOK_UPS.into_iter().flat_map(calls).filter_map(key).collect()
}

fn keys() -> BTreeMap<String, bool> {
    let code = files("src").into_iter().filter(|(path, _)| !path.ends_with("completeness.rs"));
    code.chain(files("templates")).flat_map(|(_, source)| keys_of(&source)).collect()
}

fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[test]
fn literals_are_read_as_the_compiler_does() {
    let code =
        "a.t(\"x \\\"y\\\"\") b.plural(n, \"1 a\", \"{n} \\\n   as\") c.t(d) = text(\n \"e\")";
    let expected = [("x \"y\"", false), ("e", false), ("{n} as", true)];
    assert_eq!(keys_of(code), expected.map(|(key, plural)| (key.to_owned(), plural)));
}

#[test]
fn files_translate_exactly_the_texts_of_the_site() {
    let keys = keys();
    assert!(keys.len() > 50, "{keys:?}");
    for (language, catalog) in translations() {
        let translated = catalog.texts.iter();
        let translated: BTreeMap<_, _> =
            translated.map(|(key, entry)| (key, matches!(entry, Entry::Plural(_)))).collect();
        let missing: Vec<_> =
            keys.iter().filter(|(key, plural)| translated.get(key) != Some(plural)).collect();
        assert!(missing.is_empty(), "{language:?} lacks {missing:#?}");
        let unused: Vec<_> = translated.keys().filter(|key| !keys.contains_key(**key)).collect();
        assert!(unused.is_empty(), "{language:?} has unused {unused:#?}");
    }
}

#[test]
fn translations_have_the_placeholders_and_plural_forms_of_their_language() {
    for (language, catalog) in translations() {
        let categories = (0..200).map(|n| Catalog::of(language).plural_category(n));
        let categories: BTreeSet<_> = categories.chain(["other"]).collect();
        for (key, entry) in &catalog.texts {
            match entry {
                Entry::Text(text) => {
                    assert_eq!(placeholders(text), placeholders(key), "{language:?} {key}");
                }
                Entry::Plural(forms) => {
                    let given: BTreeSet<_> = forms.keys().map(String::as_str).collect();
                    assert_eq!(given, categories, "{language:?} {key}");
                    assert!(forms["other"].contains("{n}"), "{language:?} {key}");
                    let known = |form: &String| placeholders(form).is_subset(&placeholders(key));
                    assert!(forms.values().all(known), "{language:?} {key}");
                }
            }
        }
    }
}

#[test]
fn files_name_their_reviewer() {
    for (language, _) in translations() {
        let content: serde_json::Value = serde_json::from_str(file(language)).unwrap();
        assert!(content["reviewer"].as_str().is_some_and(|name| !name.is_empty()), "{language:?}");
    }
}

/// Removes all parts of `text` that are between `start` and `end`.
fn without(text: &str, start: &str, end: &str) -> String {
    let mut parts = text.split(start);
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.split_once(end).map_or("", |(_, rest)| rest))
}

/// Parts of a template that contain no text of the page.
const NO_TEXT: [(&str, &str); 6] = [
    ("{% block at_", "endblock %}"),
    ("{#", "#}"),
    ("{%", "%}"),
    ("{{", "}}"),
    ("<code", "</code>"),
    ("<script", "</script>"),
];

/// Returns the values of the attributes that users read or hear.
fn attributes(markup: &str) -> Vec<String> {
    let values = |name: &&str| {
        let start = format!(" {name}=\"");
        markup.split(&start).skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let values = READ_ATTRIBUTES.iter().flat_map(values);
    values.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

/// Returns texts of a template that it does not look up.
fn untranslated(template: &str) -> Vec<String> {
    let remove = |text: String, (start, end): (&str, &str)| without(&text, start, end);
    let markup = NO_TEXT.into_iter().fold(template.to_owned(), remove);
    let markup = NAMES.iter().fold(markup, |text, name| text.replace(name, ""));
    let texts = without(&markup, "<", ">").lines().map(|line| line.trim().to_owned()).collect();
    let texts = [texts, attributes(&markup)].concat().into_iter();
    texts.filter(|text| text.contains(char::is_alphabetic)).collect()
}

#[test]
fn text_outside_of_a_look_up_is_found() {
    for (template, expected) in [
        ("<h1>Hi</h1>", vec!["Hi"]),
        ("<h1>{{ layout.t(\"Hi\") }}</h1>{# note #}", vec![]),
        ("{% if a %}Error: {% endif %}", vec!["Error:"]),
        ("<a aria-label=\"Go {{ x }}\"></a><b class=\"x\">·</b>", vec!["Go "]),
        ("<meta name=\"description\" content=\"Site\">session-expire", vec!["Site"]),
    ] {
        assert_eq!(untranslated(template), expected, "{template}");
    }
}

#[test]
fn templates_look_up_all_texts() {
    let found = |(path, template): (PathBuf, String)| {
        let texts = untranslated(&template);
        (!texts.is_empty()).then_some((path, texts))
    };
    let found: Vec<_> = templates().into_iter().filter_map(found).collect();
    assert!(found.is_empty(), "{found:#?}");
}
