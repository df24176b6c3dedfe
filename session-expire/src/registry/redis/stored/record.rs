//! Stored form of a session record: a line `name=value` for each field.
//!
//! An absent field means `None`, `false`, `Limit::Off`, or no attempt to re-authenticate. The field
//! `attempts` contains the ids of the attempts to re-authenticate, so a retry is counted once. In
//! values, `%` and line breaks are [escaped](escape). Scripts compare times as floating-point
//! numbers, which are exact until the year 287396, and store the texts, which are always exact.
//! Scripts keep the fields that a newer version has written, and readers ignore them.

use std::{borrow::Cow, fmt::Display, net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use super::as_string::millis;
use crate::registry::redis::error::OperationError;
use crate::{
    policy::{PolicyPatch, from_stored, limit::Limit, to_text},
    session::{
        client::Client, ended::Ended, key::PublicId, login::stamp::Stamp, reason::Reason,
        record::SessionRecord, signing_key::SigningKey,
    },
    time::Timestamp,
};

/// Stored form of a longest timeout that is `Limit::Off`.
const OFF: &str = "off";

/// Fields of a stored record.
pub(crate) struct StoredFields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> StoredFields<'a> {
    /// Splits a stored text into its fields.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, OperationError> {
        let text = str::from_utf8(text).map_err(|_| OperationError::Response)?;
        let lines = text.split_terminator('\n').map(|line| line.split_once('='));
        lines.collect::<Option<_>>().map(Self).ok_or(OperationError::Response)
    }

    /// Returns `true` if the text is a reservation and not a record.
    pub(crate) fn is_reservation(&self) -> bool {
        self.get("deadline").is_some()
    }

    /// Returns the number of calls of `end_everyone` before the login.
    pub(crate) fn generation(&self) -> Result<u64, OperationError> {
        Ok(self.number("generation")?.unwrap_or(0))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Option<Arc<str>> {
        self.get(name).map(|value| unescape(value).into())
    }

    /// Parses a field. The error does not contain the value, which may be a secret.
    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, OperationError> {
        let value = self.get(name).map(str::parse).transpose();
        value.map_err(|_| OperationError::Response)
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, OperationError> {
        Ok(self.number(name)?.map(Timestamp::from_millis))
    }

    fn timeout(&self, name: &str) -> Result<Limit<Duration>, OperationError> {
        let millis = self.number(name)?;
        Ok(millis.map_or(Limit::Off, |millis| Limit::At(Duration::from_millis(millis))))
    }

    /// Reads a longest timeout, which is only stored if it differs from the session's own.
    fn longest(&self, name: &str, own: &str) -> Result<Limit<Duration>, OperationError> {
        match self.get(name) {
            None => self.timeout(own),
            Some(OFF) => Ok(Limit::Off),
            Some(_) => self.timeout(name),
        }
    }

    /// Returns the number of ids in the comma-separated field `attempts`.
    fn confirmation_attempts(&self) -> u8 {
        let count = self.get("attempts").map_or(0, |calls| calls.split(',').count());
        u8::try_from(count).unwrap_or(u8::MAX)
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<PolicyPatch>>, OperationError> {
        let policy = self.get(name).map(|value| from_stored(&unescape(value)));
        Ok(policy.transpose().map_err(OperationError::Json)?.map(Arc::new))
    }

    fn client(&self, ip: &str, device: &str) -> Result<Client, OperationError> {
        let ip = self.number::<IpAddr>(ip)?;
        Ok(Client { ip, device: self.text(device).unwrap_or_default() })
    }

    /// Reads an end; `None` for an open record. A reason that only a newer version defines becomes
    /// [`Reason::Unknown`].
    pub(crate) fn ended(&self) -> Result<Option<Ended>, OperationError> {
        let Some(at) = self.time("ended")? else { return Ok(None) };
        let reason = self.get("reason").ok_or(OperationError::Response)?;
        Ok(Some(Ended {
            at,
            reason: Reason::parse(reason).unwrap_or(Reason::Unknown),
            cause: self.text("cause"),
            by: self.text("by"),
        }))
    }

    /// Reads the record.
    pub(crate) fn record(&self) -> Result<SessionRecord, OperationError> {
        let policies = (self.policy("login_policy")?, self.policy("user_policy")?);
        self.record_with(policies)
    }

    /// Reads the record for a list. A policy that cannot be read is ignored: the user must be able
    /// to see and end all sessions.
    pub(crate) fn listed_record(&self) -> Result<SessionRecord, OperationError> {
        let policy = |name| self.policy(name).unwrap_or_default();
        self.record_with((policy("login_policy"), policy("user_policy")))
    }

    fn record_with(
        &self,
        (login_policy, user_policy): (Option<Arc<PolicyPatch>>, Option<Arc<PolicyPatch>>),
    ) -> Result<SessionRecord, OperationError> {
        let required = |value| Option::ok_or(value, OperationError::Response);
        let logged_in_at = required(self.time("login")?)?;
        let has_last_client = self.get("last_device").is_some();
        Ok(SessionRecord {
            confirmation_attempts: self.confirmation_attempts(),
            remembered: self.get("remembered").is_some(),
            stamp: self.number("stamp")?.and_then(Stamp::from_number),
            id: self.get("id").and_then(PublicId::parse).ok_or(OperationError::Response)?,
            signing_key: self
                .get("key")
                .and_then(SigningKey::parse)
                .ok_or(OperationError::Response)?,
            user: self.text("user").ok_or(OperationError::Response)?,
            client: self.client("ip", "device")?,
            last_client: has_last_client
                .then(|| self.client("last_ip", "last_device").map(Arc::new))
                .transpose()?,
            logged_in_at,
            authenticated_at: self.time("auth")?.unwrap_or(logged_in_at),
            last_seen: required(self.time("seen")?)?,
            ended: self.ended()?,
            idle: self.timeout("idle")?,
            absolute: self.timeout("absolute")?,
            longest_idle: self.longest("longest_idle", "idle")?,
            longest_absolute: self.longest("longest_absolute", "absolute")?,
            login_policy,
            user_policy,
            uncounted: self.get("uncounted").is_some(),
            actor: self.text("actor"),
            generation: self.generation()?,
            tombstone_until: self.time("tombstone_until")?,
        })
    }
}

/// Returns the stored form of a record without attempts to re-authenticate. The scripts find its user
/// by `user_hash`.
pub(crate) fn to_stored(record: &SessionRecord, user_hash: &str) -> Result<String, OperationError> {
    let mut text = StoredText::default();
    text.push("id", record.id);
    text.push("key", record.signing_key.expose());
    text.push("user", escape(&record.user));
    text.push("hash", user_hash);
    text.push_some("ip", record.client.ip);
    text.push_some("device", Some(escape(&record.client.device)).filter(|text| !text.is_empty()));
    if let Some(client) = &record.last_client {
        text.push_some("last_ip", client.ip);
        text.push("last_device", escape(&client.device));
    }
    text.push("login", record.logged_in_at.as_millis());
    let authenticated_at = Some(record.authenticated_at).filter(|at| *at != record.logged_in_at);
    text.push_some("auth", authenticated_at.map(Timestamp::as_millis));
    text.push("seen", record.last_seen.as_millis());
    text.push_some("idle", record.idle.at().map(millis));
    text.push_some("absolute", record.absolute.at().map(millis));
    let longest = |own, longest| (own != longest).then(|| timeout_text(longest));
    text.push_some("longest_idle", longest(record.idle, record.longest_idle));
    text.push_some("longest_absolute", longest(record.absolute, record.longest_absolute));
    text.push_some("login_policy", policy_text(record.login_policy.as_deref())?);
    text.push_some("user_policy", policy_text(record.user_policy.as_deref())?);
    text.push_some("uncounted", record.uncounted.then_some(1));
    text.push_some("remembered", record.remembered.then_some(1));
    text.push_some("stamp", record.stamp.map(Stamp::to_number));
    text.push_some("actor", record.actor.as_deref().map(escape));
    text.push_some("generation", Some(record.generation).filter(|number| *number > 0));
    text.push_some("tombstone_until", record.tombstone_until.map(Timestamp::as_millis));
    Ok(text.0)
}

/// Builder of a stored text.
#[derive(Default)]
struct StoredText(String);

impl StoredText {
    fn push(&mut self, name: &str, value: impl Display) {
        use std::fmt::Write;
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{name}={value}");
    }

    fn push_some(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }
}

/// Writes a longest timeout.
pub(crate) fn timeout_text(limit: Limit<Duration>) -> String {
    limit.at().map_or(OFF.to_owned(), |limit| millis(limit).to_string())
}

/// Writes a policy. Returns an error if it could not be read again.
pub(crate) fn policy_text(policy: Option<&PolicyPatch>) -> Result<Option<String>, OperationError> {
    let text = policy.map(to_text).transpose().map_err(OperationError::Json)?;
    Ok(text.map(|text| escape(&text).into_owned()))
}

/// Escapes line breaks, which separate fields, and `%`, which marks an escape.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    match text.contains(['%', '\n']) {
        true => text.replace('%', "%25").replace('\n', "%0A").into(),
        false => text.into(),
    }
}

