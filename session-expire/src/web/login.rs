//! Putting logins into the registry and taking them out, and telling of it.

use std::sync::Arc;

use actix_web::HttpRequest;

use super::{
    found::Found,
    gate::Gate,
    registered::{Registered, prepare},
    standing::Standing,
};
use crate::{
    error::RegistryError,
    event::Event,
    facts::Reason,
    policy::PolicyPatch,
    registry::{
        EndTarget, LoginOutcome,
        key::RecordKey,
        login::NewLogin,
        record::{Ended, SessionRecord},
        room::SessionLimit,
    },
};

/// What became of an attempt to sign in.
pub(crate) enum Entry {
    /// The key that belongs into the session.
    Admitted(RecordKey, Box<SessionRecord>),
    /// Those that hold the places.
    Refused(Vec<SessionRecord>),
}

/// Registers a login of `user`, in the place of the one that this browser had.
pub(crate) async fn register(
    gate: &Gate,
    user: String,
    choice: PolicyPatch,
    req: &HttpRequest,
) -> Result<Entry, RegistryError> {
    let (setup, before) = (&gate.setup, before(gate));
    let mut login = prepare(setup, user, &gate.layered(), choice, req).await?;
    let own = before.as_ref().filter(|old| old.may_be_of(&login));
    login.replaces = own.map(Before::replaced);
    let (key, mut registered) = (login.key, Registered::new(setup, &login));
    match setup.registry.login(login).await? {
        LoginOutcome::Refused { holders } => {
            registered.keep();
            setup.tell(&Event::LoginRefused {
                user: holders.first().map_or("", |holder| &holder.user),
            });
            Ok(Entry::Refused(holders))
        }
        LoginOutcome::Committed { record, ended } => {
            setup.tell_ended(&ended);
            setup.tell(&Event::LoggedIn { user: &record.user, id: record.id });
            if let Err(error) = end_of_somebody_else(gate, before, &record).await {
                registered.take_back().await; // or nobody could sign in where it holds the only place
                return Err(error);
            }
            gate.set_registered(registered);
            Ok(Entry::Admitted(key, Box::new(record)))
        }
    }
}

/// Ends what this browser had of another user, whose place the login of `record` cannot take.
async fn end_of_somebody_else(
    gate: &Gate,
    before: Option<Before>,
    record: &SessionRecord,
) -> Result<(), RegistryError> {
    let other = |old: &Before| old.user.as_ref() != Some(&record.user);
    let Some(old) = before.filter(other) else { return Ok(()) };
    let ended = Ended::new(old.reason, gate.setup.now());
    end(gate, EndTarget::Key(old.key), ended).await.map(drop)
}

/// The login that this browser had before.
struct Before {
    key: RecordKey,
    /// Whose it was, if that could be asked.
    user: Option<Arc<str>>,
    /// Why it ends now at the latest.
    reason: Reason,
}

impl Before {
    /// Where nobody could be asked, the registry makes sure itself.
    fn may_be_of(&self, login: &NewLogin) -> bool {
        match &self.user {
            Some(user) => *user == login.user,
            None => self.key.tag() == login.key.tag(),
        }
    }

    fn replaced(&self) -> (RecordKey, Reason) {
        (self.key, self.reason)
    }
}

fn before(gate: &Gate) -> Option<Before> {
    if let Some((key, user)) = gate.registered() {
        return Some(Before { key, user: Some(user), reason: Reason::LoggedOut });
    }
    let reason = match &*gate.standing() {
        Standing::Masked(reason, ..) => *reason,
        _ => Reason::LoggedOut,
    };
    match gate.found() {
        Found::Login(key, record, _) => {
            Some(Before { key: *key, user: Some(Arc::clone(&record.user)), reason })
        }
        Found::Unreachable(Some(key)) => Some(Before { key: *key, user: None, reason }),
        _ => None,
    }
}

/// Ends records and tells of each that this has ended.
pub(crate) async fn end(
    gate: &Gate,
    target: EndTarget,
    ended: Ended,
) -> Result<usize, RegistryError> {
    let over = gate.setup.registry.end(target, ended).await?;
    gate.setup.tell_ended(&over);
    Ok(over.len())
}

/// Ends the login of this request for `reason`, and says when it was over already.
pub(crate) async fn end_own(gate: &Gate, reason: Reason) -> Result<(), RegistryError> {
    let ended = match gate.login() {
        Some((key, _)) => {
            end(gate, EndTarget::Key(key), Ended::new(reason, gate.setup.now())).await?
        }
        None => 0,
    };
    if ended == 0
        && let Standing::Masked(reason, ..) = &*gate.standing()
    {
        gate.setup.tell(&Event::Refused { reason: *reason });
    }
    Ok(())
}

/// Ends other sessions of the user, of whom there are more than the policy of this request allows.
pub(crate) async fn make_room(gate: &Gate, key: RecordKey) -> Result<(), RegistryError> {
    let room = SessionLimit::of(&gate.policy());
    // Without a device: nobody has just signed in on one, and so nobody shall be told that.
    let ended = Ended::new(Reason::Evicted, gate.setup.now());
    let over = gate.setup.registry.make_room(key, room, ended).await?;
    gate.setup.tell_ended(&over);
    Ok(())
}
