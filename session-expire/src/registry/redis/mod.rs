//! Records on a Redis server, for several processes.
//!
//! All users whose keys begin with the same four letters share four Redis keys, which carry those letters
//! as their cluster hash tag:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `sx:{aB3d}` | hash | a record as JSON under the SHA-256 of its key (16 bytes, in hex); `logins` counts |
//! | `sx:{aB3d}:open` | sorted set | `owner:place:name` of each record that has not ended, in order of login |
//! | `sx:{aB3d}:past` | sorted set | the same of those that ended, as far as the log reaches |
//! | `sx:{aB3d}:due` | sorted set | when each record may be forgotten |
//!
//! So a script knows all keys that it touches before it runs, knowing no more than the key of a record;
//! and what it does is one step. Owners appear in names as the SHA-256 of their text, whatever its
//! characters, and secret keys appear nowhere.

mod link;
mod script;
mod stored;

use std::{collections::HashSet, fmt, time::Duration};

use sha2::{Digest, Sha256};

pub use self::link::RedisConnectError;
use self::{
    link::{Failure, Link},
    script::{END, FIND, LOAD, LOGIN, MAKE_ROOM, Script, TOUCH},
    stored::{Ask, Stored, Text},
};
use super::{
    Admission, Answer, Loaded, Query, Registry, Target,
    key::{RecordKey, owner_tag},
    login::Login,
    record::{Change, Ended, Record},
    room::Room,
};
use crate::{
    error::RegistryError,
    limit::{Limit, Limits},
    time::{Timestamp, hours},
};

/// Ended records that are not in the log are remembered this long, so that a late visitor still learns
/// why.
const KEEP_UNLOGGED: Duration = hours(24);

/// Handlers may be laxer than the limits under which a record is counted.
const LAXER: Duration = hours(24);

/// Keeps records on a Redis server (6 or newer), shared by any number of processes.
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{Policy, RedisRegistry, SessionExpire};
/// let registry = RedisRegistry::connect("redis://127.0.0.1/").await?;
/// let expire = SessionExpire::builder(Policy::new().max_sessions(3)).registry(registry).build()?;
/// # Ok(()) }
/// ```
///
/// Every operation is one command and one round trip, `EVALSHA`; a second one follows the first time that
/// a server sees the script. Its time grows with the logarithm of the number of records; `login` and
/// `make_room` under a limit of sessions, and the end of several sessions, read the user's open records.
/// A [`find`](Registry::find) for all users walks through all keys of the database with `SCAN`, many round
/// trips: for administrators. On a cluster it sees the keys of the node that it is connected to.
///
/// No operation takes longer than the [`timeout`](Self::timeout). While the server is away every operation
/// is an error, and the first one after its return works: nothing has to be rebuilt. A login whose answer
/// did not arrive in time may have been recorded all the same, and then holds its place until it runs out.
///
/// Signing out works also when the server's memory is full; signing in then doesn't. Give Redis
/// `maxmemory-policy noeviction`, for other policies throw away living sessions, and let it persist (`appendonly
/// yes`): one that restarts empty has signed everyone out. Asked at a replica that lags behind, it
/// answers what was true a moment ago: connect to the primary.
///
/// Secret keys are stored as hashes only, so a look at the server gives nobody a session.
/// Of each user the last 20 ended logins are kept for [`find`](Registry::find), and nothing stays for
/// longer than 90 days after its last use, or as long as its policy lets it live.
pub struct RedisRegistry {
    link: Link,
    prefix: String,
    timeout: Duration,
    log_limit: Limit<u32>,
    forget_after: Duration,
}

