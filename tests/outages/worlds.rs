//! What may be true of a user when some of their requests were never answered.
//!
//! An answer says what has happened. Without one it may have happened, may still happen, or never will:
//! each is a world of its own. Every later answer strikes out the worlds that it contradicts; when none
//! is left, a promise was broken.

use std::collections::BTreeSet;

/// How many sessions a user may have.
pub const MAX_SESSIONS: usize = 2;

/// What changes who is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// The login of this number, or one whose cookie never arrived.
    Login(Option<u32>),
    /// A login whose answer was lost is cancelled again.
    Cancel,
    Logout(u32),
    /// A registry that keeps nothing was started again.
    Forget,
}

/// The open sessions, oldest first, and what may yet happen.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    open: Vec<Option<u32>>,
    pending: Vec<Act>,
}

impl World {
    fn after(mut self, act: Act) -> Self {
        match act {
            Act::Login(number) => {
                self.open.push(number);
                self.open.drain(..self.open.len().saturating_sub(MAX_SESSIONS));
            }
            Act::Cancel => {
                if let Some(place) = self.open.iter().position(Option::is_none) {
                    self.open.remove(place);
                }
            }
            Act::Logout(number) => self.open.retain(|open| *open != Some(number)),
            Act::Forget => self.open.clear(),
        }
        self
    }

    /// The worlds in which one pending act has happened now.
    fn next(&self) -> impl Iterator<Item = Self> {
        (0..self.pending.len()).map(|place| {
            let mut world = self.clone();
            let act = world.pending.remove(place);
            if act == Act::Login(None) {
                world.pending.push(Act::Cancel);
                world.pending.sort();
            }
            world.after(act)
        })
    }
}

/// All that may be true.
#[derive(Debug, Clone)]
pub struct Worlds(BTreeSet<World>);

impl Worlds {
    /// Nobody is signed in.
    pub fn new() -> Self {
        Self([World::default()].into())
    }

    /// The site has said that it is done.
    pub fn done(&mut self, act: Act) {
        self.go_on();
        self.0 = std::mem::take(&mut self.0).into_iter().map(|world| world.after(act)).collect();
    }

    /// The site has not answered: it happens now, later or never.
    pub fn perhaps(&mut self, act: Act) {
        let with = |mut world: World| {
            world.pending.push(act);
            world.pending.sort();
            world
        };
        self.0 = std::mem::take(&mut self.0).into_iter().map(with).collect();
    }

    /// The site has let this login in, or has not. An error tells what was to be expected.
    pub fn answered(&mut self, number: u32, accepted: bool) -> Result<(), String> {
        self.go_on();
        let before = self.0.clone();
        self.0.retain(|world| world.open.contains(&Some(number)) == accepted);
        if self.0.is_empty() {
            let word = if accepted { "an ended session was accepted" } else { "a login was lost" };
            return Err(format!("{word}: number {number}, where {before:?}"));
        }
        Ok(())
    }

    /// Nothing is under way any more. What has been forgotten was forgotten by now.
    pub fn settle(&mut self) {
        self.go_on();
        self.0.retain(|world| !world.pending.contains(&Act::Forget));
        let settled = |world: World| World { pending: vec![], ..world };
        self.0 = std::mem::take(&mut self.0).into_iter().map(settled).collect();
    }

    /// Adds the worlds in which some of what was pending has happened by now.
    fn go_on(&mut self) {
        let mut new: Vec<_> = self.0.iter().flat_map(World::next).collect();
        while let Some(world) = new.pop() {
            if !self.0.contains(&world) {
                new.extend(world.next());
                self.0.insert(world);
            }
        }
    }
}

#[test]
fn login_without_answer_may_evict_and_be_cancelled() {
    let mut worlds = Worlds::new();
    (0..2).for_each(|number| worlds.done(Act::Login(Some(number))));
    worlds.perhaps(Act::Login(None));
    worlds.answered(0, false).unwrap();
    worlds.done(Act::Login(Some(2)));
    worlds.answered(1, true).unwrap();
    worlds.answered(2, true).unwrap();
}

#[test]
fn the_oldest_login_yields() {
    let mut worlds = Worlds::new();
    (0..3).for_each(|number| worlds.done(Act::Login(Some(number))));
    assert!(worlds.answered(0, true).unwrap_err().starts_with("an ended session was accepted"));
    let mut worlds = Worlds::new();
    (0..3).for_each(|number| worlds.done(Act::Login(Some(number))));
    worlds.answered(0, false).unwrap();
    assert!(worlds.answered(1, false).unwrap_err().starts_with("a login was lost"));
}

#[test]
fn an_unanswered_login_may_have_happened_until_an_answer_contradicts_it() {
    let mut worlds = Worlds::new();
    (0..2).for_each(|number| worlds.done(Act::Login(Some(number))));
    worlds.perhaps(Act::Login(None));
    let mut other = worlds.clone();
    other.answered(0, false).unwrap();
    assert!(other.answered(0, true).is_err(), "it yielded, and does not come back");
    worlds.answered(0, true).unwrap();
    worlds.answered(0, false).unwrap(); // it happened after that
    worlds.answered(1, true).unwrap();
}

#[test]
fn what_was_not_done_when_all_is_settled_never_will_be() {
    let mut worlds = Worlds::new();
    worlds.done(Act::Login(Some(0)));
    worlds.perhaps(Act::Logout(0));
    worlds.settle();
    worlds.answered(0, true).unwrap();
    assert!(worlds.answered(0, false).is_err());
}

#[test]
fn a_restart_without_memory_has_forgotten_all_that_was_before_it() {
    let mut worlds = Worlds::new();
    worlds.done(Act::Login(Some(0)));
    worlds.perhaps(Act::Forget);
    worlds.done(Act::Login(Some(1)));
    worlds.settle();
    let mut after = worlds.clone();
    assert!(worlds.answered(0, true).is_err());
    after.answered(1, true).unwrap();
}
