//! Open streams of the example site while slots move and a primary hands over.

use std::time::{Duration, Instant};

use actix_web::cookie::Key;
use example_site::{RegistryKind, Settings};
use session_expire_tests::{Browser, RedisCluster, StreamClient};

use crate::{example_site::start, hash_key};

/// Half of the default interval of the checks: an end that was not reported is detected later.
const LIMIT: Duration = Duration::from_secs(30);

/// Opens a stream on one process, and ends its session on the other.
fn assert_ends([here, there]: &[String; 2], before: impl FnOnce()) {
    let [laptop, phone] = [here, there].map(|site| Browser::new(site.clone()));
    for browser in [&laptop, &phone] {
        let login = browser.post("/login", "username=alice&password=alice");
        assert_eq!(login.redirect(), (303, "/dashboard"));
    }
    let mut stream = StreamClient::open(&laptop, "/session/events", "");
    assert_eq!(stream.next_event().unwrap()["state"], "active");
    before();
    let began = Instant::now();
    assert_eq!(phone.post("/devices/end-others", "").status, 303);
    while stream.next_event().unwrap()["state"] == "active" {}
    assert!(began.elapsed() < LIMIT, "the stream ended late: {:?}", began.elapsed());
    println!("the stream ended after {:.1?}", began.elapsed());
}

#[test]
fn streams_end_with_their_session_after_a_slot_has_moved() {
    let cluster = RedisCluster::start();
    let addresses: Vec<_> = cluster
        .urls()
        .iter()
        .map(|url| url["redis://".len()..].trim_end_matches('/').to_owned())
        .collect();
    let url = format!("redis+cluster://{}", addresses.join(","));
    let key = Key::generate();
    let sites = [(); 2].map(|()| {
        let registry = RegistryKind::Redis(url.clone());
        start(Settings { key: key.clone(), registry, ..Settings::default() }).unwrap()
    });
    let slot = cluster.slot_of(&hash_key("alice"));
    assert_ends(&sites, || {});
    let owner = cluster.owner_of(slot);
    let other = (owner + 1) % 3;
    assert_ends(&sites, || cluster.move_slots(slot..=slot, owner, other));
    assert_ends(&sites, || cluster.fail_over(cluster.replica_of(other)));
}
