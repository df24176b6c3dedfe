//! What each operation asks of the server, and what it makes of the answer.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use sha2::{Digest, Sha256};

use super::{
    error::Failure,
    link::Link,
    script::{END, FIND, LOAD, LOGIN, MAKE_ROOM, Script, TOUCH},
    stored::{self, Ask, Stored, Text},
};
use crate::{
    limit::{Limit, Limits},
    registry::{
        EndTarget, Loaded, LoginOutcome, Query,
        key::{RecordKey, partition_key, to_hex},
        login::NewLogin,
        record::{ActivityUpdate, Ended, SessionRecord},
        room::SessionLimit,
    },
    time::{Timestamp, hours},
    words::to_text,
};

/// Ended records that are not in the log are remembered this long, so that a late visitor still learns
/// why.
const KEEP_UNLOGGED: Duration = hours(24);

/// Handlers may be laxer than the limits under which a record is counted.
const LAXER: Duration = hours(24);

/// So many lists are asked for at once when those of all users are: they share round trips, and other
/// requests get their turn in between.
const AT_ONCE: usize = 200;

/// The records on a server, and how long they stay there.
pub(super) struct Server {
    pub(super) link: Arc<Link>,
    pub(super) prefix: String,
    pub(super) timeout: Duration,
    pub(super) log_limit: Limit<u32>,
    pub(super) forget_after: Duration,
}

impl Server {
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
        let answer = self.run(script, tag, &[&ask]).await;
        // Also after a failure: the script may have run. The server's own message comes a moment later,
        // and whoever has signed out must not be taken for signed in until then.
        if let Some(cache) = &self.link.cache {
            cache.change(tag);
        }
        texts(&answer?)
    }

    pub(super) async fn admit(&self, login: NewLogin) -> Result<LoginOutcome, Failure> {
        let record = Stored::new(&SessionRecord::new(&login), self.keep(login.limits))?;
        let (replaces, replaces_for) = login.replaces.unzip();
        let ask = Ask {
            name: Some(name(&login.key)),
            user: Some(short_hash(&login.user)),
            record: Some(record),
            replaces: replaces.as_ref().map(name),
            replaces_for: replaces_for.map(Text),
            ..self.ask(login.at).ends(&login.evicts()).room(login.room)
        };
        let answer = self.write(&LOGIN, login.key.tag(), &ask).await?;
        let (what, texts) = answer.split_first().ok_or(Failure::Strange)?;
        match what.as_str() {
            "refused" => {
                let mut records = readable(texts);
                // The server has them as they came, but the clocks of processes differ.
                records.sort_by_key(|record| record.logged_in_at);
                Ok(LoginOutcome::Refused { holders: records })
            }
            "admitted" => {
                let own = texts.first().ok_or(Failure::Strange)?;
                let record = Stored::read(own.as_bytes())?;
                Ok(LoginOutcome::Committed { record, ended: readable(&texts[1..]) })
            }
            _ => Err(Failure::Strange),
        }
    }

    pub(super) async fn read(&self, key: RecordKey) -> Result<Option<Loaded>, Failure> {
        let Some(cache) = &self.link.cache else { return self.read_from_server(key).await };
        if let Some(known) = cache.get(&key) {
            return Ok(Some(known));
        }
        let ticket = cache.begin(key.tag());
        let loaded = self.read_from_server(key).await?;
        cache.keep(&ticket, &key, loaded.as_ref());
        Ok(loaded)
    }

    async fn read_from_server(&self, key: RecordKey) -> Result<Option<Loaded>, Failure> {
        let answer = self.run(&LOAD, key.tag(), &[&name(&key)]).await?;
        let found: Option<(Vec<u8>, u32)> =
            redis::from_redis_value(&answer).map_err(|_| Failure::Strange)?;
        let Some((text, open)) = found else { return Ok(None) };
        Ok(Some(Loaded { record: Arc::new(Stored::read(&text)?), open }))
    }

    pub(super) async fn note(&self, key: RecordKey, change: ActivityUpdate) -> Result<(), Failure> {
        let patch = match &change.patch {
            None => None,
            Some(None) => Some(String::new()),
            Some(Some(patch)) => Some(to_text(patch).map_err(Failure::Garbage)?),
        };
        let ask = Ask {
            name: Some(name(&key)),
            seen: Some(Text(change.seen.as_millis())),
            patch,
            ..self.ask(change.now)
        };
        self.write(&TOUCH, key.tag(), &ask).await.map(drop)
    }

    pub(super) async fn finish(
        &self,
        target: EndTarget,
        ended: Ended,
    ) -> Result<Vec<SessionRecord>, Failure> {
        let ask = self.ask(ended.at).ends(&ended);
        let (tag, ask) = match target {
            EndTarget::Key(key) => (key.tag().to_owned(), Ask { name: Some(name(&key)), ..ask }),
            EndTarget::All(user) => (partition_key(&user), all_of(&user, ask)),
            EndTarget::Id(user, id) => {
                (partition_key(&user), Ask { id: Some(Text(id)), ..all_of(&user, ask) })
            }
            EndTarget::Others(user, id) => {
                (partition_key(&user), Ask { but: Some(Text(id)), ..all_of(&user, ask) })
            }
        };
        Ok(readable(&self.write(&END, &tag, &ask).await?))
    }

    pub(super) async fn clear(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> Result<Vec<SessionRecord>, Failure> {
        let ask = Ask { name: Some(name(&key)), ..self.ask(ended.at).ends(&ended).room(room) };
        Ok(readable(&self.write(&MAKE_ROOM, key.tag(), &ask).await?))
    }

    pub(super) async fn list(
        &self,
        tag: &str,
        query: &Query,
    ) -> Result<Vec<SessionRecord>, Failure> {
        let user = query.user.as_deref().map(short_hash).unwrap_or_default();
        let wanted = |ended: bool| if query.ended == Some(!ended) { "0" } else { "1" };
        let answer = self.run(&FIND, tag, &[&user, wanted(false), wanted(true)]).await?;
        let mut records = readable(&texts(&answer)?);
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
    pub(super) async fn list_all(&self, query: &Query) -> Result<Vec<SessionRecord>, Failure> {
        let (mut cursor, mut seen, mut found) = (0, HashSet::new(), vec![]);
        loop {
            let (next, tags) = self.scan(cursor).await?;
            let new: Vec<_> = tags.into_iter().filter(|tag| seen.insert(tag.clone())).collect();
            for some in new.chunks(AT_ONCE) {
                let lists = some.iter().map(|tag| self.list(tag, query));
                found.extend(try_join_all(lists).await?.into_iter().flatten());
                found = query.page(found);
            }
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

fn all_of(user: &str, ask: Ask) -> Ask {
    Ask { user: Some(short_hash(user)), ..ask }
}

/// 128 bits of SHA-256, in hex.
fn short_hash(text: &str) -> String {
    to_hex(&Sha256::digest(text)[..16])
}

/// A text as a pattern that matches only itself.
fn escaped(text: &str) -> String {
    let escape = |c| if "*?[]\\^".contains(c) { vec!['\\', c] } else { vec![c] };
    text.chars().flat_map(escape).collect()
}

fn texts(answer: &redis::Value) -> Result<Vec<String>, Failure> {
    redis::from_redis_value(answer).map_err(|_| Failure::Strange)
}

/// One record that nobody can read must not take a user's others with it, let alone everybody's.
fn readable(texts: &[String]) -> Vec<SessionRecord> {
    let read = |text: &String| match Stored::list(text.as_bytes()) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::error!(%error, "a record on the Redis server was left out of a list");
            None
        }
    };
    texts.iter().filter_map(read).collect()
}
