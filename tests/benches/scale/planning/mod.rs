//! Numbers to size a Redis server or a Redis Cluster with.
//!
//! The guide on Redis quotes them. Memory is `used_memory`, without fragmentation.

mod channels;
mod commands;
mod memory;
mod tags;

use std::{sync::Arc, thread};

use session_expire::{
    Overflow,
    clock::Timestamp,
    registry::{NewLogin, SessionLimit, partition_key},
};
use tokio::runtime::Runtime;

use crate::redis::login;

pub(crate) fn measure() {
    Runtime::new().unwrap().block_on(async {
        memory::measure().await;
        commands::measure().await;
        channels::measure().await;
        tags::measure().await;
    });
}

/// Returns the login of a browser, with `data` bytes of session data.
fn browser_login(user: &str, at: Timestamp, data: usize) -> NewLogin {
    let mut login = login(user, at, SessionLimit::new(1_000, Overflow::Evict));
    login.client.ip = Some([203, 0, 113, 7].into());
    login.client.device = Arc::from("Firefox on Windows");
    if data > 0 {
        let mut changes = session_expire::registry::SessionUpdate::new(at);
        let json = format!("\"{}\"", "x".repeat(data.saturating_sub(15)));
        changes.data.set("cart", serde_json::value::RawValue::from_string(json).unwrap());
        login.data.apply(&changes.data).unwrap();
    }
    login
}

/// Returns users whose keys have a tag that starts with `start`.
fn users_of(start: &str, count: usize) -> Vec<String> {
    let half = |first: usize| {
        let users = (first..).step_by(2).map(|number| format!("user-{number}@example.org"));
        let of_tag = users.filter(|user| partition_key(user).starts_with(start));
        of_tag.take(count.div_ceil(2)).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let halves = [0, 1].map(|first| scope.spawn(move || half(first)));
        halves.into_iter().flat_map(|half| half.join().unwrap()).take(count).collect()
    })
}

/// Returns the number in a line `name:number` of a response to `INFO`.
fn number(info: &str, name: &str) -> f64 {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.map_or(0.0, |value| value.trim().parse().unwrap())
}

fn row(what: &str, value: f64, unit: &str) {
    println!("{what:<52}{value:>12.1} {unit}");
}
