//! How many logins a second are on the disk; printed and not judged, for disks differ:
//! `cargo test --release --test sqlite -- --nocapture logins_per_second`.

use std::{thread, time::Instant};

use crate::child::{Folder, log_in};

#[test]
fn logins_per_second() {
    for (threads, each) in [(1_u32, 300_u32), (32, 100)] {
        let folder = Folder::new();
        let registry = folder.open();
        let started = Instant::now();
        thread::scope(|scope| {
            for thread in 0..threads {
                let registry = &registry;
                scope.spawn(move || {
                    for number in 0..each {
                        log_in(registry, &format!("user {thread}.{number}")).unwrap();
                    }
                });
            }
        });
        let rate = f64::from(threads * each) / started.elapsed().as_secs_f64();
        println!("{threads} threads: {rate:.0} durable logins a second");
    }
}
