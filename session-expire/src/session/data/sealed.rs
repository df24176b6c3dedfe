//! Encryption of session data at rest.
//!
//! Every record has a random data key, which encrypts its values (AES-256-GCM). The data key is
//! stored with them, wrapped under a key that is derived from the session key. A registry that
//! stores only a hash of the session key cannot read the values. Names of entries are not
//! encrypted, because registries merge changes by name.

use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use hmac::{Hmac, Mac};
use rand::Rng;
use serde_json::value::{RawValue, to_raw_value};
use sha2::Sha256;

use super::{
    super::key::RecordKey, DataChanges, DataEntry, DataTooLarge, SessionData, StoredMessage,
};

/// First characters of the name of a wrapped key. They sort before other names.
const KEY_ENTRY: &str = "\0key:";

const NONCE_BYTES: usize = 12;

/// Key that encrypts the data of one record.
pub(crate) struct DataKey {
    key: [u8; 32],
    /// Boxed, because an expanded key is large.
    cipher: Box<Aes256Gcm>,
    /// Names of entries that wrap the key for other session keys: those of rotations that lost.
    surplus: Vec<Box<str>>,
}

impl DataKey {
    pub(crate) fn random() -> Self {
        let mut key = [0; 32];
        rand::rng().fill_bytes(&mut key);
        Self::new(key)
    }

    fn new(key: [u8; 32]) -> Self {
        Self { key, cipher: Box::new(cipher(&key)), surplus: vec![] }
    }

    /// Returns the data key that was wrapped for a session key; `None` if the data has none.
    fn unwrap(data: &SessionData, key: &RecordKey) -> Option<Self> {
        let name = entry_name(key);
        let bytes = decrypt(&wrapping_key(key), &name, data.get(&name)?)?;
        let key = Self::new(bytes.try_into().ok()?);
        let names = data.entries().map(|(name, _)| name);
        let surplus = names.filter(|other| other.starts_with(KEY_ENTRY) && **other != *name);
        Some(Self { surplus: surplus.map(Into::into).collect(), ..key })
    }

    /// Returns the entry with this key, wrapped for a session key.
    fn wrap(&self, key: &RecordKey) -> Option<DataEntry> {
        let name = entry_name(key);
        let wrapped = encrypt(&wrapping_key(key), &name, &self.key)?;
        Some((name.into(), wrapped))
    }

    /// Encrypts the values of `changes`, and removes surplus entries of this key with them.
    pub(crate) fn seal(&self, mut changes: DataChanges) -> DataChanges {
        if changes.is_empty() {
            return changes;
        }
        changes.removed.extend(self.surplus.iter().cloned());
        let seal = |aad: &str, value: &RawValue| encrypt(&self.cipher, aad, value.get().as_bytes());
        let set = changes.set.into_iter().filter_map(|(name, json)| {
            let sealed = seal(&name, &json)?;
            Some((name, sealed))
        });
        let added = changes.added_messages.into_iter().filter_map(|message| {
            let sealed = seal(&message_name(message.id), &message.content)?;
            Some(StoredMessage::new(message.id, sealed))
        });
        DataChanges { set: set.collect(), added_messages: added.collect(), ..changes }
    }

    /// Adds the change that wraps this key for the session key `to` instead of `from`.
    ///
    /// Each session key has its own entry. If two rotations race, the losing one does not replace
    /// the entry of the winning one.
    pub(crate) fn rewrap(&self, changes: &mut DataChanges, from: &RecordKey, to: &RecordKey) {
        changes.set.extend(self.wrap(to));
        changes.removed.push(entry_name(from).into());
        changes.removed.extend(self.surplus.iter().cloned());
    }

    fn open(&self, name: &str, sealed: &RawValue) -> Option<Box<RawValue>> {
        let bytes = decrypt(&self.cipher, name, sealed)?;
        RawValue::from_string(String::from_utf8(bytes).ok()?).ok()
    }
}

