//! Slots without a node: a primary and its replica are down.

use std::{error::Error, time::Duration};

use session_expire::{
    Policy, RedisRegistry,
    error::RegistryError,
    registry::{EndSessions, EndTarget, NewLogin, Query, Registry},
};
use session_expire_tests::RedisCluster;

use crate::{committed, hash_key, login, revoked, session};

/// Options of nodes that keep their data through a restart.
const OPTIONS: [&str; 4] = ["--cluster-node-timeout", "2000", "--appendonly", "yes"];

/// Signs in a user of each primary.
async fn sign_in(cluster: &RedisCluster, registry: &RedisRegistry) -> Vec<NewLogin> {
    let mut logins = vec![];
    for primary in 0..3 {
        let is_owned =
            |user: &String| cluster.owner_of(cluster.slot_of(&hash_key(user))) == primary;
        let user = (0..).map(|n| format!("user {n}")).find(is_owned).unwrap();
        let login = login(&user, &Policy::new());
        committed(registry.commit(login.clone()).await.unwrap());
        logins.push(login);
    }
    logins
}

async fn is_open(registry: &RedisRegistry, login: &NewLogin) -> Result<bool, RegistryError> {
    let loaded = registry.load(login.key(), false).await?;
    Ok(loaded.is_some_and(|loaded| loaded.record.ended.is_none()))
}

fn source(error: &RegistryError) -> String {
    error.source().unwrap().to_string()
}

/// Kills the first primary and its replica, and waits until the other nodes know it.
fn kill_first_shard(cluster: &mut RedisCluster) {
    cluster.kill(3);
    cluster.kill(0);
    while !cluster.command_on::<String>(1, &["CLUSTER", "INFO"]).contains("slots_fail:5461") {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn restart_first_shard(cluster: &mut RedisCluster) {
    cluster.restart(0);
    cluster.restart(3);
    cluster.wait_until_ok();
}

#[tokio::test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
async fn other_shards_work_while_one_is_down() {
    let options = [&OPTIONS[..], &["--cluster-require-full-coverage", "no"]].concat();
    let mut cluster = RedisCluster::with_options(&options);
    let registry = cluster.registry().await;
    let impatient = cluster.registry().await.timeout(Duration::from_secs(1));
    let logins = sign_in(&cluster, &registry).await;
    kill_first_shard(&mut cluster);
    let down = logins[0].clone();
    let errors = [
        impatient.load(down.key(), false).await.unwrap_err(),
        impatient.commit(login(&down.user, &Policy::new())).await.unwrap_err(),
        impatient.list(Query::open(&*down.user)).await.unwrap_err(),
    ];
    errors.iter().for_each(|error| println!("{error}: {}", source(error)));
    for known in &logins[1..] {
        assert!(is_open(&registry, known).await.unwrap());
        committed(registry.commit(login(&known.user, &Policy::new())).await.unwrap());
        let target = EndTarget::Session(session(known));
        let ended = registry.end(EndSessions::new(target, revoked())).await.unwrap();
        assert_eq!(ended.len(), 1);
    }
    restart_first_shard(&mut cluster);
    for registry in [&registry, &impatient] {
        assert!(is_open(registry, &down).await.unwrap());
        committed(registry.commit(login(&down.user, &Policy::new())).await.unwrap());
    }
    for error in errors {
        assert!(source(&error).contains("no primary"), "{error:?}");
    }
}

#[tokio::test]
async fn incomplete_cluster_is_named_and_recovers() {
    let mut cluster = RedisCluster::with_options(&OPTIONS);
    let registry = cluster.registry().await;
    let impatient = cluster.registry().await.timeout(Duration::from_secs(1));
    let logins = sign_in(&cluster, &registry).await;
    kill_first_shard(&mut cluster);
    let error = impatient.load(logins[1].key(), false).await.unwrap_err();
    println!("{error}: {}", source(&error));
    let (loaded, ()) = tokio::join!(is_open(&registry, &logins[1]), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        restart_first_shard(&mut cluster);
    });
    assert!(loaded.unwrap());
    for login in &logins {
        assert!(is_open(&impatient, login).await.unwrap());
    }
    assert!(source(&error).contains("no primary"), "{error:?}");
}
