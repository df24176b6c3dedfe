//! What `RedisRegistry` promises, against servers of the tests' own.

#![allow(missing_docs)]

mod cache;
mod outage;
mod promises;
mod races;
mod traffic;
mod wire;

use session_expire::{Admission, Login, Policy, Record, Timestamp};

pub const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

pub fn admitted(admission: Admission) -> (Record, Vec<Record>) {
    match admission {
        Admission::Admitted { record, ended } => (record, ended),
        Admission::Refused { .. } => panic!("refused"),
    }
}

pub fn login(owner: &str, policy: &Policy) -> Login {
    Login::new(owner, NOON, policy)
}
