//! Slots that move while a test runs.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use session_expire::registry::RecordKey;

use crate::{RedisCluster, redis_cluster::wait_until};

/// Number of moves between two failovers.
const MOVES_PER_FAILOVER: u32 = 20;

/// Longest pause between two steps of a migration, in milliseconds.
const MAX_PAUSE: u64 = 20;

/// Changes to a Cluster during a test.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Moves {
    /// Number of slots that moved.
    pub moved: u32,
    /// Number of manual failovers.
    pub failovers: u32,
}

impl RedisCluster {
    /// Runs `work` while the slots of these users move back and forth between the primaries. After
    /// every 20 moves, a replica takes over.
    ///
    /// # Panics
    ///
    /// Panics if the Cluster does not respond, or if `work` panics.
    pub fn while_slots_move(&self, users: &[&str], work: impl FnOnce()) -> Moves {
        let slots: Vec<_> = users.iter().map(|user| self.slot_of_user(user)).collect();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let mover = scope.spawn(|| self.move_until(&is_over, &slots));
            {
                let _stop = SetOnDrop(&is_over);
                work();
            }
            mover.join().unwrap()
        })
    }

    /// Returns the slot of the records of a user.
    #[must_use]
    pub fn slot_of_user(&self, user: &str) -> u16 {
        let key = RecordKey::random(user);
        self.slot_of(&format!("{{{}}}", &key.partition_key()[..2]))
    }

    fn move_until(&self, is_over: &AtomicBool, slots: &[u16]) -> Moves {
        let mut moves = Moves::default();
        while !is_over.load(Ordering::SeqCst) {
            let slot = slots[fastrand::usize(..slots.len())];
            let from = self.owner_of(slot);
            let mut others = self.primaries();
            others.retain(|n| *n != from);
            let to = others[fastrand::usize(..others.len())];
            self.move_slowly(slot, from, to);
            moves.moved += 1;
            if moves.moved.is_multiple_of(MOVES_PER_FAILOVER) {
                self.hand_over(slot);
                moves.failovers += 1;
            }
        }
        moves
    }

    /// Moves a slot, with a pause after each step.
    fn move_slowly(&self, slot: u16, from: usize, to: usize) {
        self.begin_migration(slot, from, to);
        pause();
        self.move_keys(slot, from, to);
        pause();
        self.finish_migration(slot, from, to);
        pause();
    }

    /// Fails over to a replica of the owner of a slot, and waits until all nodes know the new
    /// owner.
    pub fn hand_over(&self, slot: u16) {
        // A replica claims only the slots that it knows of.
        self.wait_until_agreed();
        self.fail_over(self.replica_of(self.owner_of(slot)));
        self.wait_until_agreed();
    }

    /// Waits until all nodes that respond agree on the owners of all slots and on their replicas,
    /// and the Cluster is complete.
    ///
    /// A node learns the primary of a replica only from that replica. Until then, it does not vote
    /// for the replica.
    pub fn wait_until_agreed(&self) {
        wait_until("the nodes agree on the owners of all slots", || {
            let mut views = self.responding().map(|(_, node)| node.roles());
            let first = views.next();
            views.all(|view| Some(&view) == first.as_ref())
        });
        self.wait_until_ok();
    }
}

fn pause() {
    thread::sleep(Duration::from_millis(fastrand::u64(..MAX_PAUSE)));
}

/// Sets the flag when it is dropped, even if the test panics.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
