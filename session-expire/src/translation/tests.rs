//! Tests of the translation files and of their parser.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Translation, Translations, parse::FILES};
use crate::{
    dialog::texts::DialogTexts,
    error::TranslationError,
    messages::{
        ended_texts::ENGLISH,
        notice::{Languages, Notice},
    },
    session::reason::Reason,
    time::{Timestamp, days, hours, minutes, seconds},
};

fn translation(lang: &str) -> Translation {
    Translation::parse(&json!({ "lang": lang }).to_string()).unwrap()
}

fn texts(file: &str) -> BTreeMap<String, String> {
    serde_json::from_str(file).unwrap()
}

/// Returns the complete texts of a language that the crate does not have.
fn italian() -> Value {
    let mut file: Value = serde_json::from_str(FILES[0].1).unwrap();
    file["lang"] = "it".into();
    for unit in ["second", "minute", "hour", "day"] {
        file[format!("{unit}_many")] = "{n} di".into();
    }
    file
}

fn error_of(file: &Value) -> String {
    Translation::parse(&file.to_string()).unwrap_err().to_string()
}

#[test]
fn english_file_has_the_default_texts() {
    let english = translation("en");
    assert_eq!(english.ended, ENGLISH);
    let attributes = english.dialog.attributes.clone();
    assert_eq!(english.dialog, DialogTexts { attributes, ..DialogTexts::default() });
}

#[test]
fn files_have_all_texts_and_a_reviewer() {
    let without_forms = |file: &str| {
        let is_form = |key: &str| {
            ["second_", "minute_", "hour_", "day_"].iter().any(|unit| key.starts_with(unit))
        };
        texts(file).into_keys().filter(|key| !is_form(key)).collect::<BTreeSet<_>>()
    };
    for (lang, file) in FILES {
        assert_eq!(without_forms(file), without_forms(FILES[0].1), "{lang}");
        let texts = texts(file);
        assert_eq!(texts["lang"], lang);
        assert!(texts.values().all(|text| !text.is_empty()), "{lang}");
        let parsed = Translation::parse(file).unwrap();
        assert_eq!((parsed.lang(), parsed.dir()), (lang, &*texts["dir"]));
    }
    assert_eq!(translation("ar").dir(), "rtl");
}

#[test]
fn durations_have_the_plural_forms_of_the_language() {
    for (lang, duration, text) in [
        ("en", seconds(0), "0 seconds"),
        ("en", Duration::from_millis(250), "1 second"),
        ("en", minutes(90), "1 hour 30 minutes"),
        ("en", days(1) + seconds(1), "1 day 1 second"),
        ("en", Duration::MAX, "213503982334601 days 7 hours 15 seconds"),
        ("de", days(2), "2 Tagen"),
        ("fr", minutes(0), "0\u{a0}seconde"),
        ("fr", minutes(90), "1\u{a0}heure 30\u{a0}minutes"),
        ("es", minutes(1), "1\u{a0}minuto"),
        ("pl", minutes(1), "1 minutę"),
        ("pl", minutes(2), "2 minuty"),
        ("pl", minutes(5), "5 minut"),
        ("pl", minutes(21), "21 minut"),
        ("pl", minutes(22), "22 minuty"),
        ("pl", seconds(0), "0 sekund"),
        ("pl", minutes(90), "1 godzinę 30 minut"),
        ("ar", minutes(1), "دقيقة واحدة"),
        ("ar", minutes(2), "دقيقتين"),
        ("ar", minutes(3), "3 دقائق"),
        ("ar", minutes(11), "11 دقيقة"),
        ("ar", minutes(21), "21 دقيقة"),
        ("ar", seconds(0), "0 ثانية"),
        ("ar", minutes(90), "ساعة واحدة و30 دقيقة"),
        ("ar", days(100), "100 يوم"),
        ("ar", days(11), "11 يومًا"),
    ] {
        assert_eq!(translation(lang).duration(duration), text, "{lang} {duration:?}");
    }
}

