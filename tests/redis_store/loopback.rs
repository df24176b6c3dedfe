//! Requests per second over HTTP on this machine, with and without session-expire.
//!
//! `cargo bench --manifest-path tests/redis_store/Cargo.toml` starts a site with one worker for each
//! variant. `wrk` (Debian package `wrk`) loads a page as a signed-in user over 16 connections. A
//! round measures every variant: a machine that gets slower affects all of them. The table has the
//! median of the rounds. A ratio compares with the same store without session-expire. The server
//! and `wrk` share the machine: only the ratios are meaningful.

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
enum Variant {
    Bare,
    BareRedis,
    Deadlines,
    TtlOnEveryRequest,
    Memory,
    Sqlite,
    Redis,
    RedisCaching,
}

impl Variant {
    /// Returns the variant that this one is compared with.
    fn base(self) -> Self {
        match self {
            Self::BareRedis | Self::Redis | Self::RedisCaching => Self::BareRedis,
            _ => Self::Bare,
        }
    }
}

const VARIANTS: [(Variant, &str); 8] = [
    (Variant::Bare, "without, CookieSessionStore"),
    (Variant::Memory, "MemoryRegistry"),
    (Variant::Sqlite, "SqliteRegistry"),
    (Variant::BareRedis, "without, RedisSessionStore"),
    (Variant::Redis, "RedisRegistry"),
    (Variant::RedisCaching, "RedisRegistry, caching"),
    (Variant::TtlOnEveryRequest, "actix-session's TTL renewed"),
    (Variant::Deadlines, "actix-identity's deadlines"),
];

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` only checks that the program starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    if Command::new("wrk").arg("-v").output().is_err() {
        return Err("wrk was not found; install it with: apt-get install wrk".into());
    }
    let (folder, redis) = (TempDir::new()?, RedisServer::start());
    let sites = VARIANTS.map(|(variant, _)| start(variant, &folder, &redis.url()));
    let mut figures = vec![vec![]; VARIANTS.len()];
    for _ in 0..ROUNDS {
        for (address, figures) in sites.iter().zip(&mut figures) {
            figures.push(measure(*address)?);
        }
    }
    println!("{:38}{:>14}{:>9}{:>12}", "", "requests/s", "ratio", "p99 ms");
    for ((variant, label), rounds) in VARIANTS.iter().zip(&figures) {
        let base = VARIANTS.iter().position(|(base, _)| *base == variant.base()).unwrap_or(0);
        // Ratios of the same round, as the load may change between rounds.
        let ratios = rounds.iter().zip(&figures[base]).map(|(one, other)| one.0 / other.0);
        let ratio = median(ratios.collect());
        let [rate, p99] = [|one: &Figure| one.0, |one: &Figure| one.1]
            .map(|f| median(rounds.iter().map(f).collect()));
        println!("{label:38}{rate:>14.0}{ratio:>9.2}{p99:>12.2}");
    }
    Ok(())
}

/// Starts a site, which runs until the program ends.
fn start(variant: Variant, folder: &TempDir, redis: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (file, redis) = (folder.path().join("db"), redis.to_owned());
    let (started, is_started) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async {
            let server = serve(variant, listener, &file, &redis).await;
            started.send(()).unwrap();
            server.await.unwrap();
        });
    });
    is_started.recv().unwrap();
    address
}

/// Starts the server of a variant.
async fn serve(variant: Variant, listener: TcpListener, file: &Path, redis: &str) -> Server {
    let builder = SessionExpire::builder(Policy::new());
    let expire = match variant {
        Variant::Bare | Variant::Deadlines | Variant::TtlOnEveryRequest => {
            return serve_bare(variant, listener, CookieSessionStore::default);
        }
        Variant::BareRedis => {
            let store = RedisSessionStore::new(redis).await.unwrap();
            return serve_bare(variant, listener, move || store.clone());
        }
        Variant::Memory => builder,
        Variant::Sqlite => builder.registry(SqliteRegistry::open(file).unwrap()),
        Variant::Redis => builder.registry(RedisRegistry::connect(redis).await.unwrap()),
        Variant::RedisCaching => {
            builder.registry(RedisRegistry::connect_caching(redis).await.unwrap())
        }
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
    variant: Variant,
    listener: TcpListener,
    store: impl Fn() -> S + Clone + Send + 'static,
) -> Server {
    let site = move || {
        App::new().configure(pages).wrap(identity(variant)).wrap(sessions(variant, store()))
    };
    HttpServer::new(site).workers(1).listen(listener).unwrap().disable_signals().run()
}

fn pages(config: &mut ServiceConfig) {
    config.route("/login", web::get().to(log_in)).route("/page", web::get().to(page));
}

fn identity(variant: Variant) -> IdentityMiddleware {
    match variant {
        Variant::Deadlines => IdentityMiddleware::builder()
            .login_deadline(Policy::new().absolute.at())
            .visit_deadline(Policy::new().idle.at())
            .build(),
        _ => IdentityMiddleware::default(),
    }
}

fn sessions<S: SessionStore>(variant: Variant, store: S) -> SessionMiddleware<S> {
    let renewal = match variant {
        Variant::TtlOnEveryRequest => TtlExtensionPolicy::OnEveryRequest,
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

/// Requests per second, and the 99th percentile of the latency in milliseconds.
type Figure = (f64, f64);

fn measure(address: SocketAddr) -> Result<Figure, Box<dyn Error>> {
    let login = ureq::get(format!("http://{address}/login")).call()?;
    let cookie = login.headers().get("set-cookie").ok_or("the login set no cookie")?.to_str()?;
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap_or_default());
    let output = Command::new("wrk")
        .args(["-t1", "-c16", "-d1s", "--latency", "-H", &cookie])
        .arg(format!("http://{address}/page"))
        .output()?;
    let report = String::from_utf8(output.stdout)?;
    if report.contains("Non-2xx") {
        return Err(format!("an error response: {report}").into());
    }
    let after = |words: &str| {
        // The last match: the table above the percentiles may end in "98.99%".
        let (_, rest) = report.rsplit_once(words)?;
        Some(rest.split_whitespace().next()?.to_owned())
    };
    let rate = after("Requests/sec:").ok_or("the report of wrk has no rate")?.parse()?;
    Ok((rate, milliseconds(&after("99%").ok_or("the report of wrk has no p99")?)?))
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

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
