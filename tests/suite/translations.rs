//! Texts in the languages of users: dialog, reasons, `signed-in`, durations.

use actix_session::{Session, SessionExt, SessionInsertError};
use actix_web::web;
use session_expire::{
    Policy, SessionExpireBuilder, SessionHandle, minutes,
    page::{DialogTexts, Translation},
};
use session_expire_tests::{Browser, Site, SiteBuilder};

/// Texts for one language each: the button of the dialog, and the reason `idle`.
const TEXTS: [(&str, &str, &str, &str, &str); 8] = [
    ("de-AT, en;q=0.5", "de", "ltr", "Angemeldet bleiben", "Sie eine Weile nicht aktiv waren."),
    ("fr-CH", "fr", "ltr", "Prolonger la session", "une période d’inactivité."),
    ("es-419", "es", "ltr", "Mantener la sesión", "un tiempo sin actividad."),
    ("pl", "pl", "ltr", "Przedłuż sesję", "z powodu braku aktywności."),
    ("ar-EG", "ar", "rtl", "تمديد الجلسة", "بعد مدة من عدم النشاط."),
    ("zh-Hant-TW", "en", "ltr", "Stay signed in", "had not been active for a while."),
    ("zh, pl;q=0.5, de;q=0.4", "pl", "ltr", "Przedłuż sesję", "z powodu braku aktywności."),
    ("\u{fc};;,", "en", "ltr", "Stay signed in", "had not been active for a while."),
];

async fn translation(session: SessionHandle) -> String {
    let translation = session.translation();
    let device = translation.device_name("Firefox on Linux");
    format!("{} {} {device}", translation.lang(), translation.duration(minutes(90)))
}

async fn choose(
    session: Session,
    language: web::Path<String>,
) -> Result<&'static str, SessionInsertError> {
    session.insert("language", &*language).map(|()| "chosen")
}

fn site() -> SiteBuilder {
    Site::builder().routes(|cfg| {
        cfg.route("/translation", web::get().to(translation));
        cfg.route("/language/{language}", web::post().to(choose));
    })
}

fn customised(
    customise: impl FnOnce(SessionExpireBuilder) -> SessionExpireBuilder + 'static,
) -> Site {
    site().customise(customise).start()
}

fn parse(json: &str) -> Translation {
    Translation::parse(json).expect("a valid translation")
}

fn get(browser: &Browser, path: &str, languages: &str) -> String {
    browser.request("GET", path).header("accept-language", languages).send().body
}

fn dialog(browser: &Browser, languages: &str) -> String {
    let request = browser.request("GET", "/vars").header("accept-language", languages);
    request.send().json()["dialog"].as_str().unwrap().to_owned()
}

/// Returns the text about a session of `alice` that was idle for too long.
fn idle_text(site: &Site, languages: &str) -> String {
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    get(&alice, "/messages", languages)
}

#[test]
fn dialog_and_reason_have_the_language_of_the_browser() {
    let site = Site::start();
    for (languages, lang, dir, stay, reason) in TEXTS {
        let dialog = dialog(&site.signed_in("alice"), languages);
        let attributes = format!("-text\" lang=\"{lang}\" dir=\"{dir}\" data-minute-");
        assert!(dialog.contains(&attributes), "{languages}: {dialog}");
        assert!(dialog.contains(&format!("data-when-idle=\"{stay}\"")), "{languages}: {dialog}");
        let text = idle_text(&site, languages);
        assert!(text.starts_with("[warning idle] ") && text.ends_with(reason), "{text}");
    }
}

#[test]
fn challenge_has_the_language_of_the_browser() {
    let site = Site::start();
    for (languages, _, _, _, reason) in TEXTS {
        let alice = site.signed_in("alice");
        site.advance(minutes(10));
        let request = alice.request("GET", "/private").script();
        let detail = request.header("accept-language", languages).send().json()["detail"].clone();
        assert!(detail.as_str().unwrap().ends_with(reason), "{languages}: {detail}");
    }
}

#[test]
fn eviction_names_the_device_in_the_language() {
    let site = Site::builder().policy(Policy::new().max_sessions(1)).start();
    let alice = site.signed_in("alice");
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let other = site.browser();
    other.request("POST", "/login").header("user-agent", agent).form("user=alice").send();
    let text = get(&alice, "/messages", "de");
    assert!(
        text.contains("auf einem anderen Gerät angemeldet haben (Firefox auf Linux, "),
        "{text}"
    );
    assert!(text.ends_with(" UTC)."), "{text}");
}

#[test]
fn signed_in_page_has_language_and_direction() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let page = get(&alice, "/session/signed-in", "ar");
    assert!(page.starts_with("<!doctype html><html lang=\"ar\" dir=\"rtl\">"), "{page}");
    assert!(page.contains("<h1>تم تسجيل الدخول. يمكنك إغلاق علامة التبويب هذه.</h1>"), "{page}");
    let page = get(&site.browser(), "/session/signed-in", "pl");
    assert!(
        page.contains("lang=\"pl\" dir=\"ltr\"") && page.contains(">Zaloguj się</a>"),
        "{page}"
    );
}

#[test]
fn handler_gets_the_translation_of_the_user() {
    let site = site().start();
    let (visitor, alice) = (site.browser(), site.signed_in("alice"));
    for browser in [&visitor, &alice] {
        let text = get(browser, "/translation", "pl");
        assert_eq!(text, "pl 1 godzinę 30 minut Firefox, Linux");
        assert_eq!(get(browser, "/translation", "it"), "en 1 hour 30 minutes Firefox on Linux");
    }
}

