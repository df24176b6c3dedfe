//! Checks of a server when an application connects.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, RedisError, Value};

use super::{
    connection::{Connection, START_TIMEOUT},
    permissions::denied_command,
    retry::PAUSE,
    sentinel::SentinelFailure,
    servers::Servers,
    start_primaries::StartPrimaries,
};
use crate::registry::redis::error::{OperationError, RedisConnectError};

/// First version of Redis whose Clusters the registry supports: older ones have no sharded channels.
const CLUSTER_VERSION: u32 = 7;

/// Timeout of a check after the registry has connected.
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

impl Connection {
    /// Checks that the server can store sessions. Waits while it loads its file after a start.
    pub(crate) async fn check_server(self: &Arc<Self>) -> Result<(), RedisConnectError> {
        let server = self.address();
        match tokio::time::timeout(START_TIMEOUT, self.check()).await {
            Ok(checked) => checked,
            Err(_) => Err(RedisConnectError::NoResponse { server }),
        }
    }

    async fn check(self: &Arc<Self>) -> Result<(), RedisConnectError> {
        // A Cluster also waits, with the next commands.
        if !self.is_cluster() {
            self.query_at_start(&redis::cmd("PING")).await?;
        }
        let (mut primaries, info) = (StartPrimaries::new(), redis::cmd("INFO"));
        for (server, info) in self.query_primaries_at_start(&mut primaries, &info).await? {
            let info: String = redis::from_redis_value(info).unwrap_or_default();
            self.check_info(server, &info)?;
        }
        self.check_permissions(&mut primaries).await?;
        self.measure_time_at_start(&mut primaries).await?;
        self.watch_server();
        self.watch_sentinels();
        Ok(())
    }

    fn check_info(&self, server: String, info: &str) -> Result<(), RedisConnectError> {
        if has_line(info, "redis_mode:sentinel") {
            return Err(RedisConnectError::Sentinel { server: self.address() });
        }
        match (self.is_cluster(), has_line(info, "cluster_enabled:1")) {
            (false, true) => return Err(RedisConnectError::Cluster { server: self.address() }),
            (true, false) => return Err(RedisConnectError::NotACluster { server }),
            _ => {}
        }
        if let Some(version) = old_version(info).filter(|_| self.is_cluster()) {
            return Err(RedisConnectError::Version { server, version });
        }
        self.set_replication_id(info);
        self.warn_of_eviction(info);
        Ok(())
    }

    /// Sends a command, and waits while the server loads its file.
    pub(crate) async fn query_at_start(
        self: &Arc<Self>,
        command: &Cmd,
    ) -> Result<Value, RedisConnectError> {
        // The error of the last attempt is clearer than a timeout.
        let timeout = START_TIMEOUT - PAUSE;
        self.query(command, timeout).await.map_err(|error| self.connect_error(error))
    }

    pub(super) fn connect_error(&self, error: OperationError) -> RedisConnectError {
        let server = self.address();
        if let OperationError::Redis(error) = &error
            && let Some(failure) = SentinelFailure::in_error(error)
        {
            return self.sentinel_error(failure, error);
        }
        match error {
            OperationError::Timeout(_) => RedisConnectError::NoResponse { server },
            OperationError::Redis(error) if is_not_a_cluster(&error) => {
                RedisConnectError::NotACluster { server }
            }
            OperationError::Redis(error) => match denied_command(&error) {
                Some(commands) => RedisConnectError::Permissions { server, commands },
                None => RedisConnectError::Server { server, source: error.into() },
            },
            source => RedisConnectError::Server { server, source: source.into() },
        }
    }

    fn sentinel_error(&self, failure: SentinelFailure, error: &RedisError) -> RedisConnectError {
        let server = self.address();
        match failure {
            SentinelFailure::UnknownName => RedisConnectError::UnknownName { server },
            SentinelFailure::NotASentinel => RedisConnectError::NotASentinel { server },
            SentinelFailure::NoPrimary => {
                RedisConnectError::Server { server, source: error.clone().into() }
            }
            SentinelFailure::NoResponse | SentinelFailure::Refused => {
                RedisConnectError::Sentinels { server, source: error.clone().into() }
            }
        }
    }

