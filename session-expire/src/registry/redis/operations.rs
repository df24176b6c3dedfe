//! Operations on a server: Redis keys and script calls.
//!
//! Every key has the version of the layout in its name. `load`, `logins` and `lists` add the
//! operations.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{
    cache::LEASE,
    changes::Changes,
    error::OperationError,
    script::Script,
    server::{
        connection::Connection,
        pipeline::{ScriptCall, convert},
    },
    stored::{
        as_string::{AsString, millis, time},
        names::tag,
        record::StoredFields,
        script_args::ScriptArgs,
    },
};
use crate::{
    policy::limit::Limit,
    session::record::SessionRecord,
    time::{
        Timestamp,
        clock::{Clock, SystemClock},
    },
};

/// Version of the layout, which is part of every key. Versions of the crate with different layouts
/// do not read each other's records.
const LAYOUT: u32 = 3;

/// Connection to a server, with the options of the registry.
pub(super) struct Operations {
    pub(super) connection: Arc<Connection>,
    pub(super) prefix: String,
    pub(super) timeout: Duration,
    pub(super) history_limit: Limit<u32>,
    pub(super) history_age: Duration,
    /// Time of the last operation that wrote, in milliseconds.
    pub(super) last_write: AtomicI64,
    pub(super) changes: Changes,
    /// Set after the first script that had the permission to report its changes.
    pub(super) has_reported: AtomicBool,
}

impl Operations {
    /// Returns the Redis key of the records with this tag.
    pub(super) fn tag_key(&self, tag: &str) -> String {
        format!("{}{LAYOUT}:{{{tag}}}", self.prefix)
    }

    /// Returns the Redis keys of a tag, in the order of the scripts. The scripts add the keys of
    /// users, which have the same slot of a Cluster.
    ///
    /// The last key never exists. While a slot moves, a node refuses a script if one of its keys
    /// does not exist there (`TRYAGAIN`). No script therefore runs between the first and the last
    /// key that moves.
    pub(super) fn tag_keys(&self, tag: &str) -> Vec<String> {
        let tag = self.tag_key(tag);
        let names = ["open", "ended", "due", "ends", "former", "none"];
        let others = names.map(|name| format!("{tag}:{name}"));
        iter::once(tag).chain(others).collect()
    }

    /// Returns the name of the channel for changes under a tag.
    ///
    /// A Cluster has a channel per tag, in the slot of its keys. On one server, the name contains
    /// the number of the database, because all databases share the channels.
    pub(super) fn channel_name(&self, tag: &str) -> String {
        match self.connection.is_cluster() {
            true => format!("{}:changes", self.tag_key(tag)),
            false => format!("{}{LAYOUT}:changes:{}", self.prefix, self.connection.database()),
        }
    }

    /// Returns the arguments that all scripts need.
    pub(super) fn args(&self, at: Timestamp) -> ScriptArgs {
        ScriptArgs {
            at: time(at),
            history_age: AsString(millis(self.history_age)),
            history_limit: self.history_limit.at().map(AsString),
            ..ScriptArgs::default()
        }
    }

    /// Returns the arguments of an operation that has no time and uses that of the last write.
    pub(super) fn args_now(&self) -> ScriptArgs {
        match self.last_write() {
            at if at.as_millis() == 0 => self.args(SystemClock::default().now()),
            at => self.args(at),
        }
    }

    /// Returns the time of the last operation of this process that wrote; 0 before the first one.
    pub(super) fn last_write(&self) -> Timestamp {
        Timestamp::from_millis(self.last_write.load(Ordering::Relaxed))
    }

    /// Returns the keys and the arguments of a script call.
    pub(super) fn call(
        &self,
        tag: &str,
        arguments: &ScriptArgs,
    ) -> Result<ScriptCall, OperationError> {
        let arguments = serde_json::to_string(arguments).map_err(OperationError::Json)?;
        Ok((self.tag_keys(tag), arguments))
    }

    /// Runs a script that only reads, and returns the texts of its response.
    pub(super) async fn read(
        &self,
        script: &Script,
        partition_key: &str,
        arguments: &ScriptArgs,
    ) -> Result<Vec<String>, OperationError> {
        let (keys, arguments) = self.call(tag(partition_key), arguments)?;
        convert(self.connection.run(script, &keys, &[&arguments], self.timeout).await?)
    }

    /// Runs a script that writes, and returns the texts of its response.
    ///
    /// # Cancel safety
    ///
    /// The script runs completely or not at all, even if this future is dropped.
    pub(super) async fn write(
        &self,
        script: &Script,
        partition_key: &str,
        arguments: &ScriptArgs,
    ) -> Result<Vec<String>, OperationError> {
        self.last_write.store(arguments.at.0, Ordering::Relaxed);
        let response = self.read(script, partition_key, arguments).await;
        // The notification of the server comes later, and an ended session must not stay active
        // until then. The script may have run even if it returned an error.
        if let Some(cache) = &self.connection.cache {
            cache.invalidate(partition_key);
        }
        response
    }

    /// Runs a script that reports its changes.
    pub(super) async fn change(
        &self,
        script: &Script,
        partition_key: &str,
        arguments: ScriptArgs,
    ) -> Result<Vec<String>, OperationError> {
        let arguments = self.reported(partition_key, arguments);
        let response = self.write(script, partition_key, &arguments).await?;
        self.has_reported.store(true, Ordering::Relaxed);
        Ok(response)
    }

    /// Waits until the caches of other processes are invalid, if the script has added the first
    /// data of a session.
    pub(super) async fn wait_for_caches(&self, response: &[String]) {
        if self.connection.cache.is_some()
            && response.get(1).is_some_and(|word| word == "first_data")
        {
            tokio::time::sleep(LEASE).await;
        }
    }
}

/// Reads records, and logs and skips unreadable ones.
pub(super) fn read_records(texts: &[String]) -> Vec<SessionRecord> {
    texts.iter().filter_map(|text| read_listed(text)).collect()
}

pub(super) fn read_listed(text: &str) -> Option<SessionRecord> {
    let record = StoredFields::parse(text.as_bytes()).and_then(|fields| fields.listed_record());
    let log = |error: &OperationError| {
        let event = "sys_unreadable_record";
        tracing::error!(event, %error, "unreadable session record on the Redis server; skipped");
    };
    record.inspect_err(log).ok()
}
