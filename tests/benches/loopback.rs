//! Requests a second over real HTTP on this machine, with and without session-expire.
//!
//! `cargo bench -p session-expire-tests --bench loopback` starts a site of one worker for each way and
//! lets `wrk` (Debian's package of that name) ask it for a page, signed in, over 16 connections. All
//! ways take turns, round after round, so that a machine that gets slower gets slower for all; the
//! middle of the rounds counts. A ratio compares with the same store without session-expire. Server and `wrk` share the machine: only the ratios mean something.

use std::{
    error::Error,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
    sync::mpsc,
    thread,
};

use actix_identity::{Identity, IdentityMiddleware};
use actix_session::{
    SessionMiddleware,
    config::{PersistentSession, TtlExtensionPolicy},
    storage::{CookieSessionStore, RedisSessionStore, SessionStore},
};
use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse, HttpServer, Responder,
    cookie::Key,
    dev::Server,
    rt::System,
    web::{self, ServiceConfig},
};
use session_expire::{Policy, RedisRegistry, SessionExpire, SqliteRegistry};
use session_expire_tests::RedisServer;
use tempfile::TempDir;

const ROUNDS: usize = 11;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Bare,
    BareRedis,
    Deadlines,
    TtlOnEveryRequest,
    Memory,
    Sqlite,
    Redis,
    RedisCaching,
}

impl Way {
    /// Returns the way that this one is compared with.
    fn base(self) -> Self {
        match self {
            Self::BareRedis | Self::Redis | Self::RedisCaching => Self::BareRedis,
            _ => Self::Bare,
        }
    }
}

