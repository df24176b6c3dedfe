//! Variants of the site, and their expected responses.

use std::{
    fmt::{self, Debug},
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_identity::IdentityMiddleware;
use actix_web::http::{StatusCode, header};
use session_expire::{
    Policy, RedisRegistry, SessionExpire, SqliteRegistry, clock::ManualClock, hours,
};
use session_expire_tests::RedisServer;

use crate::{
    Outcome,
    site::{self, PageRequest, Response, Site, USER, WELCOME},
};

/// Logins of each variant. The cost of decoding differs between random cookies by some percent; the
/// average of so many does not.
pub(crate) const LOGINS: u16 = 2_048;

/// A variant of the site and of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Bare,
    BareWithSix,
    With,
    WithSix,
    WithSixSealed,
    WithSqlite,
    WithRedis,
    WithCachingRedis,
    OneLayer,
    TwoLayers,
    Deadlines,
    TtlOnEveryRequest,
    ExpiredAtPublicPage,
    ExpiredAtPage,
    AnonymousBare,
    AnonymousWith,
}

impl Variant {
    pub(crate) const ALL: [Self; 16] = [
        Self::Bare,
        Self::BareWithSix,
        Self::With,
        Self::WithSix,
        Self::WithSixSealed,
        Self::WithSqlite,
        Self::WithRedis,
        Self::WithCachingRedis,
        Self::OneLayer,
        Self::TwoLayers,
        Self::Deadlines,
        Self::TtlOnEveryRequest,
        Self::ExpiredAtPublicPage,
        Self::ExpiredAtPage,
        Self::AnonymousBare,
        Self::AnonymousWith,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Bare => "signed in, without session-expire",
            Self::BareWithSix => "  + six entries of 100 bytes",
            Self::With => "signed in, with session-expire",
            Self::WithSix => "  + six entries of 100 bytes",
            Self::WithSixSealed => "  + six entries, encrypted at rest",
            Self::WithSqlite => "  + an SQLite file",
            Self::WithRedis => "  + a Redis server",
            Self::WithCachingRedis => "  + a Redis server, caching",
            Self::OneLayer => "  + one policy layer",
            Self::TwoLayers => "  + two policy layers",
            Self::Deadlines => "signed in, actix-identity's deadlines",
            Self::TtlOnEveryRequest => "signed in, actix-session's TTL renewed",
            Self::ExpiredAtPublicPage => "expired, at a public page",
            Self::ExpiredAtPage => "expired, sent to the login page",
            Self::AnonymousBare => "anonymous, without session-expire",
            Self::AnonymousWith => "anonymous, with session-expire",
        }
    }

    /// Returns `true` if all work is done by this process, which valgrind can count.
    pub(crate) fn is_counted(self) -> bool {
        !matches!(self, Self::WithRedis | Self::WithCachingRedis)
    }

    /// Returns the variant that this one is compared with.
    pub(crate) fn base(self) -> Self {
        match self {
            Self::AnonymousBare | Self::AnonymousWith => Self::AnonymousBare,
            Self::BareWithSix | Self::WithSix | Self::WithSixSealed => Self::BareWithSix,
            _ => Self::Bare,
        }
    }

    /// Starts the site, signs in, and checks the responses.
    pub(crate) async fn open(self) -> Outcome<Visits> {
        let clock = ManualClock::default();
        let site = self.start(&clock).await?;
        let page_requests = self.page_requests(site.as_ref()).await?;
        if matches!(self, Self::ExpiredAtPublicPage | Self::ExpiredAtPage) {
            clock.advance(hours(1));
        }
        // The first request ends an expired session, the second finds it ended.
        for page_request in page_requests.iter().chain(&page_requests) {
            self.check(&site.send(page_request).await?)?;
        }
        Ok(Visits { site, page_requests })
    }

    async fn start(self, clock: &ManualClock) -> Outcome<Box<dyn Site>> {
        // Without a limit a user has at most 1,000 sessions, and this one has more.
        let policy = Policy::default().max_sessions(u32::from(LOGINS) + 1);
        let expire = SessionExpire::builder(policy);
        Ok(match self {
            Self::Bare | Self::BareWithSix | Self::AnonymousBare => {
                site::start_bare(IdentityMiddleware::default()).await
            }
            Self::Deadlines => site::start_bare(with_deadlines()).await,
            Self::TtlOnEveryRequest => site::start_renewing().await,
            Self::WithSqlite => {
                // Kept, because the folder must outlive the registry.
                let file = tempfile::TempDir::new()?.keep().join("db");
                let registry = SqliteRegistry::open(file)?;
                site::start_with(expire.registry(registry).build()?, 0).await
            }
            Self::WithRedis => {
                let registry = RedisRegistry::connect(&redis()).await?;
                site::start_with(expire.registry(registry).build()?, 0).await
            }
            Self::WithCachingRedis => {
                let registry = RedisRegistry::connect_caching(&redis()).await?;
                site::start_with(expire.registry(registry).build()?, 0).await
            }
            Self::With | Self::WithSix | Self::AnonymousWith => {
                site::start_with(expire.build()?, 0).await
            }
            Self::WithSixSealed => site::start_with(expire.seal_data(true).build()?, 0).await,
            Self::OneLayer => site::start_with(expire.build()?, 1).await,
            Self::TwoLayers => site::start_with(expire.build()?, 2).await,
            Self::ExpiredAtPublicPage | Self::ExpiredAtPage => {
                site::start_with(expire.clock(clock.clone()).build()?, 0).await
            }
        })
    }

    /// Returns one request per login.
    async fn page_requests(self, site: &dyn Site) -> Outcome<Vec<PageRequest>> {
        let (login, page) = match self {
            Self::AnonymousBare | Self::AnonymousWith => {
                return Ok(vec![PageRequest { page: "/welcome", cookie: None }]);
            }
            Self::BareWithSix | Self::WithSix | Self::WithSixSealed => ("/login-with-six", "/page"),
            Self::ExpiredAtPublicPage => ("/login", "/welcome"),
            _ => ("/login", "/page"),
        };
        let mut page_requests = Vec::new();
        for _ in 0..LOGINS {
            let response = site.send(&PageRequest { page: login, cookie: None }).await?;
            let cookie = cookie(&response).ok_or_else(|| {
                format!("{self}: the login set no cookie: {} {}", response.status, response.body)
            })?;
            page_requests.push(PageRequest { page, cookie: Some(cookie) });
        }
        Ok(page_requests)
    }

    fn check(self, response: &Response) -> Outcome<()> {
        let (status, body, sets_cookie) = match self {
            Self::Deadlines | Self::TtlOnEveryRequest => (StatusCode::OK, USER, true),
            Self::ExpiredAtPublicPage => (StatusCode::OK, WELCOME, false),
            Self::ExpiredAtPage => (StatusCode::SEE_OTHER, "", false),
            Self::AnonymousBare | Self::AnonymousWith => (StatusCode::OK, WELCOME, false),
            _ => (StatusCode::OK, USER, false),
        };
        self.expect("status", response.status, status)?;
        self.expect("body", response.body.as_str(), body)?;
        self.expect("a new cookie", cookie(response).is_some(), sets_cookie)?;
        // Only session-expire sets this header.
        let forbids_caching = response.headers.get(header::CACHE_CONTROL).is_some();
        self.expect("Cache-Control", forbids_caching, self.loads_session())
    }

    /// Returns `true` if session-expire loads a session.
    fn loads_session(self) -> bool {
        use Variant::{
            ExpiredAtPage, ExpiredAtPublicPage, OneLayer, TwoLayers, With, WithCachingRedis,
            WithRedis, WithSix, WithSixSealed, WithSqlite,
        };
        let active = [
            With,
            WithSix,
            WithSixSealed,
            WithSqlite,
            WithRedis,
            WithCachingRedis,
            OneLayer,
            TwoLayers,
        ];
        active.contains(&self) || matches!(self, ExpiredAtPublicPage | ExpiredAtPage)
    }

    fn expect<T: Copy + PartialEq + Debug>(self, what: &str, found: T, expected: T) -> Outcome<()> {
        if found == expected {
            return Ok(());
        }
        Err(format!("{self}: {what} is {found:?}, expected {expected:?}").into())
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(self, f)
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|variant| variant.to_string() == name)
            .ok_or_else(|| format!("unknown variant {name:?}"))
    }
}

