//! Example site on a Redis Cluster and behind Sentinels, and URLs that it refuses.

use std::{
    path::PathBuf,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use actix_web::{cookie::Key, rt::System};
use example_site::{RegistryKind, Settings, Site};
use session_expire_tests::{
    Authority, Browser, Certificates, RedisCluster, RedisServer, SentinelTrio, StreamClient,
    TestResponse, find_free_port,
};

/// Where and how a site connects.
#[derive(Clone, Default)]
struct Servers {
    url: String,
    ca: Option<PathBuf>,
    sentinel_password: Option<&'static str>,
}

impl Servers {
    fn settings(&self) -> Settings {
        Settings {
            registry: RegistryKind::Redis(self.url.clone()),
            redis_ca: self.ca.clone(),
            redis_sentinel_password: self.sentinel_password.map(|word| word.parse().unwrap()),
            ..Settings::default()
        }
    }
}

/// Starts a site. Returns its address, or the error that ends the start.
pub fn start(settings: Settings) -> Result<String, String> {
    let (sender, started) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async {
            match Site::start(settings).await {
                Ok(site) => {
                    sender.send(Ok(format!("http://{}", site.address))).unwrap();
                    site.server.await.unwrap();
                }
                Err(error) => sender.send(Err(error.to_string())).unwrap(),
            }
        });
    });
    started.recv().unwrap()
}

/// Returns the URL of several servers, such as `redis+cluster://user@host:port,host:port`.
fn join(kind: &str, urls: &[String], path: &str) -> String {
    let parts = urls.iter().map(|url| url.trim_end_matches('/').rsplit_once(['@', '/']).unwrap());
    let (users, addresses): (Vec<_>, Vec<_>) = parts.unzip();
    let (scheme, user) = users[0].split_once(":/").unwrap();
    let user = match user.trim_start_matches('/') {
        "" => String::new(),
        user => format!("{user}@"),
    };
    format!("{scheme}+{kind}://{user}{}{path}", addresses.join(","))
}

/// Repeats a request while the response is 503. On a busy machine, an operation may take longer
/// than the timeout of the site.
fn when_available(send: impl Fn() -> TestResponse) -> TestResponse {
    let start = Instant::now();
    loop {
        let response = send();
        if response.status != 503 {
            return response;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "still 503");
    }
}

/// Uses two processes of the site: a sign-out at one ends the session and its stream at the other.
fn assert_is_one_site(servers: &Servers, user: &str) {
    let key = Key::generate();
    let site = || start(Settings { key: key.clone(), ..servers.settings() }).unwrap();
    let [laptop, phone] = [site(), site()].map(Browser::new);
    for browser in [&laptop, &phone] {
        let form = format!("username={user}&password={user}");
        let login = when_available(|| browser.post("/login", &form));
        assert_eq!(login.redirect(), (303, "/dashboard"));
    }
    let devices = when_available(|| phone.get("/devices")).body;
    // A login whose response was lost has its own session.
    assert!(devices.matches(" data-session=").count() >= 2, "{devices}");
    let mut stream = StreamClient::open(&laptop, "/session/events", "");
    while stream.next_event().unwrap()["state"] != "active" {}
    let end = when_available(|| phone.post("/devices/end-others", ""));
    assert_eq!(end.status, 303);
    while stream.next_event().unwrap()["state"] == "active" {}
    let user = |browser: Browser| when_available(|| browser.fetch("/api/me")).status;
    assert_eq!([laptop, phone].map(user), [401, 200]);
}

#[test]
fn site_works_behind_sentinels() {
    let trio = SentinelTrio::with_tls_and_passwords();
    let url = join("sentinel", &trio.urls(), &format!("/{}/2", SentinelTrio::NAME));
    let ca = trio.certificates().map(Certificates::ca_file);
    let sentinel_password = Some(SentinelTrio::SENTINEL_PASSWORD);
    assert_is_one_site(&Servers { url, ca, sentinel_password }, "alice");
    let trio = SentinelTrio::start();
    let url = join("sentinel", &trio.urls(), &format!("/{}", SentinelTrio::NAME));
    assert_is_one_site(&Servers { url, ..Servers::default() }, "bob");
}