impl RedisRegistry {
    /// Connects to the server at `url`: `redis://user:password@host:6379/0`, `unix:///path`. For `rediss://`
    /// add the crate `redis` 0.32 to your application with its feature `tokio-rustls-comp`.
    ///
    /// # Errors
    ///
    /// A [`RedisConnectError`] that names the address, without the password, and the cure, when nothing
    /// usable answers within five seconds.
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        Ok(Self {
            link: Link::open(url).await?,
            prefix: "sx".to_owned(),
            timeout: Duration::from_millis(500),
            log_limit: Limit::At(20),
            forget_after: hours(24 * 90),
        })
    }

    /// Lets no operation take longer than this: 500 ms by default. What takes longer is an error.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Begins the names of all keys with this instead of `sx`, without its braces: for applications that
    /// share a database.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.replace(['{', '}'], "");
        self
    }

    /// Keeps this many ended logins of each user in the log; `Limit::At(0)` for none, `Limit::Off` for
    /// all of the last 90 days.
    #[must_use]
    pub fn log_limit(mut self, limit: Limit<u32>) -> Self {
        self.log_limit = limit;
        self
    }

    /// Forgets records this long after their last use: 90 days by default. A record that may still live is
    /// kept a day longer than the longer one of its limits; one without limits at least 90 days.
    #[must_use]
    pub fn forget_after(mut self, time: Duration) -> Self {
        self.forget_after = time;
        self
    }

    fn keys(&self, tag: &str) -> Vec<String> {
        let base = format!("{}:{{{tag}}}", self.prefix);
        vec![base.clone(), format!("{base}:open"), format!("{base}:past"), format!("{base}:due")]
    }

    /// How long a record that has not ended is kept after its last use.
    fn keep(&self, limits: Limits) -> Duration {
        let limits = limits.idle.at().into_iter().chain(limits.absolute.at());
        let may_live = limits.max().map_or(hours(24 * 90), |limit| limit.saturating_add(LAXER));
        self.forget_after.max(may_live)
    }

    fn ask(&self, at: Timestamp) -> Ask {
        Ask {
            at: Text(at.as_millis()),
            keep_logged: Text(stored::millis(self.forget_after)),
            keep_unlogged: Text(stored::millis(KEEP_UNLOGGED)),
            log_limit: self.log_limit.at().map(Text),
            ..Ask::default()
        }
    }

    async fn run(
        &self,
        script: &Script,
        tag: &str,
        arguments: &[&str],
    ) -> Result<redis::Value, Failure> {
        self.link.run(script, &self.keys(tag), arguments, self.timeout).await
    }

    /// Runs a script that writes, and answers the texts it returns.
    async fn write(&self, script: &Script, tag: &str, ask: &Ask) -> Result<Vec<String>, Failure> {
        let ask = serde_json::to_string(ask).map_err(Failure::Garbage)?;
        texts(&self.run(script, tag, &[&ask]).await?)
    }

    async fn admit(&self, login: Login) -> Result<Admission, Failure> {
        let record = Stored::new(&Record::new(&login), self.keep(login.limits))?;
        let (replaces, replaces_for) = login.replaces.unzip();
        let ask = Ask {
            name: Some(name(&login.key)),
            owner: Some(short_hash(&login.owner)),
            record: Some(record),
            replaces: replaces.as_ref().map(name),
            replaces_for: replaces_for.map(Text),
            ..self.ask(login.at).ends(&login.evicts()).room(login.room)
        };
        let answer = self.write(&LOGIN, login.key.tag(), &ask).await?;
        let (what, texts) = answer.split_first().ok_or(Failure::Strange)?;
        let mut records = read(texts)?;
        match what.as_str() {
            "refused" => Ok(Admission::Refused { holders: records }),
            "admitted" if !records.is_empty() => {
                let record = records.remove(0);
                Ok(Admission::Admitted { record, ended: records })
            }
            _ => Err(Failure::Strange),
        }
    }

    async fn read(&self, key: RecordKey) -> Result<Option<Loaded>, Failure> {
        let answer = self.run(&LOAD, key.tag(), &[&name(&key)]).await?;
        let found: Option<(Vec<u8>, u32)> =
            redis::from_redis_value(&answer).map_err(|_| Failure::Strange)?;
        let Some((text, open)) = found else { return Ok(None) };
        Ok(Some(Loaded { record: Stored::read(&text)?, open }))
    }

    async fn note(&self, key: RecordKey, change: Change) -> Result<(), Failure> {
        let patch = match &change.patch {
            None => None,
            Some(None) => Some(String::new()),
            Some(Some(patch)) => Some(serde_json::to_string(&**patch).map_err(Failure::Garbage)?),
        };
        let ask = Ask {
            name: Some(name(&key)),
            seen: Some(Text(change.seen.as_millis())),
            patch,
            ..self.ask(change.now)
        };
        self.write(&TOUCH, key.tag(), &ask).await.map(drop)
    }

    async fn finish(&self, target: Target, ended: Ended) -> Result<Vec<Record>, Failure> {
        let ask = self.ask(ended.at).ends(&ended);
        let (tag, ask) = match target {
            Target::Key(key) => (key.tag().to_owned(), Ask { name: Some(name(&key)), ..ask }),
            Target::All(owner) => (owner_tag(&owner), all_of(&owner, ask)),
            Target::Id(owner, id) => {
                (owner_tag(&owner), Ask { id: Some(Text(id)), ..all_of(&owner, ask) })
            }
            Target::Others(owner, id) => {
                (owner_tag(&owner), Ask { but: Some(Text(id)), ..all_of(&owner, ask) })
            }
        };
        read(&self.write(&END, &tag, &ask).await?)
    }

    async fn clear(
        &self,
        key: RecordKey,
        room: Room,
        ended: Ended,
    ) -> Result<Vec<Record>, Failure> {
        let ask = Ask { name: Some(name(&key)), ..self.ask(ended.at).ends(&ended).room(room) };
        read(&self.write(&MAKE_ROOM, key.tag(), &ask).await?)
    }

    async fn list(&self, tag: &str, query: &Query) -> Result<Vec<Record>, Failure> {
        let owner = query.owner.as_deref().map(short_hash).unwrap_or_default();
        let wanted = |ended: bool| if query.ended == Some(!ended) { "0" } else { "1" };
        let answer = self.run(&FIND, tag, &[&owner, wanted(false), wanted(true)]).await?;
        let mut records = read(&texts(&answer)?)?;
        records.retain(|record| query.covers(record));
        Ok(query.page(records))
    }

    /// Some of the letters under which there are records, and where to go on.
    async fn scan(&self, cursor: u64) -> Result<(u64, Vec<String>), Failure> {
        let (before, after) = (format!("{}:{{", self.prefix), "}");
        let pattern = format!("{}????{after}", escaped(&before));
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1_000);
        let answer = self.link.ask(&scan, self.timeout).await?;
        let (next, keys): (u64, Vec<String>) =
            redis::from_redis_value(&answer).map_err(|_| Failure::Strange)?;
        let tag = |key: &String| Some(key.strip_prefix(&before)?.strip_suffix(after)?.to_owned());
        Ok((next, keys.iter().filter_map(tag).collect()))
    }

    /// One page of keys after the other, so that the server is never kept busy for long and no more than
    /// the answer is held in memory.
    async fn list_all(&self, query: &Query) -> Result<Vec<Record>, Failure> {
        let (mut cursor, mut seen, mut found) = (0, HashSet::new(), vec![]);
        loop {
            let (next, tags) = self.scan(cursor).await?;
            for tag in tags {
                if seen.insert(tag.clone()) {
                    found.extend(self.list(&tag, query).await?);
                }
            }
            found = query.page(found);
            if next == 0 {
                return Ok(found);
            }
            cursor = next;
        }
    }
}