#[test]
fn dialog_has_the_forms_of_its_language() {
    let polish = translation("pl").dialog.attributes;
    assert_eq!(
        polish,
        " lang=\"pl\" dir=\"ltr\" data-minute-few=\"{n} minuty\" data-minute-many=\"{n} minut\" \
         data-minute-one=\"{n} minutę\" data-minute-other=\"{n} minuty\" \
         data-second-few=\"{n} sekundy\" data-second-many=\"{n} sekund\" \
         data-second-one=\"{n} sekundę\" data-second-other=\"{n} sekundy\""
    );
    let hostile = json!({ "lang": "de", "minute_one": "{n} \"><b>" });
    let attributes = Translation::parse(&hostile.to_string()).unwrap().dialog.attributes;
    assert!(attributes.contains("data-minute-one=\"{n} &quot;&gt;&lt;b&gt;\""), "{attributes}");
}

#[test]
fn language_of_the_crate_needs_only_other_texts() {
    let own = json!({ "lang": "de-at", "stay": "Weiter", "reviewer": "A. Name" });
    let austrian = Translation::parse(&own.to_string()).unwrap();
    assert_eq!(austrian.lang(), "de-AT");
    assert_eq!(austrian.dialog.stay, "Weiter");
    assert_eq!(austrian.dialog.sign_out, "Abmelden");
    assert!(austrian.dialog.attributes.starts_with(" lang=\"de-AT\" dir=\"ltr\""));
}

