//! Migration of slots between the primaries of a Cluster, in the steps of `redis-cli`.

use std::ops::RangeInclusive;

use crate::{RedisCluster, redis_cluster::wait_until};

impl RedisCluster {
    /// Starts the migration of a slot. Then, `from` redirects commands with `ASK` if it has none of
    /// their keys, and responds `TRYAGAIN` if it has some of them.
    pub fn begin_migration(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let [source, target] = [from, to].map(|n| self.node(n).id.as_str());
        self.set_slot(to, &[&slot, "IMPORTING", source]);
        self.set_slot(from, &[&slot, "MIGRATING", target]);
    }

    /// Moves the keys of a migrating slot.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        loop {
            let words = ["CLUSTER", "GETKEYSINSLOT", &slot, "100"];
            let keys: Vec<String> = self.command_on(from, &words);
            if keys.is_empty() {
                return;
            }
            self.move_some_keys(&keys, from, to);
        }
    }

    /// Moves only these keys of a migrating slot. Missing ones are skipped.
    pub fn move_some_keys(&self, keys: &[impl AsRef<str>], from: usize, to: usize) {
        let port = self.node(to).server.port.to_string();
        let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "60000", "KEYS"];
        words.extend(keys.iter().map(AsRef::as_ref));
        let _: String = self.command_on(from, &words);
    }

    /// Makes `to` the owner of a slot whose keys have moved.
    ///
    /// A former owner that has lost its last slot becomes a replica of `to`.
    pub fn finish_migration(&self, slot: u16, from: usize, to: usize) {
        let (slot_number, id) = (slot, self.node(to).id.as_str());
        let slot = slot.to_string();
        // The target is first: without its claim, a failure of the source would lose the slot.
        self.set_slot(to, &[&slot, "NODE", id]);
        let others = self.responding().filter(|(n, _)| ![from, to].contains(n));
        for n in [from].into_iter().chain(others.map(|(n, _)| n)) {
            // A replica refuses the command, and learns about the owner from messages. A primary
            // that loses its last slot becomes a replica.
            let words = ["CLUSTER", "SETSLOT", &slot, "NODE", id];
            let _: Result<String, _> = self.try_command_on(n, &words);
        }
        self.wait_until_claimed(slot_number, to);
    }

    /// Waits until all nodes know the claim of the owner. Before that, a late message from a former
    /// owner can undo the claim on a third node. The next message from the owner, seconds later,
    /// restores it.
    fn wait_until_claimed(&self, slot: u16, owner: usize) {
        let claim = self.node(owner).own_view();
        wait_until("all nodes know the owner of a slot", || {
            self.responding().all(|(_, node)| {
                let view = node.view();
                let seen = view.iter().find(|node| node.id == claim.id);
                seen.is_some_and(|owner| owner.epoch >= claim.epoch && owner.owns(slot))
            })
        });
    }

    /// Migrates slots one after another, as `redis-cli --cluster reshard` does.
    pub fn move_slots(&self, slots: RangeInclusive<u16>, from: usize, to: usize) {
        for slot in slots {
            self.begin_migration(slot, from, to);
            self.move_keys(slot, from, to);
            self.finish_migration(slot, from, to);
        }
    }

    fn set_slot(&self, n: usize, words: &[&str]) {
        let _: String = self.command_on(n, &[&["CLUSTER", "SETSLOT"], words].concat());
    }
}
