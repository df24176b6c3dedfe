//! Responses that are lost just before a slot moves or its primary fails, and requests that a
//! failover interrupts.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use session_expire::{
    Policy, RedisRegistry,
    registry::{
        EndSessions, EndTarget, KeyRotation, NewLogin, Query, Registry, RotationOutcome,
        SessionUpdate,
    },
};
use session_expire_tests::RedisCluster;

use crate::{NOON, committed, hash_key, login, revoked, session};

type Hook = Box<dyn FnOnce() + Send>;

/// Fault at the next response to a registry.
enum Fault {
    /// Loses the response, calls the function, and then closes the connection.
    Loss(Hook),
    /// Interrupts `WAIT`, as a primary does that becomes a replica. Closes the connection, which the
    /// registry notices at its next request.
    Interruption,
}

impl Fault {
    fn fits(&self, response: &[u8]) -> bool {
        matches!(self, Self::Loss(_)) || response.ends_with(ACKNOWLEDGED)
    }
}

/// Response to `WAIT`.
const ACKNOWLEDGED: &[u8] = b":1\r\n";

const INTERRUPTED: &[u8] = b"-UNBLOCKED force unblock from blocking operation\r\n";

/// Proxy in front of a node.
#[derive(Clone, Default)]
struct Proxy(Arc<Mutex<Option<Fault>>>);

impl Proxy {
    /// Starts a proxy, and announces it as the address of the node.
    fn start(cluster: &RedisCluster, node: usize) -> Self {
        let (proxy, target) = (Self::default(), cluster.port_of(node));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let this = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                this.forward(client, server);
            }
        });
        let words = ["CONFIG", "SET", "cluster-announce-port", &port];
        cluster.command_on::<String>(node, &words);
        proxy
    }

    fn fail(&self, fault: Fault) {
        *self.0.lock().unwrap() = Some(fault);
    }

    /// Loses the next response, calls `hook`, and then closes the connection.
    fn lose_response(&self, hook: impl FnOnce() + Send + 'static) {
        self.fail(Fault::Loss(Box::new(hook)));
    }

    fn has_failed(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }

    fn take_fault(&self, response: &[u8]) -> Option<Fault> {
        self.0.lock().unwrap().take_if(|fault| fault.fits(response))
    }

    fn forward(&self, client: TcpStream, server: TcpStream) {
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (is_script, is_closed) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let (sends_script, refuses) = (Arc::clone(&is_script), Arc::clone(&is_closed));
        let this = self.clone();
        // Connections of replicas, and those that ask for the owners of slots, send no scripts.
        thread::spawn(move || {
            copy(from, to, |data| {
                let sends = data.windows(4).any(|word| word == b"EVAL");
                sends_script.fetch_or(sends, Ordering::SeqCst);
                !refuses.load(Ordering::SeqCst)
            })
        });
        thread::spawn(move || {
            copy(server, client, |data| {
                let fault = is_script.load(Ordering::SeqCst).then(|| this.take_fault(data));
                match fault.flatten() {
                    Some(Fault::Loss(hook)) => {
                        hook();
                        return false;
                    }
                    Some(Fault::Interruption) => {
                        data.truncate(data.len() - ACKNOWLEDGED.len());
                        data.extend_from_slice(INTERRUPTED);
                        is_closed.store(true, Ordering::SeqCst);
                    }
                    None => {}
                }
                true
            })
        });
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(&mut Vec<u8>) -> bool) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let mut data = buffer[..read].to_vec();
        if !passes(&mut data) || to.write_all(&data).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// A Cluster behind proxies, and a registry that has loaded its scripts.
struct Proxied {
    cluster: Arc<Mutex<RedisCluster>>,
    proxies: Vec<Proxy>,
    registry: RedisRegistry,
    slot: u16,
}

const USER: &str = "alice";