/// Encrypts the data of a login under a new data key. Returns it, and the number of messages that
/// were discarded because they do not fit.
///
/// # Errors
///
/// Returns [`DataTooLarge`] if the encrypted entries are too large.
pub(crate) fn seal_login(
    data: &SessionData,
    key: &RecordKey,
) -> Result<(SessionData, usize), DataTooLarge> {
    let data_key = DataKey::random();
    let entries = data.entries().map(|(name, json)| (name.into(), json.to_owned()));
    let mut entries = data_key.seal(DataChanges { set: entries.collect(), ..<_>::default() });
    entries.set.extend(data_key.wrap(key));
    let mut sealed = SessionData::default();
    sealed.apply(&entries)?;
    let added_messages = data.messages().to_vec();
    let messages = data_key.seal(DataChanges { added_messages, ..<_>::default() });
    let discarded = sealed.apply(&messages).map_or(messages.added_messages.len(), |()| 0);
    Ok((sealed, discarded))
}

/// Decrypts the data of a record that was loaded by `key`. Returns `None` if it is not encrypted.
///
/// Values that cannot be decrypted are left out, and an error is logged.
pub(crate) fn open(data: &SessionData, key: &RecordKey) -> Option<(SessionData, Option<DataKey>)> {
    let is_sealed = data.entries().next().is_some_and(|(name, _)| name.starts_with(KEY_ENTRY));
    if !is_sealed {
        return None;
    }
    let data_key = DataKey::unwrap(data, key);
    let open = |name: &str, sealed: &RawValue| data_key.as_ref()?.open(name, sealed);
    let values = || data.entries().filter(|(name, _)| !name.starts_with(KEY_ENTRY));
    let set = values().filter_map(|(name, json)| Some((name.into(), open(name, json)?)));
    let messages = data.messages().iter().filter_map(|message| {
        let content = match is_plain(message) {
            true => message.content.clone(),
            false => open(&message_name(message.id), &message.content)?,
        };
        Some(StoredMessage::new(message.id, content))
    });
    let changes = DataChanges {
        set: set.collect(),
        added_messages: messages.collect(),
        ..DataChanges::default()
    };
    if changes.set.len() + changes.added_messages.len() < values().count() + data.messages().len() {
        tracing::error!(event = "sys_session_data_unreadable", "session data not decrypted");
    }
    let mut opened = SessionData::default();
    // The decrypted values are shorter than the encrypted ones.
    let _ = opened.apply(&changes);
    Some((opened, data_key))
}

/// Returns `true` for a message from outside of the session. It is not encrypted, because only the
/// session has the key. A plain message is a JSON object, and an encrypted message is a string.
fn is_plain(message: &StoredMessage) -> bool {
    message.content.get().starts_with('{')
}

/// Returns the name that is authenticated with a message. Two stored messages therefore cannot be
/// swapped.
fn message_name(id: u64) -> String {
    format!("\0message:{id}")
}

fn entry_name(key: &RecordKey) -> String {
    format!("{KEY_ENTRY}{}", hex::encode(&derive(key, "name")[..8]))
}

fn wrapping_key(key: &RecordKey) -> Aes256Gcm {
    cipher(&derive(key, "wrapping key"))
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(key))
}

fn derive(key: &RecordKey, purpose: &str) -> [u8; 32] {
    let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key.expose().as_bytes());
    // HMAC accepts keys of any length.
    let Ok(mac) = mac else { return [0; 32] };
    let mac = mac.chain_update("session-expire data ").chain_update(purpose);
    mac.finalize().into_bytes().into()
}

/// Encrypts `plain`, and returns a JSON string of the nonce and the ciphertext. `name` is
/// authenticated.
fn encrypt(cipher: &Aes256Gcm, name: &str, plain: &[u8]) -> Option<Box<RawValue>> {
    let mut nonce = [0; NONCE_BYTES];
    rand::rng().fill_bytes(&mut nonce);
    let payload = Payload { msg: plain, aad: name.as_bytes() };
    let sealed = cipher.encrypt(Nonce::from_slice(&nonce), payload).ok()?;
    to_raw_value(&STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat())).ok()
}

