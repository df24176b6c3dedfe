//! The ways in which the same page is asked for, and whether the answers are right.

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
    site::{self, Answer, Site, USER, WELCOME, Wish},
};

/// The logins of each way. What is random in a cookie makes a difference of some percent from one
/// to another, because more or less of it has to be decoded; over so many it averages out.
pub(crate) const LOGINS: u16 = 2_048;

/// One thing differs from each to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Bare,
    BareWithSix,
    With,
    WithSix,
    WithSqlite,
    WithRedis,
    WithRedisAtHand,
    OneLayer,
    TwoLayers,
    Deadlines,
    TtlOnEveryRequest,
    ExpiredAtPublicPage,
    ExpiredAtPage,
    AnonymousBare,
    AnonymousWith,
}

impl Way {
    pub(crate) const ALL: [Self; 15] = [
        Self::Bare,
        Self::BareWithSix,
        Self::With,
        Self::WithSix,
        Self::WithSqlite,
        Self::WithRedis,
        Self::WithRedisAtHand,
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
            Self::WithSqlite => "  + an SQLite file",
            Self::WithRedis => "  + a Redis server",
            Self::WithRedisAtHand => "  + a Redis server, records at hand",
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

    /// Whether everything that it costs is done between the request and the answer, and can be counted:
    /// not where another process does some of it.
    pub(crate) fn is_counted(self) -> bool {
        !matches!(self, Self::WithRedis | Self::WithRedisAtHand)
    }

    /// What this way is held against.
    pub(crate) fn base(self) -> Self {
        match self {
            Self::AnonymousBare | Self::AnonymousWith => Self::AnonymousBare,
            Self::BareWithSix | Self::WithSix => Self::BareWithSix,
            _ => Self::Bare,
        }
    }

    /// Starts the site, signs in, and makes sure that the answers are what they should be.
    pub(crate) async fn open(self) -> Outcome<Visits> {
        let clock = ManualClock::default();
        let site = self.start(&clock).await?;
        let wishes = self.wishes(site.as_ref()).await?;
        if matches!(self, Self::ExpiredAtPublicPage | Self::ExpiredAtPage) {
            clock.advance(hours(1));
        }
        // The first answer to an expired session ends it, the second finds it ended.
        for wish in wishes.iter().chain(&wishes) {
            self.check(&site.ask(wish).await?)?;
        }
        Ok(Visits { site, wishes })
    }

    async fn start(self, clock: &ManualClock) -> Outcome<Box<dyn Site>> {
        // Without a limit a user has a thousand sessions at most, and this one has more.
        let policy = Policy::default().max_sessions(u32::from(LOGINS) + 1);
        let expire = SessionExpire::builder(policy);
        Ok(match self {
            Self::Bare | Self::BareWithSix | Self::AnonymousBare => {
                site::start_bare(IdentityMiddleware::default()).await
            }
            Self::Deadlines => site::start_bare(with_deadlines()).await,
            Self::TtlOnEveryRequest => site::start_renewing().await,
            Self::WithSqlite => {
                // The file goes with the program; a folder that is dropped would go too early.
                let file = tempfile::TempDir::new()?.keep().join("db");
                let registry = SqliteRegistry::open(file)?;
                site::start_with(expire.registry(registry).build()?, 0).await
            }
            Self::WithRedis => {
                let registry = RedisRegistry::connect(&redis()).await?;
                site::start_with(expire.registry(registry).build()?, 0).await
            }
            Self::WithRedisAtHand => {
                let registry = RedisRegistry::connect_caching(&redis()).await?;
                site::start_with(expire.registry(registry).build()?, 0).await
            }
            Self::With | Self::WithSix | Self::AnonymousWith => {
                site::start_with(expire.build()?, 0).await
            }
            Self::OneLayer => site::start_with(expire.build()?, 1).await,
            Self::TwoLayers => site::start_with(expire.build()?, 2).await,
            Self::ExpiredAtPublicPage | Self::ExpiredAtPage => {
                site::start_with(expire.clock(clock.clone()).build()?, 0).await
            }
        })
    }

    /// One wish per login.
    async fn wishes(self, site: &dyn Site) -> Outcome<Vec<Wish>> {
        let (login, page) = match self {
            Self::AnonymousBare | Self::AnonymousWith => {
                return Ok(vec![Wish { page: "/welcome", cookie: None }]);
            }
            Self::BareWithSix | Self::WithSix => ("/login-with-six", "/page"),
            Self::ExpiredAtPublicPage => ("/login", "/welcome"),
            _ => ("/login", "/page"),
        };
        let mut wishes = Vec::new();
        for _ in 0..LOGINS {
            let answer = site.ask(&Wish { page: login, cookie: None }).await?;
            let cookie = cookie(&answer).ok_or_else(|| {
                format!("{self}: signing in set no cookie: {} {}", answer.status, answer.body)
            })?;
            wishes.push(Wish { page, cookie: Some(cookie) });
        }
        Ok(wishes)
    }

    fn check(self, answer: &Answer) -> Outcome<()> {
        let (status, body, sets_cookie) = match self {
            Self::Deadlines | Self::TtlOnEveryRequest => (StatusCode::OK, USER, true),
            Self::ExpiredAtPublicPage => (StatusCode::OK, WELCOME, false),
            Self::ExpiredAtPage => (StatusCode::SEE_OTHER, "", false),
            Self::AnonymousBare | Self::AnonymousWith => (StatusCode::OK, WELCOME, false),
            _ => (StatusCode::OK, USER, false),
        };
        self.expect("the status", answer.status, status)?;
        self.expect("the body", answer.body.as_str(), body)?;
        self.expect("a cookie is set", cookie(answer).is_some(), sets_cookie)?;
        // What only session-expire does: the signs that it is there at all.
        let forbids_caching = answer.headers.get(header::CACHE_CONTROL).is_some();
        self.expect("caching is forbidden", forbids_caching, self.is_watched())
    }

    /// Whether session-expire has a session to judge.
    fn is_watched(self) -> bool {
        use Way::{
            ExpiredAtPage, ExpiredAtPublicPage, OneLayer, TwoLayers, With, WithRedis,
            WithRedisAtHand, WithSix, WithSqlite,
        };
        let active = [With, WithSix, WithSqlite, WithRedis, WithRedisAtHand, OneLayer, TwoLayers];
        active.contains(&self) || matches!(self, ExpiredAtPublicPage | ExpiredAtPage)
    }

    fn expect<T: Copy + PartialEq + Debug>(self, what: &str, found: T, expected: T) -> Outcome<()> {
        if found == expected {
            return Ok(());
        }
        Err(format!("{self}: {what} should be {expected:?} and is {found:?}").into())
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(self, f)
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|way| way.to_string() == name).ok_or_else(|| format!("there is no way {name:?}"))
    }
}

