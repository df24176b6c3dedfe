//! The application's `Session`: the only file that names its keys and knows how actix-session
//! represents values.
//!
//! The user is no entry of the data: the record names it. A user that the application has written as
//! a number is one as well, under the name of the user's entry, so that it is read back as a number.
//!
//! A session is filled on the way in and compared on the way out, through the public API of
//! actix-session. Its status is no evidence of a change: filling a session changes its status, too.

use actix_session::{Session, SessionExt, SessionStatus};
use actix_web::HttpRequest;
use serde_json::value::RawValue;

use crate::session::{
    data::{DataChanges, SessionData},
    user_id::user_id,
};

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
        for (name, json) in data.entries().filter(|(name, _)| *name != self.identity_key) {
            // A raw value that was parsed once always serializes.
            drop(self.session.insert(name, json));
        }
        match user.map(|user| (user, self.user_as_written(data, user))) {
            Some((_, Some(json))) => drop(self.session.insert(self.identity_key, json)),
            Some((user, None)) => drop(self.session.insert(self.identity_key, user)),
            None => {}
        }
    }

    /// Returns the user as the application wrote it, if that was no string.
    fn user_as_written<'a>(&self, data: &'a SessionData, user: &str) -> Option<&'a RawValue> {
        let json = data.get(self.identity_key)?;
        (user_from_json(json.get()) == NamedUser::Named(user.to_owned())).then_some(json)
    }

    /// Applies changes to the entries.
    pub(crate) fn apply(&self, changes: &DataChanges) {
        // A user whose number was rewritten as text counts as removed from the entries.
        for name in changes.removed.iter().filter(|name| ***name != *self.identity_key) {
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
        let written = data.get(self.identity_key);
        let others = data.entries().len() - usize::from(written.is_some());
        entries.len() == others + usize::from(user.is_some())
            && entries.iter().all(|(name, json)| match user {
                Some(user) if name == self.identity_key && written.is_none() => {
                    is_string(json, user)
                }
                _ => data.get(name).is_some_and(|known| known.get() == json),
            })
    }

    /// Returns what changes `data` into the present entries. The user is an entry if it is a number.
    pub(crate) fn changes_since(&self, data: &SessionData) -> DataChanges {
        let entries = self.session.entries();
        let is_entry = |name: &str, json: &str| name != self.identity_key || !json.starts_with('"');
        let mut changes = DataChanges::default();
        for (name, json) in entries.iter().filter(|(name, json)| is_entry(name, json)) {
            if data.get(name).is_none_or(|known| known.get() != json) {
                changes.set.extend(raw(name, json));
            }
        }
        let is_gone = |name: &str| !entries.get(name).is_some_and(|json| is_entry(name, json));
        let gone = data.entries().filter(|(name, _)| is_gone(name));
        changes.removed = gone.map(|(name, _)| name.into()).collect();
        changes
    }

    /// Returns `true` for the name of the user's entry.
    pub(crate) fn is_user_entry(&self, name: &str) -> bool {
        name == self.identity_key
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
    user_id(json).map_or(NamedUser::Invalid, NamedUser::Named)
}

/// Returns `true` if `json` is the string `text`. Most strings are their own JSON.
fn is_string(json: &str, text: &str) -> bool {
    let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    match inner {
        Some(inner) if inner == text => !inner.contains('\\'),
        Some(_) => user_from_json(json) == NamedUser::Named(text.to_owned()),
        None => false,
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
        assert_eq!(changes.removed, [Box::<str>::from("b")]);
    }

    #[test]
    fn user_written_as_a_number_is_filled_as_one() {
        let (written, data) = (session(), data(&[("a", "1")]));
        written.fill(&data, None);
        written.session.insert(IDENTITY_KEY, 17).unwrap();
        let mut stored = data.clone();
        stored.apply(&written.changes_since(&data)).unwrap();
        let read = session();
        read.fill(&stored, Some("17"));
        assert_eq!(read.session.get(IDENTITY_KEY).unwrap(), Some(17));
        assert!(read.equals(&stored, Some("17")) && read.changes_since(&stored).is_empty());
        // Identity::login of the same user writes a string.
        read.session.insert(IDENTITY_KEY, "17").unwrap();
        assert!(!read.equals(&stored, Some("17")));
        stored.apply(&read.changes_since(&stored)).unwrap();
        assert_eq!(stored, data);
        // An entry of another user is not used.
        let other = session();
        stored.apply(&written.changes_since(&data)).unwrap();
        other.fill(&stored, Some("18"));
        assert_eq!(other.user(), NamedUser::Named("18".to_owned()));
        other.fill(&stored, None);
        assert_eq!(other.user(), NamedUser::Missing);
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
            drop(session.session.insert(IDENTITY_KEY, raw("", json).unwrap().1));
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