/// The name of a record on the server: whoever reads it there cannot use it.
fn name(key: &RecordKey) -> String {
    short_hash(key.expose())
}

fn all_of(owner: &str, ask: Ask) -> Ask {
    Ask { owner: Some(short_hash(owner)), ..ask }
}

/// 128 bits of SHA-256, in hex.
fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A text as a pattern that matches only itself.
fn escaped(text: &str) -> String {
    let escape = |c| if "*?[]\\^".contains(c) { vec!['\\', c] } else { vec![c] };
    text.chars().flat_map(escape).collect()
}

fn texts(answer: &redis::Value) -> Result<Vec<String>, Failure> {
    redis::from_redis_value(answer).map_err(|_| Failure::Strange)
}

fn read(texts: &[String]) -> Result<Vec<Record>, Failure> {
    texts.iter().map(|text| Stored::read(text.as_bytes())).collect()
}

/// Gives an operation its name in the log.
fn named<'a, T: 'a>(
    operation: &'static str,
    work: impl Future<Output = Result<T, Failure>> + Send + 'a,
) -> Answer<'a, T> {
    Box::pin(async move { work.await.map_err(|cause| RegistryError::new(operation, cause)) })
}

impl Registry for RedisRegistry {
    fn login(&self, login: Login) -> Answer<'_, Admission> {
        named("record a login", self.admit(login))
    }

    fn load(&self, key: RecordKey) -> Answer<'_, Option<Loaded>> {
        named("load a record", self.read(key))
    }

    fn touch(&self, key: RecordKey, change: Change) -> Answer<'_, ()> {
        named("note activity", self.note(key, change))
    }

    fn end(&self, target: Target, ended: Ended) -> Answer<'_, Vec<Record>> {
        named("end a session", self.finish(target, ended))
    }

    fn make_room(&self, key: RecordKey, room: Room, ended: Ended) -> Answer<'_, Vec<Record>> {
        named("make room", self.clear(key, room, ended))
    }

    fn find(&self, query: Query) -> Answer<'_, Vec<Record>> {
        named("list records", async move {
            match &query.owner {
                Some(owner) => self.list(&owner_tag(owner), &query).await,
                None => self.list_all(&query).await,
            }
        })
    }
}

impl fmt::Debug for RedisRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRegistry")
            .field("server", &self.link.address())
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
