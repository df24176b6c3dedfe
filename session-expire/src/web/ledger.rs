//! What we keep in the session: the one file that names its keys and knows how actix-session works.

use std::{borrow::Cow, collections::HashMap, mem};

use actix_session::{Session, SessionExt, SessionInsertError, SessionStatus};
use actix_web::{HttpMessage, HttpRequest};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::brought::{Brought, Place};
use crate::registry::key::RecordKey;

/// Short, because every byte is encrypted, sent and parsed with every request.
const KEY: &str = "sx.k";
const FLASH: &str = "sx.f";

/// Where actix-identity keeps the user unless it is told otherwise.
pub(crate) const IDENTITY: &str = "actix_identity.user_id";

/// The session of a request.
pub(crate) struct Ledger {
    session: Session,
    identity: &'static str,
}

/// The record key in a session.
pub(crate) enum Signed {
    /// There is none.
    Missing,
    /// There is something that no login ever had.
    Garbage,
    /// There is one.
    With(RecordKey),
}

/// The content of a session, kept aside while it is masked.
pub(crate) struct Aside {
    entries: HashMap<String, String>,
    untouched: bool,
}

impl Ledger {
    pub(crate) fn of(req: &HttpRequest, identity: &'static str) -> Self {
        Self { session: req.get_session(), identity }
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.session.entries().is_empty()
    }

    /// Whether a masked session is still as empty as masking has made it.
    pub(crate) fn is_bare(&self) -> bool {
        !self.is_purged() && self.is_blank()
    }

    pub(crate) fn is_unchanged(&self) -> bool {
        self.session.status() == SessionStatus::Unchanged
    }

    /// Whether somebody asked for a new session id, as every login does.
    pub(crate) fn is_renewed(&self) -> bool {
        self.session.status() == SessionStatus::Renewed
    }

    pub(crate) fn is_purged(&self) -> bool {
        self.session.status() == SessionStatus::Purged
    }

    /// The record key that came with the user's name; `None` when the session names no user.
    pub(crate) fn signed(&self) -> Option<Signed> {
        let entries = self.session.entries();
        let user = find(&entries, self.identity)?;
        Some(find(&entries, KEY).map_or(Signed::Missing, |secret| {
            let owner_and_secret = text(user).zip(unquoted(secret));
            let key = owner_and_secret.and_then(|(user, key)| RecordKey::with_secret(&user, key));
            key.map_or(Signed::Garbage, Signed::With)
        }))
    }

    /// Where everything lies before anyone has written.
    pub(crate) fn brought(&self) -> Brought {
        let mut brought = Brought::default();
        for (key, json) in self.session.entries().iter() {
            match key.as_str() {
                KEY | FLASH => {}
                key if key == self.identity => brought.user = Some(Place::of(json)),
                key => brought.add(key, json),
            }
        }
        brought
    }

    /// Takes out what has been there since then, but for our own entries and the user's name.
    pub(crate) fn drop_brought(&self, brought: &Brought) {
        let old = |(key, json): &(&String, &String)| brought.holds(key, json);
        let entries = self.session.entries();
        let keys: Vec<_> = entries.iter().filter(old).map(|(key, _)| key.clone()).collect();
        drop(entries);
        for key in keys {
            self.session.remove(&key);
        }
    }

    pub(crate) fn has_key(&self) -> bool {
        self.session.contains_key(KEY)
    }

    pub(crate) fn set_key(&self, key: RecordKey) -> Result<(), SessionInsertError> {
        self.session.insert(KEY, key.secret())
    }

    pub(crate) fn drop_key(&self) {
        if self.has_key() {
            self.session.remove(KEY);
        }
    }

    /// Whether the signed-in user is `user`; `None` when nobody is signed in.
    pub(crate) fn is_user(&self, user: &str) -> Option<bool> {
        let entries = self.session.entries();
        let json = find(&entries, self.identity)?;
        Some(text(json).is_some_and(|name| name == user))
    }

    pub(crate) fn user(&self) -> Option<String> {
        self.session.get(self.identity).ok().flatten()
    }

    pub(crate) fn place_of_user(&self) -> Option<Place> {
        let entries = self.session.entries();
        find(&entries, self.identity).map(Place::of)
    }

    /// A new session id with the same content, against session fixation.
    pub(crate) fn renew(&self) {
        self.session.renew();
    }

    pub(crate) fn purge(&self) {
        self.session.purge();
    }

    /// Hides everything from whoever comes further in; unread messages as well, for they are for the
    /// person who was signed in.
    pub(crate) fn mask(&self) -> Aside {
        let aside =
            Aside { entries: self.session.entries().clone(), untouched: self.is_unchanged() };
        self.session.clear();
        aside
    }

    /// Brings the hidden content back. What was written meanwhile stays on top.
    pub(crate) fn unmask(&self, aside: &Aside) {
        for (key, json) in &aside.entries {
            if !self.session.contains_key(key) {
                self.put_back(key, json);
            }
        }
    }

    fn put_back(&self, key: &str, json: &str) {
        let raw = RawValue::from_string(json.to_owned());
        if raw.map(|raw| self.session.insert(key, raw)).is_err() {
            tracing::warn!(key, "a session entry that is no JSON was dropped");
        }
    }

    /// Whether masking and unmasking is all that happened to the session.
    pub(crate) fn is_as_it_was(&self, aside: &Aside) -> bool {
        aside.untouched
            && self.session.status() == SessionStatus::Changed
            && *self.session.entries() == aside.entries
    }

    pub(crate) fn flash<T: DeserializeOwned>(&self) -> Option<T> {
        self.session.get(FLASH).ok().flatten()
    }

    pub(crate) fn set_flash(&self, messages: &impl Serialize) -> Result<(), SessionInsertError> {
        self.session.insert(FLASH, messages)
    }

    pub(crate) fn drop_flash(&self) {
        if self.session.contains_key(FLASH) {
            self.session.remove(FLASH);
        }
    }
}

/// The text that a JSON string stands for. Most are their own JSON, and then nothing is allocated.
fn text(json: &str) -> Option<Cow<'_, str>> {
    match unquoted(json) {
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

fn unquoted(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// Looks an entry up. In the few entries that a session has, looking at each is several times faster
/// than hashing the name.
fn find<'a>(entries: &'a HashMap<String, String>, name: &str) -> Option<&'a String> {
    if entries.len() > 16 {
        return entries.get(name);
    }
    entries.iter().find(|(key, _)| *key == name).map(|(_, json)| json)
}

/// Takes the session of `req` away from actix-session, as if this request had not touched it, and
/// gives it an empty one instead; nothing is saved unless somebody writes to that.
///
/// actix-session finds a request's session in the extensions under a type that only it can name. So
/// an empty one is made beside the full extensions, and laid over them.
pub(crate) fn forget_changes(req: &HttpRequest, identity: &'static str) -> Ledger {
    let everything = mem::take(&mut *req.extensions_mut());
    let blank = Ledger::of(req, identity);
    let only_blank = mem::replace(&mut *req.extensions_mut(), everything);
    req.extensions_mut().extend(only_blank);
    blank
}
