//! Users, passwords and certificates of Sentinels and servers.

use session_expire::RedisRegistry;
use session_expire_tests::SentinelTrio;

use super::{is_open, sign_in};

const GUIDE: &str = include_str!("../../../session-expire/docs/deployment.md");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_and_sentinels_with_other_passwords_accept_the_registry() {
    let trio = SentinelTrio::with_tls_and_passwords();
    let name = SentinelTrio::NAME;
    let registry = RedisRegistry::from_sentinel(name, trio.clients()).await.unwrap();
    let caching = RedisRegistry::from_sentinel_caching(name, trio.clients());
    let caching = caching.await.unwrap();
    let key = sign_in(&registry).await.key();
    assert!(is_open(&registry, key).await && is_open(&caching, key).await);
    let text = format!("{registry:?}");
    assert!(text.contains("redis+sentinel://localhost:"), "{text}");
    assert!(!text.contains("password"), "{text}");
}

/// Returns the permissions of the user of the Sentinels in the guide.
fn rules() -> Vec<&'static str> {
    let (_, block) = GUIDE.split_once("ACL SETUSER registry ").unwrap();
    block.split_once("```").unwrap().0.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_permissions_of_the_sentinels_are_sufficient() {
    let trio = SentinelTrio::start();
    let set_user = |words: &[&str]| {
        let words = [&["ACL", "SETUSER", "registry"], words].concat();
        (0..3).for_each(|n| _ = trio.sentinel(n).command::<String>(&words));
    };
    set_user(&rules());
    let connect = || {
        let clients = trio.clients_with("registry:password@", "", None);
        RedisRegistry::from_sentinel(SentinelTrio::NAME, clients)
    };
    let registry = connect().await.unwrap();
    sign_in(&registry).await;
    set_user(&["-sentinel|master"]);
    let error = connect().await.unwrap_err();
    assert!(format!("{error:?}").contains("sentinel|master"), "{error:?}");
}