#[test]
fn one_text_of_a_language_can_be_replaced() {
    let site = customised(|builder| {
        builder
            .translation(parse(r#"{ "lang": "de", "stay": "<Weiter>" }"#))
            .translation(parse(r#"{ "lang": "en", "reason_idle": "You were away." }"#))
    });
    let german = dialog(&site.signed_in("alice"), "de");
    assert!(german.contains("data-when-idle=\"&lt;Weiter&gt;\"") && german.contains(">Abmelden<"));
    assert!(idle_text(&site, "de").contains("Sie wurden abgemeldet"));
    assert_eq!(idle_text(&site, "it"), "[warning idle] You were away.");
}

#[test]
fn application_can_add_a_language() {
    let english = include_str!("../../session-expire/translations/en.json");
    let japanese: String = english
        .replace("\"en\"", "\"ja\"")
        .lines()
        .filter(|line| !line.contains("_one\""))
        .collect();
    let japanese = japanese.replace("Stay signed in", "続ける").replace("minutes", "分");
    let site = customised(move |builder| builder.translation(parse(&japanese)));
    let dialog = dialog(&site.signed_in("alice"), "ja-JP");
    assert!(dialog.contains(" lang=\"ja\" dir=\"ltr\" data-minute-other=\"{n} 分\""), "{dialog}");
    assert!(dialog.contains("続ける") && !dialog.contains("data-minute-one"), "{dialog}");
}

#[test]
fn texts_of_the_application_precede_translations() {
    let site =
        customised(|builder| builder.ended_texts(|notice| format!("Own: {}", notice.reason)));
    assert_eq!(idle_text(&site, "de"), "[warning idle] Own: idle");

    let site = customised(|builder| builder.ended_texts(|notice| notice.default_text()));
    assert!(idle_text(&site, "de").contains("Sie wurden abgemeldet"), "the default is translated");

    let site = customised(|builder| builder.dialog_texts(|_| DialogTexts::default()));
    let dialog = dialog(&site.signed_in("alice"), "de");
    assert!(dialog.contains("Stay signed in"), "{dialog}");
    for attribute in [" lang=", " dir=", " data-minute-", " data-second-"] {
        assert!(!dialog.contains(attribute), "{attribute}: {dialog}");
    }

    let policy = Policy::new().idle(minutes(10)).message("Away.");
    let site = Site::builder().policy(policy).start();
    assert_eq!(idle_text(&site, "de"), "[warning idle] Away.");
}

#[test]
fn text_of_a_cause_precedes_translations() {
    let site = customised(|builder| builder.cause_text("administrator", "Call us."));
    for (cause, text) in [("administrator", "Call us."), ("password_changed", "Ihr Passwort")] {
        let alice = site.signed_in("alice");
        let sessions = site.expire.sessions().with_cause(cause);
        actix_web::rt::System::new().block_on(sessions.end_all("alice")).unwrap();
        let shown = get(&alice, "/messages", "de");
        assert!(shown.contains(text), "{shown}");
    }
}

#[test]
fn language_that_the_user_has_chosen_precedes_that_of_the_browser() {
    let site = customised(|builder| {
        builder.user_language(|req| Some(req.cookie("language")?.value().to_owned()))
    });
    let alice = site.signed_in("alice");
    for (chosen, browser, lang) in [
        ("pl", "de", "pl"),
        ("AR-eg", "de", "ar"),
        ("zh", "de", "de"),
        ("\"><b>", "de", "de"),
        ("", "de", "de"),
        ("zh", "zh", "en"),
    ] {
        alice.set_cookie("language", chosen);
        assert!(dialog(&alice, browser).contains(&format!(" lang=\"{lang}\" ")), "{chosen}");
        assert!(get(&alice, "/translation", browser).starts_with(lang), "{chosen}");
    }
    alice.set_cookie("language", "fr");
    site.advance(minutes(10));
    assert!(get(&alice, "/messages", "de").contains("Votre session a été fermée"));
}

#[test]
fn chosen_language_may_be_an_entry_of_the_session() {
    let site = customised(|builder| {
        builder.user_language(|req| req.get_session().get("language").ok().flatten())
    });
    let alice = site.signed_in("alice");
    for language in ["pl", "fr"] {
        assert_eq!(alice.post(&format!("/language/{language}"), "").body, "chosen");
        assert!(dialog(&alice, "de").contains(&format!(" lang=\"{language}\" ")), "{language}");
    }
    site.advance(minutes(10));
    let text = get(&alice, "/messages", "de");
    assert!(text.contains("Sie wurden abgemeldet"), "the entry remains after the session: {text}");
}

#[test]
fn chosen_language_reaches_the_functions_of_the_application() {
    let site = customised(|builder| {
        builder
            .user_language(|_| Some("it".to_owned()))
            .ended_texts(|notice| notice.languages.iter().collect::<Vec<_>>().join(" "))
            .dialog_texts(|languages| {
                let mut texts = DialogTexts::default();
                texts.stay = languages.iter().collect::<Vec<_>>().join(" ").into();
                texts
            })
    });
    assert!(dialog(&site.signed_in("alice"), "de").contains("data-when-idle=\"it de\""));
    assert_eq!(idle_text(&site, "de"), "[warning idle] it de");
}

#[test]
fn stored_text_keeps_the_language_of_its_request() {
    let site = site().start();
    let alice = site.signed_in("alice");
    let sign_out = alice.request("POST", "/session/logout").header("accept-language", "de");
    assert_eq!(sign_out.send().status, 303);
    assert_eq!(get(&alice, "/messages", "fr"), "[success logged_out] Sie haben sich abgemeldet.");
}