/// A running site and the requests that are repeated.
pub(crate) struct Visits {
    site: Box<dyn Site>,
    page_requests: Vec<PageRequest>,
}

impl Visits {
    /// Sends the requests. Returns how long the responses took.
    pub(crate) async fn replay(&self, times: usize) -> Outcome<Duration> {
        self.site.replay(&self.page_requests, times).await
    }
}

/// Starts all variants.
pub(crate) async fn open_all() -> Outcome<Vec<Visits>> {
    let mut visits = Vec::new();
    for variant in Variant::ALL {
        visits.push(variant.open().await?);
    }
    Ok(visits)
}

/// Starts a server that runs as long as this program, and returns its URL. Sessions of another
/// variant must not slow it down.
fn redis() -> String {
    static SERVERS: Mutex<Vec<RedisServer>> = Mutex::new(vec![]);
    let server = RedisServer::start();
    let url = server.url();
    SERVERS.lock().unwrap_or_else(PoisonError::into_inner).push(server);
    url
}

/// Returns the deadlines of actix-identity with the same limits.
fn with_deadlines() -> IdentityMiddleware {
    let policy = Policy::default();
    IdentityMiddleware::builder()
        .login_deadline(policy.absolute.at())
        .visit_deadline(policy.idle.at())
        .build()
}

fn cookie(response: &Response) -> Option<String> {
    let line = response.headers.get(header::SET_COOKIE)?.to_str().ok()?;
    line.split(';').next().map(str::to_owned)
}
