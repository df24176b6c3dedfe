//! Checks of a server when an application connects.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Value};

use super::{
    connection::{Connection, START_TIMEOUT},
    permissions::denied_command,
    retry::PAUSE,
};
use crate::registry::redis::error::{OperationError, RedisConnectError};

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
        self.query_at_start(&redis::cmd("PING")).await?;
        let info = self.query_at_start(&redis::cmd("INFO")).await?;
        let info: String = redis::from_redis_value(info).unwrap_or_default();
        if has_line(&info, "cluster_enabled:1") {
            return Err(RedisConnectError::Cluster { server: self.address() });
        }
        self.set_replication_id(&info);
        self.warn_of_eviction(&info);
        self.check_permissions().await?;
        self.measure_time().await.map_err(|error| self.connect_error(error))?;
        self.watch_server();
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

    fn connect_error(&self, error: OperationError) -> RedisConnectError {
        let server = self.address();
        match error {
            OperationError::Timeout(_) => RedisConnectError::NoResponse { server },
            OperationError::Redis(error) => match denied_command(&error) {
                Some(commands) => RedisConnectError::Permissions { server, commands },
                None => RedisConnectError::Server { server, source: error.into() },
            },
            source => RedisConnectError::Server { server, source: source.into() },
        }
    }

    /// Checks the server every second, and measures its time every minute.
    fn watch_server(self: &Arc<Self>) {
        let this = Arc::downgrade(self);
        self.spawn(async move {
            for second in 1_u64.. {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let Some(this) = this.upgrade() else { return };
                // The operations report the errors of an outage.
                let _ = this.leave_replica().await;
                if second % 60 == 0 {
                    let _ = this.measure_time().await;
                }
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
    use super::may_evict_keys;

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