#[test]
fn site_works_on_a_cluster() {
    let certificates = Certificates::new();
    let site = ["--user", "site", "on", ">s3cret", "~*", "&*", "+@all"];
    let cluster = RedisCluster::with_tls(&certificates, &site);
    let url = join("cluster", &cluster.tls_urls("site:s3cret@"), "");
    let ca = Some(certificates.ca_file());
    assert_is_one_site(&Servers { url, ca, sentinel_password: None }, "alice");
    let url = join("cluster", &cluster.urls(), "/");
    assert_is_one_site(&Servers { url, ..Servers::default() }, "bob");
}

#[test]
fn mistake_in_a_url_ends_the_start_with_words() {
    let server = RedisServer::start();
    let free = find_free_port();
    let plain = format!("127.0.0.1:{}", server.port);
    for (url, words) in [
        (format!("redis+cluster://{plain}"), "is not in cluster mode"),
        (format!("redis+cluster://{plain}/1"), "only database 0"),
        ("redis+cluster://".to_owned(), "lacks an address"),
        ("redis+cluster://u:s3cret@a,,b".to_owned(), "lacks an address"),
        ("redis+cluster://u:s3cret@a:x".to_owned(), "invalid Redis URL"),
        (format!("redis+sentinel://{plain}/sessions"), "is not a Sentinel"),
        (format!("redis+sentinel://u:s3cret@{plain}"), "the name of the primary"),
        (format!("redis+sentinel://u:s3cret@{plain}/"), "the name of the primary"),
        (format!("redis+sentinel://{plain}/sessions/x"), "invalid Redis URL"),
        (format!("redis+sentinel://u:s3cret@127.0.0.1:{free}/sessions"), "no Sentinel responds"),
        ("redis+sentinels://u:s3cret@a/b".to_owned(), "invalid Redis URL"),
    ] {
        assert_refused(&Servers { url, ..Servers::default() }, words);
    }
}

#[test]
fn refused_sentinels_and_servers_end_the_start_with_words() {
    let trio = SentinelTrio::with_tls_and_passwords();
    let (urls, name) = (trio.urls(), SentinelTrio::NAME);
    let wrong: Vec<_> = urls.iter().map(|url| url.replace("site-password", "s3cret")).collect();
    let right = Servers {
        url: join("sentinel", &urls, &format!("/{name}")),
        ca: trio.certificates().map(Certificates::ca_file),
        sentinel_password: Some(SentinelTrio::SENTINEL_PASSWORD),
    };
    let directory = tempfile::TempDir::new().unwrap();
    let other = directory.path().join("other.pem");
    std::fs::write(&other, Authority::new().pem()).unwrap();
    for (servers, words) in [
        (Servers { url: join("sentinel", &urls, "/other"), ..right.clone() }, "of this name"),
        (Servers { sentinel_password: Some("s3cret"), ..right.clone() }, "check their password"),
        (Servers { sentinel_password: None, ..right.clone() }, "NOAUTH"),
        (Servers { url: join("sentinel", &wrong, "/sessions"), ..right.clone() }, "the password"),
        (Servers { ca: Some(other), ..right.clone() }, "invalid peer certificate"),
        (Servers { ca: None, ..right.clone() }, "invalid peer certificate"),
        (Servers { ca: Some("missing.pem".into()), ..right.clone() }, "the certificates in"),
        (Servers { url: right.url.replace("rediss", "redis"), ..right }, "the certificates in"),
    ] {
        assert_refused(&servers, words);
    }
}

fn assert_refused(servers: &Servers, words: &str) {
    let error = start(servers.settings()).unwrap_err();
    assert!(error.contains(words), "{}: {error}", servers.url);
    assert!(error.contains("(flag --"), "{error}");
    for secret in ["s3cret", "site-password", SentinelTrio::SENTINEL_PASSWORD] {
        assert!(!error.contains(secret), "{error}");
    }
}
