//! One login, and the two names it has: a secret one and a public one.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str,
    sync::Arc,
};

use rand::{Rng, distr::Alphanumeric};

use crate::{
    facts::{Facts, Reason},
    time::Timestamp,
};

/// The secret name of a login: 22 random letters and digits (131 bits).
///
/// It lives in the session and nowhere else that a person or a log can see; its `Debug` output hides it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordKey([u8; 22]);

/// The first letters suffice: they are random.
impl Hash for RecordKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, _) = self.0.split_at(8);
        state.write_u64(first.iter().fold(0, |sum, letter| sum << 8 | u64::from(*letter)));
    }
}

impl RecordKey {
    /// A new key from the thread's cryptographic generator.
    #[must_use]
    pub fn random() -> Self {
        Self(random_letters())
    }

    /// Reads a key back; `None` for what cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        letters(text).map(Self)
    }

    /// The secret itself, for a registry to store and for the session to carry. Don't log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A byte that spreads keys evenly.
    pub(super) fn first_byte(&self) -> u8 {
        self.0[0]
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(…)")
    }
}

/// The public name of a login, for pages, URLs and logs: 16 random letters and digits. Knowing it
/// gives no access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicId([u8; 16]);

impl PublicId {
    /// A new id.
    #[must_use]
    pub fn random() -> Self {
        Self(random_letters())
    }

    /// Reads an id back; `None` for what cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        letters(text).map(Self)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The secret under which the registry signs what a page may claim; it never leaves the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seal([u8; 22]);

impl Seal {
    /// A new secret.
    #[must_use]
    pub fn random() -> Self {
        Self(random_letters())
    }

    /// Reads a secret back; `None` for what cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        letters(text).map(Self)
    }

    /// The secret itself, for a registry to store. Don't log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

fn random_letters<const N: usize>() -> [u8; N] {
    let mut rng = rand::rng();
    std::array::from_fn(|_| rng.sample(Alphanumeric))
}

fn letters<const N: usize>(text: &str) -> Option<[u8; N]> {
    let letters: [u8; N] = text.as_bytes().try_into().ok()?;
    // Without an early end, the compiler looks at many letters at once.
    let plain = letters.iter().fold(true, |plain, byte| plain & byte.is_ascii_alphanumeric());
    plain.then_some(letters)
}

/// A login as it is handed to a registry.
#[derive(Debug, Clone)]
pub struct Login {
    /// The secret name of the new record.
    pub key: RecordKey,
    /// The public name of the new record.
    pub id: PublicId,
    /// The secret that signs the claims of this login's pages.
    pub seal: Seal,
    /// The user, as actix-identity knows them.
    pub owner: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// The login that this browser had before, whose place the new one takes.
    pub replaces: Option<RecordKey>,
}

impl Login {
    /// A login of `owner` at `at`, with new names.
    pub fn new(owner: impl Into<Arc<str>>, at: Timestamp) -> Self {
        let (key, id, seal) = (RecordKey::random(), PublicId::random(), Seal::random());
        Self { key, id, seal, owner: owner.into(), at, replaces: None }
    }
}

/// When and why a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// What the registry knows of one login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The public name.
    pub id: PublicId,
    /// The secret that signs the claims of this login's pages.
    pub seal: Seal,
    /// The user, as actix-identity knows them.
    pub owner: Arc<str>,
    /// When the person signed in.
    pub logged_in_at: Timestamp,
    /// When the person was last active.
    pub last_seen: Timestamp,
    /// When and why it ended; `None` while it lives.
    pub ended: Option<Ended>,
}

impl Record {
    /// A record of a login that has just happened.
    #[must_use]
    pub fn new(login: &Login) -> Self {
        Self {
            id: login.id,
            seal: login.seal,
            owner: Arc::clone(&login.owner),
            logged_in_at: login.at,
            last_seen: login.at,
            ended: None,
        }
    }

    /// What judging needs of it.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts::Login {
            logged_in_at: self.logged_in_at,
            last_seen: self.last_seen,
            ended: self.ended.map(|ended| ended.reason),
        }
    }

    /// Notes activity at `seen`: the rule that [`Registry::touch`](super::Registry::touch) keeps.
    ///
    /// `last_seen` only moves forward, and an ended record doesn't move. A time in the future, left by
    /// a clock that has since been set back, is pulled back to `now`: it would otherwise keep an
    /// unattended session alive until the clock has caught up.
    pub fn touch(&mut self, seen: Timestamp, now: Timestamp) {
        if self.ended.is_none() {
            self.logged_in_at = self.logged_in_at.min(now);
            self.last_seen = self.last_seen.min(now).max(seen.min(now));
        }
    }

    /// Ends it, unless it has ended before: the first reason stays. Says whether this call did it.
    pub fn end(&mut self, ended: Ended) -> bool {
        let alive = self.ended.is_none();
        self.ended.get_or_insert(ended);
        alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, seconds};

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn record() -> Record {
        Record::new(&Login::new("alice", NOON))
    }

    #[test]
    fn a_key_reads_back_and_hides_from_debug() {
        let key = RecordKey::random();
        assert_eq!(RecordKey::parse(key.expose()), Some(key));
        assert!(!format!("{key:?}").contains(key.expose()));
        for junk in
            ["", "short", "0123456789012345678901x", "012345678901234567890\u{0}", "ééééééééééé"]
        {
            assert_eq!(RecordKey::parse(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn activity_only_moves_forward_and_never_into_the_future() {
        let mut record = record();
        let (later, much_later) = (NOON.plus(seconds(5)), NOON.plus(hours(1)));
        for (seen, now, last_seen) in [
            (later, later, later),
            (NOON, later, later),
            (much_later, later, later),
            (much_later, much_later, much_later),
            (NOON, NOON, NOON),
        ] {
            record.touch(seen, now);
            assert_eq!(record.last_seen, last_seen, "{seen:?} at {now:?}");
        }
    }

    #[test]
    fn the_first_reason_stays_and_activity_cannot_undo_it() {
        let mut record = record();
        assert!(record.end(Ended { at: NOON, reason: Reason::LoggedOut }));
        assert!(!record.end(Ended { at: NOON, reason: Reason::Idle }));
        record.touch(NOON.plus(hours(1)), NOON.plus(hours(1)));
        assert_eq!(
            (record.ended.map(|e| e.reason), record.last_seen),
            (Some(Reason::LoggedOut), NOON)
        );
    }
}