    /// Checks the server every second, and measures its time every minute.
    fn watch_server(self: &Arc<Self>) {
        let this = Arc::downgrade(self);
        self.spawn(async move {
            for second in 1_u64.. {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let Some(this) = this.upgrade() else { return };
                // The operations report the errors of an outage. A replica of a Cluster refuses
                // loads, too.
                if !this.is_cluster() {
                    let _ = this.leave_replica().await;
                }
                if second % 60 == 0 {
                    let _ = this.measure_time().await;
                }
            }
        });
    }

    /// Asks the Sentinels for the primary every second, and when one of them reports a failover. The
    /// connections to a former primary are then replaced.
    fn watch_sentinels(self: &Arc<Self>) {
        let Servers::Sentinel(sentinels) = &self.servers else { return };
        let (this, sentinels) = (Arc::downgrade(self), Arc::clone(sentinels));
        self.spawn(async move {
            let mut was_unavailable = false;
            while this.strong_count() > 0 {
                sentinels.wait(Duration::from_secs(1)).await;
                let error = sentinels.ask().await.err();
                if let Some(error) = error.as_ref().filter(|_| !was_unavailable) {
                    log_missing_sentinels(&sentinels.address(), error);
                }
                was_unavailable = error.is_some();
            }
        });
    }

    /// Discards the connection if the server has become a replica. Otherwise a process that only
    /// loads would read an old state.
    async fn leave_replica(self: &Arc<Self>) -> Result<(), OperationError> {
        let number = self.number();
        let command = redis::cmd("INFO").arg("replication").take();
        let info = self.query(&command, CHECK_TIMEOUT).await?;
        let info: String = redis::from_redis_value(info).map_err(|_| OperationError::Response)?;
        self.set_replication_id(&info);
        if has_line(&info, "role:slave") {
            self.discard(number);
        }
        Ok(())
    }

    fn warn_of_eviction(&self, info: &str) {
        if may_evict_keys(info) {
            tracing::warn!(
                event = "sys_redis_may_evict",
                server = self.address(),
                "Redis may evict active sessions; set `maxmemory-policy noeviction`"
            );
        }
    }
}

fn log_missing_sentinels(server: &str, error: &RedisError) {
    let event = "sys_redis_sentinel";
    tracing::error!(event, server, %error, "no Sentinel; a failover may be noticed late");
}

/// Returns `true` for the response of a server without cluster mode to `CLUSTER SLOTS`.
fn is_not_a_cluster(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("cluster support disabled"))
}

/// Returns the version in a response to `INFO` if it is too old for a Cluster. Valkey also has a
/// version of Redis, 7.2.
fn old_version(info: &str) -> Option<String> {
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"))?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < CLUSTER_VERSION).then(|| version.to_owned())
}

/// Returns `true` if the server deletes keys when its memory is full, according to `INFO`.
fn may_evict_keys(info: &str) -> bool {
    info.contains("maxmemory_policy:")
        && !has_line(info, "maxmemory_policy:noeviction")
        && !has_line(info, "maxmemory:0")
}

/// Returns the replication id in a response to `INFO`; `None` for a replica. Servers with the same
/// id have the same history of changes.
pub(crate) fn read_replication_id(info: &str) -> Option<String> {
    let id = info.lines().find_map(|line| line.strip_prefix("master_replid:"))?;
    (!has_line(info, "role:slave")).then(|| id.to_owned())
}

fn has_line(info: &str, expected: &str) -> bool {
    info.lines().any(|line| line == expected)
}

#[cfg(test)]
mod tests {
    use super::{may_evict_keys, old_version};

    #[test]
    fn version_of_a_cluster_is_compared_by_its_first_number() {
        for (info, expected) in [
            ("# Server\r\nredis_version:6.2.14\r\nredis_mode:cluster\r\n", Some("6.2.14")),
            ("redis_version:7.0.0\r\n", None),
            ("redis_version:10.0.0\r\n", None),
            ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n", None),
            ("", None),
        ] {
            assert_eq!(old_version(info).as_deref(), expected, "{info}");
        }
    }

    #[test]
    fn server_with_limited_memory_may_evict_keys() {
        for (memory, expected) in [
            ("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", false),
            ("maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n", true),
            ("maxmemory:100\r\nmaxmemory_policy:noeviction\r\n", false),
            ("", false),
        ] {
            assert_eq!(may_evict_keys(memory), expected, "{memory}");
        }
    }
}
