//! What `RedisRegistry` promises, against servers of the tests' own.

#![allow(missing_docs)]

mod cache;
mod outage;
mod promises;
mod races;
mod traffic;
mod wire;

use session_expire::{LoginOutcome, NewLogin, Policy, SessionRecord, Timestamp};

pub const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

pub fn admitted(admission: LoginOutcome) -> (SessionRecord, Vec<SessionRecord>) {
    match admission {
        LoginOutcome::Committed { record, ended } => (record, ended),
        LoginOutcome::Refused { .. } => panic!("refused"),
    }
}

pub fn login(user: &str, policy: &Policy) -> NewLogin {
    NewLogin::new(user, NOON, policy)
}
