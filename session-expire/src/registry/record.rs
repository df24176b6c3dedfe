//! One login, and the two names it has: a secret one and a public one.

use std::{fmt, net::IpAddr, str, sync::Arc};

use rand::{Rng, distr::Alphanumeric};

use super::{Change, room::Room};
use crate::{
    facts::{Facts, Reason},
    judge::{Verdict, judge_limits},
    policy::{Limits, Policy, PolicyPatch},
    time::Timestamp,
};

/// The secret name of a login: 4 letters that all logins of one user share, then 22 random letters and
/// digits (131 bits; OWASP ASVS 7.2.3 asks for 128).
///
/// It lives in the session and nowhere else that a person or a log can see; its `Debug` output hides it.
/// The shared letters let a registry keep the records of one user together, knowing only a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordKey([u8; 26]);

impl RecordKey {
    /// A new key for a login of `owner`, from the thread's cryptographic generator.
    #[must_use]
    pub fn random(owner: &str) -> Self {
        let (mut letters, random) = ([0; 26], random_letters::<22>());
        letters[..4].copy_from_slice(&tag_of(owner));
        letters[4..].copy_from_slice(&random);
        Self(letters)
    }

    /// The letters that all logins of one user share: one of 14 million combinations.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.expose()[..4]
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
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(…)")
    }
}

/// The public name of a login, for pages, URLs and logs: 16 random letters and digits. Knowing it
/// gives no access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// FNV-1a, written in letters: it only has to be the same on every machine and spread well.
fn tag_of(owner: &str) -> [u8; 4] {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = owner.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut rest = hash ^ (hash >> 32);
    [(); 4].map(|()| {
        let letter = LETTERS[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
        letter
    })
}

/// The letters that all keys of `owner` begin with; see [`RecordKey::tag`].
#[must_use]
pub fn owner_tag(owner: &str) -> String {
    String::from_utf8_lossy(&tag_of(owner)).into_owned()
}

fn random_letters<const N: usize>() -> [u8; N] {
    let mut rng = rand::rng();
    std::array::from_fn(|_| rng.sample(Alphanumeric))
}

fn letters<const N: usize>(text: &str) -> Option<[u8; N]> {
    let letters: [u8; N] = text.as_bytes().try_into().ok()?;
    letters.iter().all(u8::is_ascii_alphanumeric).then_some(letters)
}

/// From where somebody signed in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// The address, if it is known.
    pub ip: Option<IpAddr>,
    /// The device in words, such as `Firefox on Linux`; empty if it is not known.
    pub device: Arc<str>,
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
    /// From where.
    pub client: Client,
    /// The login of the same user that this browser had before, whose place the new one takes, and why
    /// it ends now at the latest.
    pub replaces: Option<(RecordKey, Reason)>,
    /// How many sessions the user may have, this one included.
    pub room: Room,
    /// The limits under which this session counts as alive when places are counted.
    pub limits: Limits,
    /// What the user, or this login, has of their own; it has the last word.
    pub patch: Option<Arc<PolicyPatch>>,
}

impl Login {
    /// A login of `owner` at `at`, with new names, under the limits of `policy`.
    pub fn new(owner: impl Into<Arc<str>>, at: Timestamp, policy: &Policy) -> Self {
        let owner = owner.into();
        Self {
            key: RecordKey::random(&owner),
            id: PublicId::random(),
            seal: Seal::random(),
            owner,
            at,
            client: Client::default(),
            replaces: None,
            room: Room::of(policy),
            limits: policy.limits(),
            patch: None,
        }
    }

    /// How this login is written into the record of one that yields to it.
    #[must_use]
    pub fn evicts(&self) -> Ended {
        Ended { at: self.at, reason: Reason::Evicted, by: Some(Arc::clone(&self.client.device)) }
    }
}

/// When and why a login ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// The device whose login took the place of this one, when that is known.
    pub by: Option<Arc<str>>,
}

impl Ended {
    /// An end for `reason` at `at`.
    #[must_use]
    pub fn new(reason: Reason, at: Timestamp) -> Self {
        Self { at, reason, by: None }
    }
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
    /// From where the person signed in.
    pub client: Client,
    /// When the person signed in.
    pub logged_in_at: Timestamp,
    /// When the person was last active.
    pub last_seen: Timestamp,
    /// When and why it ended; `None` while it lives.
    pub ended: Option<Ended>,
    /// The limits under which it counts as alive when places are counted.
    pub limits: Limits,
    /// What the user, or this login, has of their own; it has the last word.
    pub patch: Option<Arc<PolicyPatch>>,
}

impl Record {
    /// A record of a login that has just happened.
    #[must_use]
    pub fn new(login: &Login) -> Self {
        Self {
            id: login.id,
            seal: login.seal,
            owner: Arc::clone(&login.owner),
            client: login.client.clone(),
            logged_in_at: login.at,
            last_seen: login.at,
            ended: None,
            limits: login.limits,
            patch: login.patch.clone(),
        }
    }

    /// What judging needs of it.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts::Login {
            logged_in_at: self.logged_in_at,
            last_seen: self.last_seen,
            ended: self.ended.as_ref().map(|ended| ended.reason),
        }
    }

    /// Why it would be over by `now` under its own limits, if nothing has ended it before; `None` while
    /// it holds a place.
    #[must_use]
    pub fn ran_out(&self, now: Timestamp) -> Option<Reason> {
        match judge_limits(&self.facts(), self.limits, now) {
            Verdict::Expired(reason) => Some(reason),
            Verdict::Active(_) | Verdict::Anonymous => None,
        }
    }

    /// Notes a change: the rule that [`Registry::touch`](super::Registry::touch) keeps.
    ///
    /// `last_seen` only moves forward, and an ended record doesn't change. A time in the future, left by
    /// a clock that has since been set back, is pulled back to now: it would otherwise keep an
    /// unattended session alive until the clock has caught up.
    pub fn touch(&mut self, change: &Change) {
        if self.ended.is_some() {
            return;
        }
        let Change { seen, now, patch } = change;
        self.logged_in_at = self.logged_in_at.min(*now);
        self.last_seen = self.last_seen.min(*now).max(*seen.min(now));
        if let Some(patch) = patch {
            self.patch.clone_from(patch);
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
        Record::new(&Login::new("alice", NOON, &Policy::new()))
    }

    #[test]
    fn a_key_reads_back_and_hides_from_debug() {
        let key = RecordKey::random("alice");
        assert_eq!(RecordKey::parse(key.expose()), Some(key));
        assert!(!format!("{key:?}").contains(key.expose()));
        for junk in [
            "",
            "short",
            "01234567890123456789012345x",
            "0123456789012345678901234\u{0}",
            "ééééééééééééé",
        ] {
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
            record.touch(&Change { seen, now, patch: None });
            assert_eq!(record.last_seen, last_seen, "{seen:?} at {now:?}");
        }
    }

    #[test]
    fn the_first_reason_stays_and_activity_cannot_undo_it() {
        let mut record = record();
        assert!(record.end(Ended::new(Reason::LoggedOut, NOON)));
        assert!(!record.end(Ended::new(Reason::Idle, NOON)));
        let later = NOON.plus(hours(1));
        record.touch(&Change { seen: later, now: later, patch: None });
        assert_eq!(
            (record.ended.as_ref().map(|ended| ended.reason), record.last_seen),
            (Some(Reason::LoggedOut), NOON)
        );
    }
}
