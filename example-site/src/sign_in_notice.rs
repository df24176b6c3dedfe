//! Notice of a login, which the user's other sessions show.
//!
//! The message is stored in English and translated when it is shown. An attacker may sign in with a
//! language that the user does not read.

use session_expire::{
    page::{FlashLevel, FlashMessage},
    request::device_name,
};

use crate::{catalog::text, language::Language};

const TEXT: &str = text("New sign-in from {device}. If this was not you, change your password.");

const UNKNOWN_DEVICE: &str = text("an unknown device");

/// Returns the message about a login with this `User-Agent` header.
pub(crate) fn message(user_agent: &str) -> FlashMessage {
    let name = device_name(user_agent);
    let is_known = name != device_name("");
    let device = if is_known { &name } else { UNKNOWN_DEVICE };
    FlashMessage::new(FlashLevel::Info, Language::English.fill(TEXT, [("device", &device)]))
}

/// Translates a stored notice. Returns other messages unchanged: they are already translated.
pub(crate) fn translate(text: &str, language: Language) -> String {
    match device(text) {
        Some(UNKNOWN_DEVICE) => language.fill(TEXT, [("device", &language.t(UNKNOWN_DEVICE))]),
        Some(device) => language.fill(TEXT, [("device", &language.device_name(device))]),
        None => text.to_owned(),
    }
}

/// Returns the device of the notice with this text.
fn device(text: &str) -> Option<&str> {
    let (before, after) = TEXT.split_once("{device}")?;
    text.strip_prefix(before)?.strip_suffix(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    #[test]
    fn notice_is_translated_when_it_is_shown() {
        for (agent, start) in
            [(FIREFOX, "New sign-in from Firefox on Linux."), ("", "New sign-in from an unknown")]
        {
            let stored = message(agent);
            assert!(stored.text().starts_with(start), "{stored}");
            assert_eq!(translate(stored.text(), Language::English), stored.text());
            assert!(translate(stored.text(), Language::German).starts_with("Neue Anmeldung"));
        }
        assert_eq!(translate("Sie sind abgemeldet.", Language::German), "Sie sind abgemeldet.");
    }
}