fn unescape(text: &str) -> Cow<'_, str> {
    match text.contains('%') {
        true => text.replace("%0A", "\n").replace("%25", "%").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::login::NewLogin;
    use crate::{policy::Policy, time::hours};

    fn record() -> SessionRecord {
        let at = Timestamp::from_millis(1_767_268_800_000);
        let mut login = NewLogin::new("a\nb=%0A", at, &Policy::new());
        login.client = Client::new("2001:db8::1".parse().ok(), "Firefox");
        login.login_policy = Some(Arc::new(PolicyPatch::new().absolute(hours(24))));
        login.uncounted = true;
        login.actor = Some("admin".into());
        login.stamp = Stamp::from_number(u64::MAX);
        login.adopted_until = Some(at.plus(hours(240)));
        let mut record = SessionRecord::new(&login);
        record.last_client = Some(Client::new(None, "").into());
        record.authenticated_at = at.plus(hours(1));
        (record.longest_idle, record.longest_absolute) = (Limit::Off, Limit::At(hours(48)));
        (record.generation, record.remembered) = (3, true);
        record
    }

    fn stored() -> String {
        to_stored(&record(), "hash").unwrap()
    }

    fn read(text: &str) -> Result<SessionRecord, OperationError> {
        StoredFields::parse(text.as_bytes())?.record()
    }

    #[test]
    fn open_record_round_trips() {
        let mut record = record();
        for text in ["", "\n", "%", "%0A", "%250A", "a=b\n\n%%0A", "é\0🦀\r"] {
            (record.user, record.client.device) = (text.into(), text.into());
            let stored = to_stored(&record, "hash").unwrap();
            assert_eq!(read(&stored).unwrap(), record, "{text:?}");
        }
    }

    #[test]
    fn reason_of_a_newer_version_becomes_unknown() {
        let text = stored() + "ended=5\nreason=newer\ncause=maintenance\n";
        let read = read(&text).unwrap().ended.unwrap();
        assert_eq!((read.reason, read.cause.as_deref()), (Reason::Unknown, Some("maintenance")));
    }

    #[test]
    fn field_of_a_newer_version_is_ignored() {
        let text = stored();
        assert_eq!(read(&(text.clone() + "colour=red\n")).unwrap(), read(&text).unwrap());
    }

    /// The first use of `fresh` in a running application must not sign users out.
    #[test]
    fn record_of_an_earlier_version_counts_as_authenticated_at_its_login() {
        let added = ["auth", "remembered", "attempts", "stamp", "uncounted", "last_device"];
        let text = stored();
        let is_known = |line: &&str| added.iter().all(|name| !line.starts_with(name));
        let lines = text.lines().filter(is_known).flat_map(|line| [line, "\n"]);
        let record = read(&lines.collect::<String>()).unwrap();
        assert_eq!(record.authenticated_at, record.logged_in_at);
        assert_eq!((record.remembered, record.confirmation_attempts), (false, 0));
        assert_eq!((record.stamp, record.uncounted, record.last_client), (None, false, None));
    }

    #[test]
    fn confirmation_attempts_are_counted_by_their_ids() {
        let read = |attempts| read(&(stored() + attempts)).unwrap().confirmation_attempts;
        assert_eq!((read(""), read("attempts=a\n"), read("attempts=a,b,c\n")), (0, 1, 3));
    }

    #[test]
    fn unreadable_record_is_an_error() {
        for wrong in [
            stored().replace("id=", "id=!"),
            stored().replace("key=", "seal="),
            stored().replace("user=", "who="),
            stored().replace("login=", "login=x"),
            stored() + "ended=5\n",
            stored() + "no field\n",
            "[]".to_owned(),
            String::new(),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn listed_record_may_have_an_unreadable_policy() {
        let stored = stored();
        let text = stored.clone() + "user_policy=[]\n";
        assert!(read(&text).is_err());
        let fields = StoredFields::parse(text.as_bytes()).unwrap();
        assert_eq!(fields.listed_record().unwrap(), read(&stored).unwrap());
    }
}
