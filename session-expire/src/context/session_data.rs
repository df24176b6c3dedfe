//! The application's `Session`: the only file that names its keys and knows how actix-session
//! represents values.
//!
//! A session is filled on the way in and compared on the way out, through the public API of
//! actix-session. Its status is no evidence of a change: filling a session changes its status, too.

use actix_session::{Session, SessionExt, SessionStatus};
use actix_web::{HttpRequest, dev::ServiceRequest};
use serde_json::value::RawValue;

use crate::registry::data::{DataChanges, SessionData};

/// Where actix-identity keeps the user by default.
pub(crate) const IDENTITY_KEY: &str = "actix_identity.user_id";

/// The `Session` of a request.
#[derive(Clone)]
pub(crate) struct AppSession {
    session: Session,
    identity_key: &'static str,
}

/// The user that a session names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamedUser {
    Missing,
    Named(String),
    /// A value that is neither a string nor a number.
    Invalid,
}

impl AppSession {
    pub(crate) fn new(session: Session, identity_key: &'static str) -> Self {
        Self { session, identity_key }
    }

    pub(crate) fn of_service_request(req: &ServiceRequest, identity_key: &'static str) -> Self {
        Self::new(req.get_session(), identity_key)
    }

    pub(crate) fn of_request(req: &HttpRequest, identity_key: &'static str) -> Self {
        Self::new(req.get_session(), identity_key)
    }

    /// Returns `true` if the session has no entries.
    pub(crate) fn is_empty(&self) -> bool {
        self.session.entries().is_empty()
    }

    /// Returns `true` if no memory is allocated for entries: it never had any, or another
    /// middleware has taken them out.
    pub(crate) fn is_unallocated(&self) -> bool {
        self.session.entries().capacity() == 0
    }

    /// Makes [`is_unallocated`](Self::is_unallocated) conclusive on the way out.
    pub(crate) fn allocate(&self) {
        if self.is_unallocated() {
            drop(self.session.insert("", ()));
            self.session.remove("");
        }
    }

    /// Returns `true` if the session was neither read into nor written.
    pub(crate) fn is_untouched(&self) -> bool {
        self.session.status() == SessionStatus::Unchanged
    }

    pub(crate) fn is_purged(&self) -> bool {
        self.session.status() == SessionStatus::Purged
    }

    pub(crate) fn is_renewed(&self) -> bool {
        self.session.status() == SessionStatus::Renewed
    }

    /// Fills the session of a request whose record cannot be loaded. One entry tells a session that
    /// the handler has emptied from one that it has not.
    pub(crate) fn fill_for_outage(&self) {
        drop(self.session.insert("", ()));
    }

    /// Replaces all entries by `data`, and the user by `user`.
    pub(crate) fn fill(&self, data: &SessionData, user: Option<&str>) {
        if !self.is_empty() {
            self.session.clear();
        }
        for (name, json) in data.entries() {
            // A raw value that was parsed once always serializes.
            drop(self.session.insert(name, json));
        }
        if let Some(user) = user {
            drop(self.session.insert(self.identity_key, user));
        }
    }

    /// Applies changes to the entries.
    pub(crate) fn apply(&self, changes: &DataChanges) {
        for name in &changes.removed {
            self.session.remove(name);
        }
        for (name, json) in &changes.set {
            drop(self.session.insert(&**name, json));
        }
    }

    /// Removes the entries that `data` has.
    pub(crate) fn remove_entries_of(&self, data: &SessionData) {
        data.entries().for_each(|(name, _)| drop(self.session.remove(name)));
    }

    /// Removes the user.
    pub(crate) fn remove_user(&self) {
        self.session.remove(self.identity_key);
    }

    pub(crate) fn purge(&self) {
        self.session.purge();
    }

    /// Returns the user that the session names. A number counts as its decimal text.
    pub(crate) fn user(&self) -> NamedUser {
        let entries = self.session.entries();
        match find(&entries, self.identity_key) {
            None => NamedUser::Missing,
            Some(json) => user_from_json(json),
        }
    }

    /// Returns `true` if the entries are exactly those of `data` and the user is `user`.
    pub(crate) fn equals(&self, data: &SessionData, user: Option<&str>) -> bool {
        let entries = self.session.entries();
        let expected = data.entries().len() + usize::from(user.is_some());
        entries.len() == expected
            && entries.iter().all(|(name, json)| match user {
                Some(user) if name == self.identity_key => is_string(json, user),
                _ => data.get(name).is_some_and(|known| known.get() == json),
            })
    }

