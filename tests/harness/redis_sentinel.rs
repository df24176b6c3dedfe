//! Primary, two replicas and three Sentinels that a test starts and fails over.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    Certificates, RedisServer, find_free_port, redis_cluster::wait_until, redis_server::WATCHING,
};
use session_expire::{
    RedisRegistry,
    registry::redis_rs::{
        Client, TlsCertificates, TlsMode,
        sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
    },
};

/// Settings of the Sentinels for the primary.
const PRIMARY: [(&str, &str); 4] = [
    ("down-after-milliseconds", "1000"),
    ("failover-timeout", "5000"),
    ("auth-user", "watch"),
    ("auth-pass", "watching"),
];

/// Periods in milliseconds. By default, Sentinels take seconds to find each other and the replicas.
const PERIODS: [&str; 8] =
    ["info-period", "200", "publish-period", "200", "ask-period", "200", "tilt-period", "1000"];

/// Three servers without persistence, of which one is the primary, and three Sentinels that watch
/// it. Dropping the trio stops all of them.
///
/// The quorum is 2. A server counts as failed after a second. Server 0 is the first primary.
pub struct SentinelTrio {
    servers: Vec<Instance>,
    sentinels: Vec<Instance>,
    access: Access,
    /// Primary before the last fault.
    former: usize,
    /// Set if the last fault was a manual failover.
    is_by_hand: bool,
}

struct Instance {
    server: RedisServer,
    /// Port that clients and other servers use.
    port: u16,
    /// `false` while it is killed or paused.
    responds: bool,
}

/// How clients connect.
struct Access {
    /// User and password of the servers, such as `name:password@`.
    servers: &'static str,
    /// The same for the Sentinels.
    sentinels: &'static str,
    tls: Option<Certificates>,
}

impl SentinelTrio {
    /// Name of the primary.
    pub const NAME: &str = "sessions";

    /// Password of the Sentinels of [`with_passwords`](Self::with_passwords).
    pub const SENTINEL_PASSWORD: &str = "sentinel-password";

    /// Starts servers without passwords.
    #[must_use]
    pub fn start() -> Self {
        Self::with_access(Access { servers: "", sentinels: "", tls: None }, &[])
    }

    /// Starts servers with the user `site` and the password `site-password`, and Sentinels with
    /// another password.
    #[must_use]
    pub fn with_passwords() -> Self {
        Self::with_users(None)
    }

    fn with_users(tls: Option<Certificates>) -> Self {
        let (servers, sentinels) = ("site:site-password@", ":sentinel-password@");
        let site = ["--user", "site", "on", ">site-password", "~*", "&*", "+@all"];
        let options = [&["--requirepass", "password"], &site[..]].concat();
        Self::with_access(Access { servers, sentinels, tls }, &options)
    }

    /// Starts servers and Sentinels with TLS, users and passwords like those of
    /// [`with_passwords`](Self::with_passwords). They require no client certificates.
    #[must_use]
    pub fn with_tls_and_passwords() -> Self {
        Self::with_users(Some(Certificates::new()))
    }

    /// Starts servers and Sentinels with TLS. They require no client certificates.
    #[must_use]
    pub fn with_tls() -> Self {
        let tls = Some(Certificates::new());
        Self::with_access(Access { servers: "", sentinels: "", tls }, &[])
    }

    fn with_access(access: Access, options: &[&str]) -> Self {
        let mut trio =
            Self { servers: vec![], sentinels: vec![], access, former: 0, is_by_hand: false };
        (0..3).for_each(|_| trio.start_server(options));
        (0..3).for_each(|_| trio.start_sentinel());
        trio.wait_until_ok();
        trio
    }

    /// Starts the primary, or a replica.
    fn start_server(&mut self, options: &[&str]) {
        let tls_port = self.access.tls.is_some().then(find_free_port);
        let mut words: Vec<_> =
            [&WATCHING, options].concat().into_iter().map(str::to_owned).collect();
        for (key, value) in self.access.tls_options(tls_port) {
            words.extend([format!("--{key}"), value]);
        }
        if let Some(primary) = self.servers.first() {
            let primary = primary.port.to_string();
            words.extend(["--replicaof", "127.0.0.1", &primary].map(str::to_owned));
        }
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let server = RedisServer::with_user(self.access.servers, &words);
        self.servers.push(Instance::new(server, tls_port));
    }