fn decrypt(cipher: &Aes256Gcm, name: &str, sealed: &RawValue) -> Option<Vec<u8>> {
    let text = sealed.get().strip_prefix('"')?.strip_suffix('"')?;
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: sealed, aad: name.as_bytes() };
    cipher.decrypt(Nonce::from_slice(nonce), payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> SessionData {
        let mut changes = DataChanges::default();
        changes.set("theme", to_raw_value("dark").unwrap());
        changes.added_messages = vec![StoredMessage::new(7, to_raw_value("Saved.").unwrap())];
        let mut data = SessionData::default();
        data.apply(&changes).unwrap();
        data
    }

    fn text(data: &SessionData) -> String {
        serde_json::to_string(data).unwrap()
    }

    #[test]
    fn sealed_data_opens_with_the_session_key_only() {
        let [key, other] = [(); 2].map(|()| RecordKey::random("alice"));
        let sealed = seal_login(&plain(), &key).unwrap().0;
        assert!(!text(&sealed).contains("dark") && !text(&sealed).contains("Saved"));
        assert_eq!(open(&sealed, &key).unwrap().0, plain());
        let (opened, data_key) = open(&sealed, &other).unwrap();
        assert!(opened.is_empty() && data_key.is_none());
        assert!(open(&plain(), &key).is_none());
    }

    #[test]
    fn message_from_outside_the_session_is_not_encrypted() {
        let key = RecordKey::random("alice");
        let mut sealed = seal_login(&plain(), &key).unwrap().0;
        let notice = StoredMessage::new(8, to_raw_value(&serde_json::json!({"t": 1})).unwrap());
        sealed.apply(&DataChanges { added_messages: vec![notice], ..<_>::default() }).unwrap();
        let opened = open(&sealed, &key).unwrap().0;
        assert_eq!(opened.messages().len(), 2);
        assert_eq!(opened.messages()[1].content.get(), r#"{"t":1}"#);
    }

    #[test]
    fn change_is_sealed_under_the_same_data_key() {
        let key = RecordKey::random("alice");
        let mut sealed = seal_login(&plain(), &key).unwrap().0;
        let (_, data_key) = open(&sealed, &key).unwrap();
        let mut changes = DataChanges::default();
        changes.set("theme", to_raw_value("light").unwrap());
        sealed.apply(&data_key.unwrap().seal(changes)).unwrap();
        let opened = open(&sealed, &key).unwrap().0;
        assert_eq!(opened.get("theme").map(RawValue::get), Some("\"light\""));
        assert_eq!(opened.messages().len(), 1);
    }

    #[test]
    fn rotation_wraps_the_data_key_anew_and_its_loser_changes_nothing() {
        let [from, winner, loser] = [(); 3].map(|()| RecordKey::random("alice"));
        let mut sealed = seal_login(&plain(), &from).unwrap().0;
        let data_key = open(&sealed, &from).unwrap().1.unwrap();
        for to in [&winner, &loser] {
            let mut changes = DataChanges::default();
            data_key.rewrap(&mut changes, &from, to);
            sealed.apply(&changes).unwrap();
        }
        assert_eq!(open(&sealed, &winner).unwrap().0, plain());
        assert!(open(&sealed, &from).unwrap().1.is_none(), "the old key");
    }

    #[test]
    fn lost_rotations_leave_no_entries_after_the_next_change() {
        let key = RecordKey::random("alice");
        let mut sealed = seal_login(&plain(), &key).unwrap().0;
        let data_key = open(&sealed, &key).unwrap().1.unwrap();
        for _ in 0..3 {
            let [from, lost] = [(); 2].map(|()| RecordKey::random("alice"));
            let mut changes = DataChanges::default();
            data_key.rewrap(&mut changes, &from, &lost);
            sealed.apply(&changes).unwrap();
        }
        assert_eq!(sealed.entries().len(), 5);
        let (_, data_key) = open(&sealed, &key).unwrap();
        let mut changes = DataChanges::default();
        changes.set("theme", to_raw_value("light").unwrap());
        sealed.apply(&data_key.unwrap().seal(changes)).unwrap();
        assert_eq!(sealed.entries().len(), 2);
        assert!(open(&sealed, &key).unwrap().1.is_some());
    }

    #[test]
    fn exchanged_values_do_not_open() {
        let key = RecordKey::random("alice");
        let mut changes = DataChanges::default();
        changes.set("is_admin", to_raw_value(&false).unwrap());
        changes.set("likes_tea", to_raw_value(&true).unwrap());
        let mut data = SessionData::default();
        data.apply(&changes).unwrap();
        let mut sealed = seal_login(&data, &key).unwrap().0;
        let tea = sealed.get("likes_tea").unwrap().to_owned();
        let mut exchange = DataChanges::default();
        exchange.set("is_admin", tea);
        sealed.apply(&exchange).unwrap();
        let opened = open(&sealed, &key).unwrap().0;
        assert!(opened.get("is_admin").is_none());
        assert_eq!(opened.get("likes_tea").map(RawValue::get), Some("true"));
    }
}