    /// Returns what changes `data` into the present entries; the user is no entry.
    pub(crate) fn changes_since(&self, data: &SessionData) -> DataChanges {
        let entries = self.session.entries();
        let mut changes = DataChanges::default();
        for (name, json) in entries.iter().filter(|(name, _)| *name != self.identity_key) {
            if data.get(name).is_none_or(|known| known.get() != json) {
                changes.set.extend(raw(name, json));
            }
        }
        let gone = data.entries().filter(|(name, _)| !entries.contains_key(*name));
        changes.removed = gone.map(|(name, _)| name.into()).collect();
        changes
    }
}

/// actix-session stores JSON; a text that is none can only come from another version of it.
fn raw(name: &str, json: &str) -> Option<(Box<str>, Box<RawValue>)> {
    match RawValue::from_string(json.to_owned()) {
        Ok(value) => Some((name.into(), value)),
        Err(error) => {
            tracing::error!(entry = name, %error, "session entry is not JSON");
            None
        }
    }
}

fn user_from_json(json: &str) -> NamedUser {
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(serde_json::Value::String(user)) => NamedUser::Named(user),
        Ok(serde_json::Value::Number(number)) => NamedUser::Named(number.to_string()),
        _ => NamedUser::Invalid,
    }
}

/// Returns `true` if `json` is the string `text`. Most strings are their own JSON.
fn is_string(json: &str, text: &str) -> bool {
    let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    match inner {
        Some(inner) if inner == text => !inner.contains('\\'),
        _ => user_from_json(json) == NamedUser::Named(text.to_owned()),
    }
}

/// Among the few entries of a session, comparing names is faster than hashing one.
fn find<'a>(
    entries: &'a std::collections::HashMap<String, String>,
    name: &str,
) -> Option<&'a String> {
    if entries.len() > 16 {
        return entries.get(name);
    }
    entries.iter().find(|(key, _)| *key == name).map(|(_, json)| json)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn session() -> AppSession {
        AppSession::of_request(&TestRequest::default().to_http_request(), IDENTITY_KEY)
    }

    fn data(entries: &[(&str, &str)]) -> SessionData {
        let mut data = SessionData::default();
        let set = entries.iter().flat_map(|(name, json)| raw(name, json)).collect();
        data.apply(&DataChanges { set, ..DataChanges::default() }).unwrap();
        data
    }

    #[test]
    fn filled_session_equals_its_data_until_an_entry_changes() {
        let (session, data) = (session(), data(&[("a", "1"), ("b", "[2]")]));
        session.fill(&data, Some("al\"ice"));
        assert!(session.equals(&data, Some("al\"ice")));
        assert!(session.changes_since(&data).is_empty());
        session.session.insert("a", 2).unwrap();
        session.session.remove("b");
        session.session.insert("c", "new").unwrap();
        assert!(!session.equals(&data, Some("al\"ice")));
        let changes = session.changes_since(&data);
        let mut set: Vec<_> =
            changes.set.iter().map(|(name, json)| (&**name, json.get())).collect();
        set.sort_unstable();
        assert_eq!(set, [("a", "2"), ("c", "\"new\"")]);
        assert_eq!(changes.removed, ["b".into()]);
    }

    #[test]
    fn user_is_a_string_or_a_number() {
        for (json, user) in [
            ("\"alice\"", NamedUser::Named("alice".to_owned())),
            ("\"a\\u0041\"", NamedUser::Named("aA".to_owned())),
            ("17", NamedUser::Named("17".to_owned())),
            ("null", NamedUser::Invalid),
            ("[\"alice\"]", NamedUser::Invalid),
        ] {
            let session = session();
            session.fill(&data(&[(IDENTITY_KEY, json)]), None);
            assert_eq!(session.user(), user, "{json}");
        }
        assert_eq!(session().user(), NamedUser::Missing);
    }

    #[test]
    fn taken_map_is_seen_after_allocation() {
        let session = session();
        assert!(session.is_unallocated() && session.is_untouched());
        session.allocate();
        assert!(!session.is_unallocated() && session.is_empty());
    }
}