impl Proxied {
    async fn start(cluster: RedisCluster) -> Self {
        let proxies = (0..3).map(|n| Proxy::start(&cluster, n)).collect();
        let view = |n| cluster.command_on::<String>(n, &["CLUSTER", "NODES"]);
        let former = [0, 1, 2].map(|n| format!(":{}@", cluster.port_of(n)));
        // The nodes learn the new addresses from messages.
        for n in 0..cluster.urls().len() {
            while former.iter().any(|port| view(n).contains(port)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        cluster.wait_until_ok();
        let registry = cluster.registry().await;
        let slot = cluster.slot_of(&hash_key(USER));
        Self { cluster: Arc::new(Mutex::new(cluster)), proxies, registry, slot }
    }

    fn owner(&self) -> usize {
        self.cluster.lock().unwrap().owner_of(self.slot)
    }

    /// Loses the next response of the owner of the slot, and then moves the slot.
    fn lose_response_and_move(&self) -> &Proxy {
        let (cluster, slot, owner) = (Arc::clone(&self.cluster), self.slot, self.owner());
        let proxy = &self.proxies[owner];
        proxy.lose_response(move || {
            cluster.lock().unwrap().move_slots(slot..=slot, owner, (owner + 1) % 3);
        });
        proxy
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_exact_if_the_slot_moves_after_a_lost_response() {
    let site = Proxied::start(RedisCluster::without_replicas(&[])).await;
    let (registry, one) = (&site.registry, Policy::new().max_sessions(1));
    let first = login(USER, &one);
    committed(registry.commit(first.clone()).await.unwrap());

    let proxy = site.lose_response_and_move();
    let mut second = login(USER, &one);
    let (_, evicted) = committed(registry.commit(second.clone()).await.unwrap());
    assert_eq!(evicted.iter().map(|record| record.id).collect::<Vec<_>>(), [first.id]);
    assert!(proxy.has_failed());

    let proxy = site.lose_response_and_move();
    let update = SessionUpdate::new(NOON).active(NOON);
    let rotation = KeyRotation::new(session(&second), second.key(), update);
    second = second.with_key(rotation.new_key());
    assert_eq!(registry.rotate(rotation).await.unwrap(), RotationOutcome::Rotated);
    assert!(proxy.has_failed());
    let listed = registry.list(Query::open(USER)).await.unwrap();
    assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), [second.id]);

    let proxy = site.lose_response_and_move();
    let target = EndTarget::Session(session(&second));
    let ended = registry.end(EndSessions::new(target, revoked())).await.unwrap();
    assert_eq!((ended.len(), proxy.has_failed()), (1, true));
}

/// The repeated login is exact, whether the replica has the change or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcome_is_exact_if_the_primary_fails_after_a_lost_response() {
    for replicas in [0, 1] {
        let mut attempts = 1;
        // On a busy machine, the replica may replace the primary before it loses a response.
        while !log_in_with_lost_response_and_failover(replicas).await {
            assert!(attempts < 5, "no response was lost");
            attempts += 1;
        }
    }
}

/// Returns `false` if the primary lost no response.
async fn log_in_with_lost_response_and_failover(replicas: u32) -> bool {
    let cluster = RedisCluster::with_options(&["--cluster-node-timeout", "2000"]);
    let site = Proxied::start(cluster).await;
    let one = Policy::new().max_sessions(1);
    let first = login(USER, &one);
    let registry = site.registry.timeout(Duration::from_secs(30)).wait_for_replicas(1);
    committed(registry.commit(first.clone()).await.unwrap());
    let registry = registry.wait_for_replicas(replicas);
    let owner = site.cluster.lock().unwrap().owner_of(site.slot);
    let cluster = Arc::clone(&site.cluster);
    site.proxies[owner].lose_response(move || {
        let mut cluster = cluster.lock().unwrap();
        cluster.kill(owner);
        cluster.wait_for_failover_of(owner);
        cluster.restart(owner);
    });
    let second = login(USER, &one);
    let (_, evicted) = committed(registry.commit(second.clone()).await.unwrap());
    assert_eq!(evicted.iter().map(|record| record.id).collect::<Vec<_>>(), [first.id]);
    let listed = registry.list(Query::open(USER)).await.unwrap();
    assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), [second.id]);
    site.proxies[owner].has_failed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_request_is_repeated_over_a_new_connection() {
    let site = Proxied::start(RedisCluster::start()).await;
    let registry = site.registry.wait_for_replicas(1);
    let end = async |login: &NewLogin| {
        let target = EndTarget::Session(session(login));
        registry.end(EndSessions::new(target, revoked())).await.unwrap().len()
    };
    let logins = [(); 2].map(|()| login(USER, &Policy::new()));
    for login in &logins {
        committed(registry.commit(login.clone()).await.unwrap());
    }
    assert_eq!(end(&logins[0]).await, 1); // loads the script
    let proxy = &site.proxies[site.cluster.lock().unwrap().owner_of(site.slot)];
    proxy.fail(Fault::Interruption);
    assert_eq!((end(&logins[1]).await, proxy.has_failed()), (1, true));
}