    fn start_sentinel(&mut self) {
        let (name, port) = (Self::NAME, self.servers[0].port);
        let tls_port = self.access.tls.is_some().then(find_free_port);
        let mut lines = vec![format!("sentinel monitor {name} 127.0.0.1 {port} 2")];
        lines.extend(PRIMARY.map(|(key, value)| format!("sentinel {key} {name} {value}")));
        let options = self.access.tls_options(tls_port);
        lines.extend(options.into_iter().map(|(key, value)| format!("{key} {value}")));
        if !self.access.sentinels.is_empty() {
            lines.push(format!("requirepass {}", Self::SENTINEL_PASSWORD));
        }
        lines.push(String::new());
        let sentinel = RedisServer::sentinel(self.access.sentinels, &lines.join("\n"));
        shorten_periods(&sentinel);
        self.sentinels.push(Instance::new(sentinel, tls_port));
    }

    /// Returns the URLs of the Sentinels, with the user and the password of the servers.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.urls_for(self.access.servers)
    }

    fn urls_for(&self, user: &str) -> Vec<String> {
        let tls = self.access.tls.is_some();
        let (scheme, host) = if tls { ("rediss", "localhost") } else { ("redis", "127.0.0.1") };
        let url = |sentinel: &Instance| format!("{scheme}://{user}{host}:{}/", sentinel.port);
        self.sentinels.iter().map(url).collect()
    }

    /// Returns a client of each Sentinel, with the passwords and the certificates of the Sentinels
    /// and the servers.
    #[must_use]
    pub fn clients(&self) -> Vec<SentinelClient> {
        let certificates = self.certificates().map(Certificates::for_client);
        self.clients_with(self.access.sentinels, self.access.servers, certificates.as_ref())
    }

    /// Returns a client of each Sentinel. The users have the form `name:password@`.
    ///
    /// # Panics
    ///
    /// Panics if a user or the certificates are invalid.
    #[must_use]
    pub fn clients_with(
        &self,
        sentinels: &str,
        servers: &str,
        certificates: Option<&TlsCertificates>,
    ) -> Vec<SentinelClient> {
        let build = |url: &String| {
            let address = Client::open(&**url).unwrap().get_connection_info().addr().clone();
            let kind = SentinelServerType::Master;
            let mut builder = SentinelClientBuilder::new([address], Self::NAME, kind).unwrap();
            if let Some((name, password)) = split_user(servers) {
                builder = builder.set_client_to_redis_username(name);
                builder = builder.set_client_to_redis_password(password);
            }
            if let Some((name, password)) = split_user(sentinels) {
                builder = builder.set_client_to_sentinel_password(password);
                if !name.is_empty() {
                    builder = builder.set_client_to_sentinel_username(name);
                }
            }
            if let Some(certificates) = certificates {
                builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                builder = builder.set_client_to_sentinel_certificates(certificates.clone());
                builder = builder.set_client_to_redis_certificates(certificates.clone());
            }
            builder.build().unwrap()
        };
        self.urls_for("").iter().map(build).collect()
    }

    /// Connects a registry whose timeout allows for a busy machine.
    ///
    /// # Panics
    ///
    /// Panics if it does not connect.
    pub async fn registry(&self) -> RedisRegistry {
        let is_plain = self.access.sentinels.is_empty() && self.access.tls.is_none();
        let registry = match is_plain {
            true => RedisRegistry::sentinel(Self::NAME, self.urls()).await,
            false => RedisRegistry::from_sentinel(Self::NAME, self.clients()).await,
        };
        registry.unwrap().timeout(Duration::from_secs(10))
    }

    /// Returns the certificate of the authority of servers with TLS.
    #[must_use]
    pub fn root_certificate(&self) -> Option<Vec<u8>> {
        self.access.tls.as_ref().map(|tls| tls.authority.pem())
    }

    /// Returns the number of the primary that the Sentinels name.
    ///
    /// # Panics
    ///
    /// Panics if they do not agree within 120 seconds.
    #[must_use]
    pub fn primary(&self) -> usize {
        let mut primary = None;
        wait_until("the Sentinels agree", || {
            primary = self.agreed_primary();
            primary.is_some()
        });
        primary.unwrap()
    }

    /// Returns the primary that all Sentinels name, if there is one.
    fn agreed_primary(&self) -> Option<usize> {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::NAME];
        let sentinels = self.sentinels.iter().filter(|sentinel| sentinel.responds);
        let mut ports =
            sentinels.map(|sentinel| sentinel.server.command::<(String, u16)>(&words).1);
        let port = ports.next()?;
        let is_agreed = ports.all(|other| other == port);
        self.servers.iter().position(|server| is_agreed && server.port == port)
    }

    /// Returns a server.
    #[must_use]
    pub fn server(&self, n: usize) -> &RedisServer {
        &self.servers[n].server
    }

    /// Kills the primary. Returns its number.
    pub fn kill_primary(&mut self) -> usize {
        self.former = self.primary();
        self.is_by_hand = false;
        self.servers[self.former].stop();
        self.former
    }

    /// Starts a killed server again. It is empty, and becomes a replica if another server has
    /// become the primary.
    pub fn restart(&mut self, n: usize) {
        self.servers[n].server.restart();
        self.servers[n].responds = true;
    }

    /// Pauses the primary. Returns its number.
    pub fn pause_primary(&mut self) -> usize {
        self.former = self.primary();
        self.is_by_hand = false;
        self.servers[self.former].server.signal("STOP");
        self.servers[self.former].responds = false;
        self.former
    }

    /// Resumes a paused server.
    pub fn resume(&mut self, n: usize) {
        self.servers[n].server.signal("CONT");
        self.servers[n].responds = true;
    }

    /// Cuts off the primary from the Sentinels and the replicas. Clients still reach it. Returns
    /// its number.
    ///
    /// # Panics
    ///
    /// Panics if the servers have no passwords: they accept connections without a user.
    pub fn isolate_primary(&mut self) -> usize {
        assert!(!self.access.servers.is_empty(), "start the servers with passwords");
        self.former = self.primary();
        self.is_by_hand = false;
        let server = self.server(self.former);
        let _: String = server.command(&["ACL", "SETUSER", "watch", "off"]);
        let _: u64 = server.command(&["CLIENT", "KILL", "USER", "watch"]);
        self.former
    }

    /// Ends the isolation of a server. The Sentinels make it a replica.
    pub fn reconnect(&self, n: usize) {
        let _: String = self.server(n).command(&["ACL", "SETUSER", "watch", "on"]);
    }

    /// Starts a manual failover while the primary works.
    pub fn fail_over(&mut self) {
        self.former = self.primary();
        self.is_by_hand = true;
        wait_until("a replica is suitable", || self.request_failover());
    }

    /// Returns `true` if a Sentinel starts a failover.
    fn request_failover(&self) -> bool {
        let words = ["SENTINEL", "FAILOVER", Self::NAME];
        let mut sentinels = self.sentinels.iter().filter(|sentinel| sentinel.responds);
        sentinels.next().unwrap().server.try_command::<String>(&words).is_ok()
    }

    /// Waits until the Sentinels name a primary other than the one before the last fault. Returns
    /// the number of the new primary.
    ///
    /// # Panics
    ///
    /// Panics after 120 seconds.
    pub fn wait_for_failover(&self) -> usize {
        let (mut primary, mut requested) = (None, Instant::now());
        wait_until("a replica takes over", || {
            // Sentinels do not repeat an aborted manual failover.
            let is_late = self.is_by_hand && requested.elapsed() > Duration::from_secs(20);
            if is_late && self.agreed_primary() == Some(self.former) {
                self.request_failover();
                requested = Instant::now();
            }
            primary = self.agreed_primary().filter(|primary| *primary != self.former);
            primary.is_some_and(|primary| self.servers[primary].is_primary())
        });
        primary.unwrap()
    }

    /// Waits until all servers that respond are linked to the primary, and all Sentinels that
    /// respond know them and each other.
    ///
    /// # Panics
    ///
    /// Panics after 120 seconds.
    pub fn wait_until_ok(&self) {
        wait_until("the servers are complete", || {
            let replicas = self.servers.iter().filter(|server| server.responds).count() - 1;
            let others = self.sentinels.iter().filter(|sentinel| sentinel.responds).count() - 1;
            let mut sentinels = self.sentinels.iter().filter(|sentinel| sentinel.responds);
            sentinels.all(|sentinel| sentinel.knows(replicas, others))
                && self.agreed_primary().is_some_and(|n| self.servers[n].has_replicas(replicas))
        });
    }

    /// Kills a Sentinel.
    pub fn stop_sentinel(&mut self, n: usize) {
        self.sentinels[n].stop();
    }

    /// Returns a Sentinel.
    #[must_use]
    pub fn sentinel(&self, n: usize) -> &RedisServer {
        &self.sentinels[n].server
    }

    /// Returns the certificates of servers with TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.access.tls.as_ref()
    }

    /// Pauses a Sentinel.
    pub fn pause_sentinel(&mut self, n: usize) {
        self.sentinels[n].server.signal("STOP");
        self.sentinels[n].responds = false;
    }

    /// Resumes a paused Sentinel.
    pub fn resume_sentinel(&mut self, n: usize) {
        self.sentinels[n].server.signal("CONT");
        self.sentinels[n].responds = true;
    }

    /// Starts a killed Sentinel again.
    pub fn restart_sentinel(&mut self, n: usize) {
        self.sentinels[n].server.restart();
        shorten_periods(&self.sentinels[n].server);
        self.sentinels[n].responds = true;
    }
}