const WAYS: [(Way, &str); 8] = [
    (Way::Bare, "without, CookieSessionStore"),
    (Way::Memory, "MemoryRegistry"),
    (Way::Sqlite, "SqliteRegistry"),
    (Way::BareRedis, "without, RedisSessionStore"),
    (Way::Redis, "RedisRegistry"),
    (Way::RedisCaching, "RedisRegistry, caching"),
    (Way::TtlOnEveryRequest, "actix-session's TTL renewed"),
    (Way::Deadlines, "actix-identity's deadlines"),
];

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` only wants to know that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    if Command::new("wrk").arg("-v").output().is_err() {
        return Err("this needs wrk; install it with: apt-get install wrk".into());
    }
    let (folder, redis) = (TempDir::new()?, RedisServer::start());
    let sites = WAYS.map(|(way, _)| start(way, &folder, &redis.url()));
    let mut figures = vec![vec![]; WAYS.len()];
    for _ in 0..ROUNDS {
        for (address, figures) in sites.iter().zip(&mut figures) {
            figures.push(ask(*address)?);
        }
    }
    println!("{:38}{:>14}{:>9}{:>12}", "", "requests/s", "ratio", "p99 ms");
    for ((way, label), rounds) in WAYS.iter().zip(&figures) {
        let base = WAYS.iter().position(|(base, _)| *base == way.base()).unwrap_or(0);
        // Of the same round: the next one may find the machine busier.
        let ratios = rounds.iter().zip(&figures[base]).map(|(one, other)| one.0 / other.0);
        let ratio = middle(ratios.collect());
        let [rate, p99] = [|one: &Figure| one.0, |one: &Figure| one.1]
            .map(|f| middle(rounds.iter().map(f).collect()));
        println!("{label:38}{rate:>14.0}{ratio:>9.2}{p99:>12.2}");
    }
    Ok(())
}

/// Starts a site and leaves it running until the program ends.
fn start(way: Way, folder: &TempDir, redis: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (file, redis) = (folder.path().join("db"), redis.to_owned());
    let (started, is_started) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async {
            let server = serve(way, listener, &file, &redis).await;
            started.send(()).unwrap();
            server.await.unwrap();
        });
    });
    is_started.recv().unwrap();
    address
}

/// Starts the server of one way.
async fn serve(way: Way, listener: TcpListener, file: &Path, redis: &str) -> Server {
    let builder = SessionExpire::builder(Policy::new());
    let expire = match way {
        Way::Bare | Way::Deadlines | Way::TtlOnEveryRequest => {
            return serve_bare(way, listener, CookieSessionStore::default);
        }
        Way::BareRedis => {
            let store = RedisSessionStore::new(redis).await.unwrap();
            return serve_bare(way, listener, move || store.clone());
        }
        Way::Memory => builder,
        Way::Sqlite => builder.registry(SqliteRegistry::open(file).unwrap()),
        Way::Redis => builder.registry(RedisRegistry::connect(redis).await.unwrap()),
        Way::RedisCaching => builder.registry(RedisRegistry::connect_caching(redis).await.unwrap()),
    };
    let expire = expire.build().unwrap();
    HttpServer::new(move || App::new().configure(pages).wrap(expire.clone()))
        .workers(1)
        .listen(listener)
        .unwrap()
        .disable_signals()
        .run()
}

fn serve_bare<S: SessionStore + 'static>(
    way: Way,
    listener: TcpListener,
    store: impl Fn() -> S + Clone + Send + 'static,
) -> Server {
    let site = move || App::new().configure(pages).wrap(identity(way)).wrap(sessions(way, store()));
    HttpServer::new(site).workers(1).listen(listener).unwrap().disable_signals().run()
}

fn pages(config: &mut ServiceConfig) {
    config.route("/login", web::get().to(log_in)).route("/page", web::get().to(page));
}

fn identity(way: Way) -> IdentityMiddleware {
    match way {
        Way::Deadlines => IdentityMiddleware::builder()
            .login_deadline(Policy::new().absolute.at())
            .visit_deadline(Policy::new().idle.at())
            .build(),
        _ => IdentityMiddleware::default(),
    }
}

fn sessions<S: SessionStore>(way: Way, store: S) -> SessionMiddleware<S> {
    let renewal = match way {
        Way::TtlOnEveryRequest => TtlExtensionPolicy::OnEveryRequest,
        _ => TtlExtensionPolicy::OnStateChanges,
    };
    let lifecycle = PersistentSession::default().session_ttl_extension_policy(renewal);
    SessionMiddleware::builder(store, Key::from(&[7; 64]))
        .session_lifecycle(lifecycle)
        .cookie_secure(false)
        .build()
}

async fn log_in(req: HttpRequest) -> actix_web::Result<impl Responder> {
    Identity::login(&req.extensions(), "alice@example.org".to_owned())?;
    Ok(HttpResponse::NoContent())
}

async fn page(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

/// Requests a second, and the milliseconds that one in a hundred exceeds.
type Figure = (f64, f64);

fn ask(address: SocketAddr) -> Result<Figure, Box<dyn Error>> {
    let login = ureq::get(format!("http://{address}/login")).call()?;
    let cookie = login.headers().get("set-cookie").ok_or("signing in set no cookie")?.to_str()?;
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap_or_default());
    let output = Command::new("wrk")
        .args(["-t1", "-c16", "-d1s", "--latency", "-H", &cookie])
        .arg(format!("http://{address}/page"))
        .output()?;
    let report = String::from_utf8(output.stdout)?;
    if report.contains("Non-2xx") {
        return Err(format!("the site refused: {report}").into());
    }
    let after = |words: &str| {
        // The last one: the table above the percentiles may end in "98.99%".
        let (_, rest) = report.rsplit_once(words)?;
        Some(rest.split_whitespace().next()?.to_owned())
    };
    let rate = after("Requests/sec:").ok_or("wrk said no rate")?.parse()?;
    Ok((rate, milliseconds(&after("99%").ok_or("wrk said no p99")?)?))
}

fn milliseconds(text: &str) -> Result<f64, Box<dyn Error>> {
    let unit = text.find(|c: char| c.is_alphabetic()).ok_or("a time without a unit")?;
    let number: f64 = text[..unit].parse()?;
    Ok(match &text[unit..] {
        "us" => number / 1e3,
        "s" => number * 1e3,
        _ => number,
    })
}

fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
