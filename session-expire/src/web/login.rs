//! Putting logins into the registry and taking them out, and telling of it.

use std::sync::Arc;

use actix_web::HttpRequest;

use super::{client::client, found::Found, gate::Gate, standing::Standing};
use crate::{
    error::RegistryError,
    event::Event,
    facts::Reason,
    policy::PolicyPatch,
    registry::{
        Admission, Target,
        key::RecordKey,
        login::Login,
        record::{Ended, Record},
        room::Room,
    },
};

/// What became of an attempt to sign in.
pub(crate) enum Entry {
    /// The key that belongs into the session.
    Admitted(RecordKey, Box<Record>),
    /// Those that hold the places.
    Refused(Vec<Record>),
}

/// Registers a login of `owner`, in the place of the one that this browser had.
pub(crate) async fn register(
    gate: &Gate,
    owner: String,
    choice: PolicyPatch,
    req: &HttpRequest,
) -> Result<Entry, RegistryError> {
    let setup = &gate.setup;
    let patch = gate.setup.patch_of(&owner).await;
    let mut policy = choice.over(&gate.layered());
    if let Some(patch) = &patch {
        policy = patch.over(&policy);
    }
    let mut login = Login::new(owner, setup.now(), &policy);
    login.client = client(req, &setup.proxies);
    login.choice = (choice != PolicyPatch::new()).then(|| Arc::new(choice));
    login.patch = patch;
    let (before, same_user) = (replaced(gate), is_login_of(gate, &login.owner));
    // Where that could not be asked, the registry makes sure itself.
    let alike = |old: RecordKey| same_user.unwrap_or(old.tag() == login.key.tag());
    login.replaces = before.filter(|(old, _)| alike(*old));
    let key = login.key;
    match setup.registry.login(login).await? {
        Admission::Refused { holders } => {
            setup.tell(&Event::LoginRefused {
                owner: holders.first().map_or("", |holder| &holder.owner),
            });
            Ok(Entry::Refused(holders))
        }
        Admission::Admitted { record, ended } => {
            tell_ended(gate, &ended);
            setup.tell(&Event::LoggedIn { owner: &record.owner, id: record.id });
            if let Some((old, reason)) = before.filter(|_| same_user != Some(true)) {
                end(gate, Target::Key(old), Ended::new(reason, setup.now())).await?;
            }
            Ok(Entry::Admitted(key, Box::new(record)))
        }
    }
}

/// The login that this browser had before, and why it ends now at the latest.
fn replaced(gate: &Gate) -> Option<(RecordKey, Reason)> {
    let reason = match &*gate.standing() {
        Standing::Masked(reason, ..) => *reason,
        _ => Reason::LoggedOut,
    };
    match gate.found() {
        Found::Login(key, ..) | Found::Unreachable(Some(key)) => Some((*key, reason)),
        _ => None,
    }
}

/// Whether the login that this browser had is one of `owner`.
fn is_login_of(gate: &Gate, owner: &str) -> Option<bool> {
    gate.login().map(|(_, record)| *record.owner == *owner)
}

/// Ends the login that a handler has registered in this very request, and that nobody is going to have.
pub(crate) async fn take_back(gate: &Gate) {
    let Some(key) = gate.take_registered() else { return };
    let ended = Ended::new(Reason::LoggedOut, gate.setup.now());
    let taken = end(gate, Target::Key(key), ended).await;
    taken.map(drop).unwrap_or_else(|error| gate.setup.registry_failed(&error));
}

/// Ends records and tells of each that this has ended.
pub(crate) async fn end(gate: &Gate, target: Target, ended: Ended) -> Result<usize, RegistryError> {
    let over = gate.setup.registry.end(target, ended).await?;
    tell_ended(gate, &over);
    Ok(over.len())
}

/// Ends the login of this request for `reason`, and says when it was over already.
pub(crate) async fn end_own(gate: &Gate, reason: Reason) -> Result<(), RegistryError> {
    let ended = match gate.login() {
        Some((key, _)) => end(gate, Target::Key(key), Ended::new(reason, gate.setup.now())).await?,
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
    let room = Room::of(&gate.policy());
    let mut ended = Ended::new(Reason::Evicted, gate.setup.now());
    ended.by = gate.login().map(|(_, record)| Arc::clone(&record.client.device));
    let over = gate.setup.registry.make_room(key, room, ended).await?;
    tell_ended(gate, &over);
    Ok(())
}

fn tell_ended(gate: &Gate, over: &[Record]) {
    for record in over {
        let reason = record.ended.as_ref().map_or(Reason::Unknown, |ended| ended.reason);
        gate.setup.tell(&Event::Ended { owner: &record.owner, id: record.id, reason });
    }
}
