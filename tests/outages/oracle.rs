//! Oracle for the sessions of one user: which responses are correct when some earlier requests had
//! none.
//!
//! A request without a response has happened, is still under way, or never happens. The oracle
//! keeps one [`State`] for each combination of these cases. Each later response removes the states
//! that contradict it. If no state is left, the site broke a promise.

use std::{collections::BTreeSet, mem};

/// The session limit of every user.
pub const MAX_SESSIONS: usize = 2;

/// An operation that changes which sessions of a user are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// The login with this number; `None` if the client did not receive its cookie.
    Login(Option<u32>),
    /// Cancels a login whose response was lost.
    Cancel,
    Logout(u32),
    /// A restart of a registry that is not durable.
    Reset,
}

/// The open sessions, oldest first, and the operations that may still happen.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    open: Vec<Option<u32>>,
    pending: Vec<Operation>,
}

impl State {
    fn apply(mut self, operation: Operation) -> Self {
        match operation {
            Operation::Login(number) => {
                self.open.push(number);
                self.open.drain(..self.open.len().saturating_sub(MAX_SESSIONS));
            }
            Operation::Cancel => {
                if let Some(index) = self.open.iter().position(Option::is_none) {
                    self.open.remove(index);
                }
            }
            Operation::Logout(number) => self.open.retain(|open| *open != Some(number)),
            Operation::Reset => self.open.clear(),
        }
        self
    }

    /// Returns the states that follow if one pending operation happens now.
    fn successors(&self) -> impl Iterator<Item = Self> {
        (0..self.pending.len()).map(|index| {
            let mut state = self.clone();
            let operation = state.pending.remove(index);
            if operation == Operation::Login(None) {
                state.pending.push(Operation::Cancel);
                state.pending.sort();
            }
            state.apply(operation)
        })
    }
}

/// The possible states of one user.
#[derive(Debug, Clone)]
pub struct Oracle(BTreeSet<State>);

impl Oracle {
    /// Returns the oracle of a user without a session.
    pub fn new() -> Self {
        Self([State::default()].into())
    }

    /// Records an operation that the site has acknowledged.
    pub fn acknowledged(&mut self, operation: Operation) {
        self.add_successors();
        self.map_states(|state| state.apply(operation));
    }

    /// Records an operation without a response: it happens now, later or never.
    pub fn unanswered(&mut self, operation: Operation) {
        self.map_states(|mut state| {
            state.pending.push(operation);
            state.pending.sort();
            state
        });
    }

    /// Records whether the site has accepted the cookie of a login.
    ///
    /// # Errors
    ///
    /// Returns the possible states if all of them contradict the response.
    pub fn observe(&mut self, number: u32, is_accepted: bool) -> Result<(), String> {
        self.add_successors();
        let before = self.0.clone();
        self.0.retain(|state| state.open.contains(&Some(number)) == is_accepted);
        if self.0.is_empty() {
            let error =
                if is_accepted { "accepted an ended session" } else { "rejected an open session" };
            return Err(format!("{error}: login {number} in {before:?}"));
        }
        Ok(())
    }

    /// Records that no operation is under way any more. A pending reset has happened.
    pub fn settle(&mut self) {
        self.add_successors();
        self.0.retain(|state| !state.pending.contains(&Operation::Reset));
        self.map_states(|state| State { pending: vec![], ..state });
    }

    fn map_states(&mut self, map: impl Fn(State) -> State) {
        self.0 = mem::take(&mut self.0).into_iter().map(map).collect();
    }

    /// Adds the states in which pending operations have happened by now.
    fn add_successors(&mut self) {
        let mut new: Vec<_> = self.0.iter().flat_map(State::successors).collect();
        while let Some(state) = new.pop() {
            if !self.0.contains(&state) {
                new.extend(state.successors());
                self.0.insert(state);
            }
        }
    }
}

/// Returns the oracle of a user after so many acknowledged logins.
#[cfg(test)]
fn after_logins(count: u32) -> Oracle {
    let mut oracle = Oracle::new();
    (0..count).for_each(|number| oracle.acknowledged(Operation::Login(Some(number))));
    oracle
}

#[test]
fn unanswered_login_may_evict_and_be_cancelled() {
    let mut oracle = after_logins(2);
    oracle.unanswered(Operation::Login(None));
    oracle.observe(0, false).unwrap();
    oracle.acknowledged(Operation::Login(Some(2)));
    oracle.observe(1, true).unwrap();
    oracle.observe(2, true).unwrap();
}

#[test]
fn login_over_the_limit_evicts_the_oldest_only() {
    let error = after_logins(3).observe(0, true).unwrap_err();
    assert!(error.starts_with("accepted an ended session"), "{error}");
    let mut oracle = after_logins(3);
    oracle.observe(0, false).unwrap();
    let error = oracle.observe(1, false).unwrap_err();
    assert!(error.starts_with("rejected an open session"), "{error}");
}

#[test]
fn unanswered_login_is_possible_until_contradicted() {
    let mut oracle = after_logins(2);
    oracle.unanswered(Operation::Login(None));
    let mut other = oracle.clone();
    other.observe(0, false).unwrap();
    assert!(other.observe(0, true).is_err(), "an evicted session is open again");
    oracle.observe(0, true).unwrap();
    oracle.observe(0, false).unwrap(); // The login has happened in between.
    oracle.observe(1, true).unwrap();
}

#[test]
fn pending_operation_never_happens_after_settling() {
    let mut oracle = after_logins(1);
    oracle.unanswered(Operation::Logout(0));
    oracle.settle();
    oracle.observe(0, true).unwrap();
    assert!(oracle.observe(0, false).is_err());
}

#[test]
fn reset_ends_all_earlier_sessions() {
    let mut oracle = after_logins(1);
    oracle.unanswered(Operation::Reset);
    oracle.acknowledged(Operation::Login(Some(1)));
    oracle.settle();
    let mut copy = oracle.clone();
    assert!(oracle.observe(0, true).is_err());
    copy.observe(1, true).unwrap();
}
