//! Commands that the Redis user must be permitted to run.
//!
//! A script that fails between two writes would leave half of its changes.

use std::sync::Arc;

use redis::{Cmd, RedisError, Script};

use super::{connection::Connection, start_primaries::StartPrimaries};
use crate::registry::redis::error::RedisConnectError;

const CHECK: &str = include_str!("../lua/check_permissions.lua");
const CHECK_CLUSTER: &str = include_str!("../lua/check_cluster_permissions.lua");

/// Every command of the scripts and of other operations, with arguments that have no effect.
const CALLS: &[&str] = &[
    "del sx0:check",
    "exists sx0:check",
    "get sx0:check",
    "hdel sx0:check a",
    "hget sx0:check a",
    "hincrby sx0:check a not-a-number",
    "hmget sx0:check a",
    "hset sx0:check a 1 without-a-value",
    "pexpire sx0:check 1",
    "pttl sx0:check",
    "rename sx0:check sx0:other",
    "set sx0:check 1 not-an-option",
    "zadd sx0:check not-a-number a",
    "zcard sx0:check",
    "zcount sx0:check 0 0",
    "zrange sx0:check 0 0",
    "zrangebyscore sx0:check 0 0",
    "zrem sx0:check a",
    "zrevrange sx0:check 0 0",
    "zrevrangebyscore sx0:check 0 0",
    "zscore sx0:check a",
];

/// Calls that publish a report to one server, and to a Cluster.
const PUBLISH: (&str, &str) = ("publish sx0:check a", "spublish sx0:check a");

/// Other commands that a Cluster needs. The cluster client sends `CLUSTER SLOTS` first.
const CLUSTER_COMMANDS: [&str; 5] =
    ["asking", "cluster|info", "cluster|myid", "cluster|nodes", "ssubscribe"];

impl Connection {
    /// Checks that the user may run every command.
    pub(crate) async fn check_permissions(
        self: &Arc<Self>,
        primaries: &mut StartPrimaries,
    ) -> Result<(), RedisConnectError> {
        let script = Script::new(CHECK);
        let (to_server, to_cluster) = PUBLISH;
        let publish = if self.is_cluster() { to_cluster } else { to_server };
        for (verb, script) in [("EVAL", CHECK), ("EVALSHA", script.get_hash())] {
            let mut command = Cmd::new();
            command.arg(verb).arg(script).arg(0).arg(CALLS).arg(publish);
            self.check_denied(primaries, &command).await?;
        }
        match self.is_cluster() {
            true => {
                let mut command = redis::cmd("EVAL");
                command.arg(CHECK_CLUSTER).arg(0).arg(&CLUSTER_COMMANDS);
                self.check_denied(primaries, &command).await
            }
            false => self.check_subscribe().await,
        }
    }

    /// Sends a script that returns the commands that the user may not run.
    async fn check_denied(
        self: &Arc<Self>,
        primaries: &mut StartPrimaries,
        script: &Cmd,
    ) -> Result<(), RedisConnectError> {
        for (server, denied) in self.query_primaries_at_start(primaries, script).await? {
            let denied: Vec<String> = redis::from_redis_value(denied).unwrap_or_default();
            if !denied.is_empty() {
                let server = if self.is_cluster() { server } else { self.address() };
                let commands = denied.join(", ");
                return Err(RedisConnectError::Permissions { server, commands });
            }
        }
        Ok(())
    }

    /// Checks that the user may subscribe. It uses another connection, because a subscribed one may
    /// accept no other commands. The channel is not checked, because its prefix is set later.
    async fn check_subscribe(&self) -> Result<(), RedisConnectError> {
        let command = redis::cmd("SUBSCRIBE").arg("sx0:check").take();
        match Arc::new(self.second()).query_at_start(&command).await {
            Err(error @ RedisConnectError::Permissions { .. }) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Returns the command in a permission error, such as "no permissions to run the 'info' command".
pub(crate) fn denied_command(error: &RedisError) -> Option<String> {
    let (_, command) = error.detail()?.split_once("permissions to run the '")?;
    Some(command.split('\'').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn every_command_of_a_script_is_checked() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/registry/redis/lua");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let used: BTreeSet<_> =
            files.flat_map(|file| commands(&fs::read_to_string(file).unwrap())).collect();
        let checked: BTreeSet<_> = CALLS
            .iter()
            .chain([&PUBLISH.0, &PUBLISH.1])
            .filter_map(|call| call.split(' ').next())
            .map(str::to_owned)
            .collect();
        let missing: Vec<_> = used.difference(&checked).collect();
        assert!(!used.is_empty() && missing.is_empty(), "{missing:?}");
    }

    /// Returns the commands that a script calls by name.
    fn commands(script: &str) -> Vec<String> {
        let name =
            |call: &str| Some(call.split_once("call('")?.1.split_once('\'')?.0.to_lowercase());
        script.split("redis.").filter_map(name).collect()
    }
}