impl Instance {
    fn new(server: RedisServer, tls_port: Option<u16>) -> Self {
        let port = tls_port.unwrap_or(server.port);
        Self { server, port, responds: true }
    }

    fn stop(&mut self) {
        self.server.stop();
        self.responds = false;
    }

    fn is_primary(&self) -> bool {
        self.server.command::<String>(&["INFO", "replication"]).contains("role:master")
    }

    /// Returns `true` for a primary with this number of replicas that receive new changes.
    fn has_replicas(&self, replicas: usize) -> bool {
        let info: String = self.server.command(&["INFO", "replication"]);
        info.contains("role:master") && info.matches("state=online").count() == replicas
    }

    /// Returns `true` for a Sentinel that reaches this number of replicas and of other Sentinels.
    fn knows(&self, replicas: usize, others: usize) -> bool {
        let count = |kind: &str| {
            let words = ["SENTINEL", kind, SentinelTrio::NAME];
            let instances: Vec<HashMap<String, String>> = self.server.command(&words);
            let is_faulty =
                |flags: &String| flags.contains("down") || flags.contains("disconnected");
            instances.iter().filter(|instance| !is_faulty(&instance["flags"])).count()
        };
        count("REPLICAS") == replicas && count("SENTINELS") == others
    }
}

impl Access {
    fn tls_options(&self, port: Option<u16>) -> Vec<(&'static str, String)> {
        let (Some(tls), Some(port)) = (&self.tls, port) else { return vec![] };
        let files = tls.options().into_iter();
        let others = [
            ("tls-port", port.to_string()),
            ("tls-auth-clients", "no".to_owned()),
            ("tls-replication", "yes".to_owned()),
        ];
        files.chain(others).collect()
    }
}

/// Returns the name and the password in `name:password@`.
fn split_user(user: &str) -> Option<(&str, &str)> {
    user.strip_suffix('@')?.split_once(':')
}

fn shorten_periods(sentinel: &RedisServer) {
    let _: redis::Value = sentinel.command(&[&["SENTINEL", "DEBUG"], &PERIODS[..]].concat());
}
