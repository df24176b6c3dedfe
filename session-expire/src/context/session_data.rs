//! Access to the application's `Session`.
//!
//! Only this file names its keys and depends on the representation of actix-session.
//!
//! The record names the user, so the session data has no entry for the user. A numeric user id is
//! an exception. The data has an entry for it, because the application must read back a number.
//!
//! The middleware fills a session before the handler runs and compares it afterwards. The status of
//! the session does not show a change, because filling it changes the status.

use actix_session::{Session, SessionExt, SessionStatus};
use actix_web::HttpRequest;
use serde_json::value::RawValue;

use crate::session::{
    data::{DataChanges, SessionData},
    user_id::user_id,
};

/// Default name of the session entry that contains the user id.
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

    pub(crate) fn from_request(req: &HttpRequest, identity_key: &'static str) -> Self {
        Self::new(req.get_session(), identity_key)
    }

    /// Returns `true` if the session has no entries.
    pub(crate) fn is_empty(&self) -> bool {
        self.session.entries().is_empty()
    }

    /// Returns `true` if no memory is allocated for entries. The session never had any, or another
    /// middleware has taken them out.
    pub(crate) fn is_unallocated(&self) -> bool {
        self.session.entries().capacity() == 0
    }

    /// Allocates memory for entries. If [`is_unallocated`](Self::is_unallocated) is `true` later,
    /// another middleware has taken the entries out.
    pub(crate) fn allocate(&self) {
        if self.is_unallocated() {
            drop(self.session.insert("", ()));
            self.session.remove("");
        }
    }

    /// Returns `true` if the session was never written.
    pub(crate) fn is_untouched(&self) -> bool {
        self.session.status() == SessionStatus::Unchanged
    }

    pub(crate) fn is_purged(&self) -> bool {
        self.session.status() == SessionStatus::Purged
    }

    pub(crate) fn is_renewed(&self) -> bool {
        self.session.status() == SessionStatus::Renewed
    }

    /// Fills the session of a request whose record cannot be loaded. It gets one entry: if the
    /// session is empty later, the handler has cleared it.
    pub(crate) fn fill_for_outage(&self) {
        drop(self.session.insert("", ()));
    }

    /// Replaces all entries with `data`, and the user with `user`.
    pub(crate) fn fill(&self, data: &SessionData, user: Option<&str>) {
        if !self.is_empty() {
            self.session.clear();
        }
        for (name, json) in data.entries().filter(|(name, _)| *name != self.identity_key) {
            // A raw value always serializes.
            drop(self.session.insert(name, json));
        }
        match user.map(|user| (user, self.user_as_written(data, user))) {
            Some((_, Some(json))) => drop(self.session.insert(self.identity_key, json)),
            Some((user, None)) => drop(self.session.insert(self.identity_key, user)),
            None => {}
        }
    }

    /// Returns the user id as the application wrote it, if that was a number.
    fn user_as_written<'a>(&self, data: &'a SessionData, user: &str) -> Option<&'a RawValue> {
        let json = data.get(self.identity_key)?;
        (user_from_json(json.get()) == NamedUser::Named(user.to_owned())).then_some(json)
    }

    /// Applies changes to the entries.
    pub(crate) fn apply(&self, changes: &DataChanges) {
        // A numeric user id also has an entry. Its removal does not remove the user.
        for name in changes.removed.iter().filter(|name| ***name != *self.identity_key) {
            self.session.remove(name);
        }
        for (name, json) in &changes.set {
            drop(self.session.insert(&**name, json));
        }
    }

    /// Removes all entries whose names are in `data`.
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
        match find_entry(&entries, self.identity_key) {
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

    /// Returns the changes from `data` to the current entries. A numeric user id counts as an
    /// entry.
    pub(crate) fn changes_since(&self, data: &SessionData) -> DataChanges {
        let entries = self.session.entries();
        let is_entry = |name: &str, json: &str| name != self.identity_key || !json.starts_with('"');
        let mut changes = DataChanges::default();
        for (name, json) in entries.iter().filter(|(name, json)| is_entry(name, json)) {
            if data.get(name).is_none_or(|known| known.get() != json) {
                changes.set.extend(parse_entry(name, json));
            }
        }
        let is_removed = |name: &str| !entries.get(name).is_some_and(|json| is_entry(name, json));
        let removed = data.entries().filter(|(name, _)| is_removed(name));
        changes.removed = removed.map(|(name, _)| name.into()).collect();
        changes
    }

    /// Returns `true` if `name` is the name of the user's entry.
    pub(crate) fn is_user_entry(&self, name: &str) -> bool {
        name == self.identity_key
    }
}

/// Parses an entry. actix-session stores JSON; only another version of it could store other text.
fn parse_entry(name: &str, json: &str) -> Option<(Box<str>, Box<RawValue>)> {
    match RawValue::from_string(json.to_owned()) {
        Ok(value) => Some((name.into(), value)),
        Err(error) => {
            tracing::error!(
                event = "sys_invalid_entry",
                entry = name,
                %error,
                "invalid session entry"
            );
            None
        }
    }
}

fn user_from_json(json: &str) -> NamedUser {
    user_id(json).map_or(NamedUser::Invalid, NamedUser::Named)
}

/// Returns `true` if `json` is the string `text`. Most strings contain no escape, so compare them
/// without parsing.
fn is_string(json: &str, text: &str) -> bool {
    let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    match inner {
        Some(inner) if inner == text => !inner.contains('\\'),
        Some(_) => user_from_json(json) == NamedUser::Named(text.to_owned()),
        None => false,
    }
}

/// Returns the entry `name`. With few entries, comparing the names is faster than hashing one.
fn find_entry<'a>(
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
        AppSession::from_request(&TestRequest::default().to_http_request(), IDENTITY_KEY)
    }

    fn data(entries: &[(&str, &str)]) -> SessionData {
        let mut data = SessionData::default();
        let set = entries.iter().flat_map(|(name, json)| parse_entry(name, json)).collect();
        data.apply(&DataChanges { set, ..DataChanges::default() }).unwrap();
        data
    }

    #[test]
    fn filled_session_equals_data_until_entry_changes() {
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
    fn numeric_user_id_is_filled_as_number() {
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
    fn user_id_is_string_or_number() {
        for (json, user) in [
            ("\"alice\"", NamedUser::Named("alice".to_owned())),
            ("\"a\\u0041\"", NamedUser::Named("aA".to_owned())),
            ("17", NamedUser::Named("17".to_owned())),
            ("null", NamedUser::Invalid),
            ("[\"alice\"]", NamedUser::Invalid),
        ] {
            let session = session();
            drop(session.session.insert(IDENTITY_KEY, parse_entry("", json).unwrap().1));
            assert_eq!(session.user(), user, "{json}");
        }
        assert_eq!(session().user(), NamedUser::Missing);
    }

    #[test]
    fn allocated_session_is_not_unallocated() {
        let session = session();
        assert!(session.is_unallocated() && session.is_untouched());
        session.allocate();
        assert!(!session.is_unallocated() && session.is_empty());
    }
}