/// A started site and the requests that are sent to it over and over.
pub(crate) struct Visits {
    site: Box<dyn Site>,
    wishes: Vec<Wish>,
}

impl Visits {
    /// Sends the requests, and says how long it took to answer them.
    pub(crate) async fn replay(&self, times: usize) -> Outcome<Duration> {
        self.site.replay(&self.wishes, times).await
    }
}

/// Opens all ways, side by side.
pub(crate) async fn open_all() -> Outcome<Vec<Visits>> {
    let mut visits = Vec::new();
    for way in Way::ALL {
        visits.push(way.open().await?);
    }
    Ok(visits)
}

/// The address of a server of its own, which lives as long as this program: the sessions of one way
/// must not slow down the logins of another.
fn redis() -> String {
    static SERVERS: Mutex<Vec<RedisServer>> = Mutex::new(vec![]);
    let server = RedisServer::start();
    let url = server.url();
    SERVERS.lock().unwrap_or_else(PoisonError::into_inner).push(server);
    url
}

/// The two limits that actix-identity keeps by itself, as long as ours.
fn with_deadlines() -> IdentityMiddleware {
    let policy = Policy::default();
    IdentityMiddleware::builder()
        .login_deadline(policy.absolute.at())
        .visit_deadline(policy.idle.at())
        .build()
}

fn cookie(answer: &Answer) -> Option<String> {
    let line = answer.headers.get(header::SET_COOKIE)?.to_str().ok()?;
    line.split(';').next().map(str::to_owned)
}