#[test]
fn new_language_needs_all_texts() {
    assert_eq!(Translation::parse(&italian().to_string()).unwrap().lang(), "it");
    let mut file = italian();
    file.as_object_mut().unwrap().retain(|key, _| !["stay", "minute_many"].contains(&&**key));
    assert_eq!(error_of(&file), "translation \"it\" lacks the keys stay, minute_many");
    let missing = Translation::parse(r#"{ "lang": "it" }"#);
    assert!(matches!(missing, Err(TranslationError::MissingKeys { keys, .. }) if keys.len() == 48));
}

#[test]
fn errors_name_the_key() {
    for (entry, message) in [
        (("stray", json!("x")), "translation \"it\" has the unknown key \"stray\""),
        (("day_two", json!("x")), "translation \"it\" has the unknown key \"day_two\""),
        (("idle", json!("x")), "`idle` lacks the placeholder {time}"),
        (("reason_evicted_by", json!("x")), "`reason_evicted_by` lacks the placeholder {device}"),
        (("stay", json!("x {time}")), "`stay` has the unknown placeholder {time}"),
        (("stay", json!("x {time")), "`stay` has the unknown placeholder {time}"),
        (("hour_many", json!("x")), "`hour_many` lacks the placeholder {n}"),
        (("hour_one", json!("{m} x")), "`hour_one` has the unknown placeholder {m}"),
        (("idle", json!("{time}, {time}")), "`idle` has the placeholder {time} more than once"),
        (("day_many", json!("{n}, {n}")), "`day_many` has the placeholder {n} more than once"),
        (("hour_one", json!("")), "`hour_one` is empty"),
        (("stay", json!(" \u{a0}")), "`stay` is empty"),
        (("reason_idle", json!("")), "`reason_idle` is empty"),
        (("duration_join", json!("{larger}")), "`duration_join` lacks the placeholder {smaller}"),
        (("dir", json!("up")), "`dir`: \"up\" is neither \"ltr\" nor \"rtl\""),
        (("lang", json!("?")), "`lang`: \"?\" is not a language tag; write one such as \"pt-BR\""),
        (("lang", json!("")), "`lang`: \"\" is not a language tag; write one such as \"pt-BR\""),
    ] {
        let mut file = italian();
        file[entry.0] = entry.1;
        assert_eq!(error_of(&file), message);
    }
    for json in [json!({ "lang": "de", "stay": 1 }), json!(["lang"]), json!(null)] {
        let error = error_of(&json);
        assert!(error.starts_with("translation is not a JSON object of texts: "), "{error}");
    }
}

#[test]
fn number_may_be_missing_in_the_form_of_one_number_only() {
    let mut file = italian();
    file["minute_one"] = "un minuto".into();
    assert!(Translation::parse(&file.to_string()).is_ok());
    // In Russian, 21 has the form of 1.
    file["lang"] = "ru".into();
    for unit in ["second", "minute", "hour", "day"] {
        file[format!("{unit}_few")] = "{n}".into();
    }
    assert_eq!(error_of(&file), "`minute_one` lacks the placeholder {n}");
}

#[test]
fn device_names_are_translated_word_for_word() {
    let french = translation("fr");
    for (name, text) in [
        ("Firefox on Linux", "Firefox sur Linux"),
        ("Samsung Internet on Android", "Samsung Internet sur Android"),
        ("Unknown device", "Appareil inconnu"),
        ("Firefox", "Firefox"),
        ("iPhone", "iPhone"),
        ("Netscape on Linux", "Netscape on Linux"),
        ("Firefox on Linux ", "Firefox on Linux "),
        ("{browser} on {system}", "{browser} on {system}"),
        ("", ""),
    ] {
        assert_eq!(french.device_name(name), text);
    }
}

#[test]
fn eviction_has_device_and_time_in_each_language() {
    let languages = Languages::default();
    for (lang, _) in FILES {
        let translation = translation(lang);
        let text = |device, at| {
            let notice = Notice::new(Reason::Evicted, &languages);
            let notice = Notice { device, at, texts: &translation.ended, ..notice };
            notice.default_text()
        };
        let at = Some(Timestamp::from_millis(52_320_000));
        let both = text(Some("Firefox on Linux"), at);
        let device = translation.device_name("Firefox on Linux");
        assert!(both.contains(&device) && both.contains("14:32 UTC"), "{both}");
        assert!(text(Some("curl"), None).contains("curl") && text(None, at).contains("14:32 UTC"));
        assert!(text(Some("{time}"), at).contains("{time}"), "a name is no template");
        for text in [both, text(None, None), text(Some(""), None)] {
            assert!(!text.contains(['}', '{']), "{text}");
        }
    }
}

#[test]
fn choice_follows_the_preferences_and_defaults_to_english() {
    let own = ["{ \"lang\": \"de\", \"stay\": \"A\" }", "{ \"lang\": \"pt\" }"];
    assert!(Translation::parse(own[1]).is_err());
    let own = vec![
        Translation::parse(own[0]).unwrap(),
        translation("de-CH"),
        translation("en-GB"),
        Translation::parse(&italian().to_string()).unwrap(),
    ];
    let translations = Translations::new(own).unwrap();
    for (header, lang) in [
        ("de-AT", "de"),
        ("de-CH-1996", "de-CH"),
        ("zh", "en"),
        ("zh-Hant-TW, fr;q=0.5", "fr"),
        ("en-GB", "en-GB"),
        ("it, de;q=0.9", "it"),
        ("", "en"),
        ("*", "en"),
    ] {
        assert_eq!(translations.best_of(&Languages::parse(header)).lang(), lang, "{header}");
    }
    assert_eq!(translations.best_of(&Languages::parse("de")).dialog.stay, "A");
}

fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,20}", "[{}a-z]{0,12}", Just("{n}".to_owned()), Just("de".to_owned())]
}

proptest! {
    #[test]
    fn parser_accepts_or_rejects_any_text(text in "\\PC*") {
        let _ = Translation::parse(&text);
    }

    #[test]
    fn parser_accepts_or_rejects_any_entries(
        lang in prop_oneof!["[a-z]{2,3}", "[a-zA-Z0-9_-]{0,12}"],
        keys in prop::collection::vec(0_usize..60, 0..6),
        texts in prop::collection::vec(hostile_text(), 6),
    ) {
        let all: Vec<_> = self::texts(FILES[5].1).into_keys().collect();
        let mut file = italian();
        file["lang"] = lang.into();
        for (key, text) in keys.into_iter().zip(texts) {
            file[all.get(key).map_or("stray", String::as_str)] = text.into();
        }
        if let Ok(translation) = Translation::parse(&file.to_string()) {
            let _ = translation.duration(minutes(123));
            let _ = translation.duration(hours(1) + seconds(5));
        }
    }
}
